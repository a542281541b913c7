-- The guide, "Real-World Example: Real-Time Inventory Management": the body of its task as one transaction.
-- 1. Create source table (product sales)
CREATE TABLE product_sales (
    sale_id INT,
    product_id INT,
    quantity_sold INT,
    sale_timestamp TIMESTAMP
);

-- 2. Create stream to track sales
CREATE STREAM sales_stream ON TABLE product_sales;

-- 3. Create inventory table to maintain stock
CREATE TABLE inventory_levels (
    product_id INT,
    quantity_available INT,
    last_updated TIMESTAMP
);

-- 4. Create low-stock alert table
CREATE TABLE low_stock_alerts (
    product_id INT,
    current_quantity INT,
    alert_timestamp TIMESTAMP
);

-- 5. Create audit log table
CREATE TABLE inventory_audit_log (
    product_id INT,
    action_type VARCHAR,
    quantity_change INT,
    action_timestamp TIMESTAMP
);
INSERT INTO inventory_levels VALUES (1, 12, '2024-01-01'), (2, 100, '2024-01-01');
INSERT INTO product_sales VALUES (1, 1, 5, '2024-01-02'), (2, 2, 1, '2024-01-02');

BEGIN;
-- Update inventory for sold items
UPDATE inventory_levels
SET quantity_available = quantity_available - s.quantity_sold,
    last_updated = CURRENT_TIMESTAMP()
FROM sales_stream s
WHERE inventory_levels.product_id = s.product_id
AND s.METADATA$ACTION = 'INSERT';
-> 2 rows

-- Find and flag low stock
INSERT INTO low_stock_alerts
SELECT
    product_id,
    quantity_available,
    CURRENT_TIMESTAMP()
FROM inventory_levels
WHERE quantity_available < 10;
-> 1 row

-- Log all changes to audit: another consumer, the same window
INSERT INTO inventory_audit_log
SELECT
    product_id,
    'SALE',
    -quantity_sold,
    CURRENT_TIMESTAMP()
FROM sales_stream
WHERE METADATA$ACTION = 'INSERT';
-> 2 rows
COMMIT;
SELECT product_id, quantity_available FROM inventory_levels ORDER BY product_id;
| product_id | quantity_available |
| 1          | 7                  |
| 2          | 99                 |
SELECT product_id, action_type, quantity_change FROM inventory_audit_log ORDER BY product_id;
| product_id | action_type | quantity_change |
| 1          | SALE        | -5              |
| 2          | SALE        | -1              |

-- Two sales of one product in a window match one row: an error, and nothing is consumed.
INSERT INTO product_sales VALUES (3, 1, 1, '2024-01-03'), (4, 1, 2, '2024-01-03');
UPDATE inventory_levels SET quantity_available = quantity_available - s.quantity_sold
FROM sales_stream s WHERE inventory_levels.product_id = s.product_id;
-> error E_NONDETERMINISTIC: inventory_levels
SELECT COUNT(*) AS n FROM sales_stream CONSUMER inventory_levels;
| n |
| 2 |

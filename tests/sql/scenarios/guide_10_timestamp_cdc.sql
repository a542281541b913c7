-- The guide, "Approach 1: Timestamp-Based CDC": columns added to a table with rows.
CREATE TABLE orders (order_id INT, amount DECIMAL(10,2));
INSERT INTO orders VALUES (1, 10);
ALTER TABLE orders ADD COLUMN created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP();
ALTER TABLE orders ADD COLUMN updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP();
ALTER TABLE orders ADD COLUMN deleted_at TIMESTAMP DEFAULT NULL;
CREATE TABLE orders_changes (
    change_type VARCHAR,
    order_id INT,
    change_time TIMESTAMP,
    old_values VARIANT,
    new_values VARIANT
);
INSERT INTO orders (order_id, amount) VALUES (2, 20);
INSERT INTO orders_changes
SELECT
    'INSERT' as change_type,
    order_id,
    created_at,
    NULL as old_values,
    OBJECT_CONSTRUCT('order_id', order_id, 'amount', amount) as new_values
FROM orders
WHERE order_id = 2;
-> 1 row
SELECT change_type, order_id, old_values, new_values:order_id::INT AS id FROM orders_changes;
| change_type | order_id | old_values | id |
| INSERT      | 2        | NULL       | 2  |
INSERT INTO orders_changes
SELECT 'ALL', order_id, created_at, NULL, OBJECT_CONSTRUCT(*) FROM orders WHERE order_id = 2;
-> 1 row
SELECT new_values:amount::DECIMAL(10,2) AS amount FROM orders_changes WHERE change_type = 'ALL';
| amount |
| 20.00  |

-- Soft deletes
UPDATE orders SET deleted_at = CURRENT_TIMESTAMP() WHERE order_id = 2;
SELECT order_id FROM orders WHERE deleted_at IS NOT NULL;
| order_id |
| 2        |

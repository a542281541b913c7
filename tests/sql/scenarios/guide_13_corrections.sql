-- The guide, Question 3.2, scenarios 3 and 4: corrected sales, an order's life.
CREATE TABLE daily_sales (
    sale_date DATE PRIMARY KEY,
    total_revenue DECIMAL
);
CREATE STREAM sales_stream ON TABLE daily_sales;

-- Day 1: Report shows $100,000
INSERT INTO daily_sales VALUES ('2024-01-15', 100000.00);
UPDATE daily_sales SET total_revenue = 125000.00 WHERE sale_date = '2024-01-15';
UPDATE daily_sales SET total_revenue = 128500.00 WHERE sale_date = '2024-01-15';
SELECT sale_date, total_revenue FROM sales_stream WHERE METADATA$ACTION = 'INSERT';
| sale_date  | total_revenue |
| 2024-01-15 | 100000        |
| 2024-01-15 | 125000        |
| 2024-01-15 | 128500        |

CREATE TABLE orders (
    order_id INT PRIMARY KEY,
    customer_id INT,
    status VARCHAR,
    status_updated_at TIMESTAMP
);
CREATE STREAM orders_stream ON TABLE orders;
INSERT INTO orders VALUES (100, 50, 'pending', '2024-01-15 10:00');
UPDATE orders SET status = 'shipped' WHERE order_id = 100;
UPDATE orders SET status = 'delivered' WHERE order_id = 100;

-- How many orders reached 'shipped'?
SELECT COUNT(DISTINCT METADATA$ROW_ID) AS shipped FROM orders_stream
WHERE METADATA$ACTION = 'INSERT' AND status = 'shipped';
| shipped |
| 1       |

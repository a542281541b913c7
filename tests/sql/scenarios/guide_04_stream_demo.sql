-- The guide, "Stream Demo: Complete Workflow".
-- Create the source table that will be tracked
CREATE TABLE sales (
    sale_id INT,
    customer_id INT,
    product_name VARCHAR,
    amount DECIMAL(10, 2),
    sale_date DATE
);

-- Insert initial data
INSERT INTO sales VALUES
    (1, 101, 'Laptop', 999.99, '2024-01-15'),
    (2, 102, 'Mouse', 29.99, '2024-01-15'),
    (3, 103, 'Keyboard', 79.99, '2024-01-15');
-> 3 rows

-- Create a standard stream to capture all changes
CREATE STREAM sales_stream ON TABLE sales;
SELECT * FROM sales_stream;
| sale_id | customer_id | product_name | amount | sale_date | METADATA$ACTION | METADATA$ISUPDATE | METADATA$ROW_ID |

-- INSERT: New sales come in
INSERT INTO sales VALUES
    (4, 104, 'Monitor', 299.99, '2024-01-16'),
    (5, 105, 'Desk Chair', 199.99, '2024-01-16');

-- UPDATE: Correct a price mistake
UPDATE sales SET amount = 1299.99 WHERE sale_id = 1;

-- DELETE: Remove a cancelled sale
DELETE FROM sales WHERE sale_id = 2;

-- Query the stream to see what changed
SELECT * FROM sales_stream;
| sale_id | customer_id | product_name | amount  | sale_date  | METADATA$ACTION | METADATA$ISUPDATE | METADATA$ROW_ID |
| 4       | 104         | Monitor      | 299.99  | 2024-01-16 | INSERT          | FALSE             | *               |
| 5       | 105         | Desk Chair   | 199.99  | 2024-01-16 | INSERT          | FALSE             | *               |
| 1       | 101         | Laptop       | 999.99  | 2024-01-15 | DELETE          | TRUE              | *               |
| 1       | 101         | Laptop       | 1299.99 | 2024-01-15 | INSERT          | TRUE              | *               |
| 2       | 102         | Mouse        | 29.99   | 2024-01-15 | DELETE          | FALSE             | *               |

-- Looking moved nothing (the guide's L1399 would have it move; SPEC 3 does not).
SELECT COUNT(*) AS n FROM sales_stream;
| n |
| 5 |

-- "Consumer Statement": process new sales for a daily summary.
CREATE TABLE daily_sales_summary (summary_date DATE, total_sales DECIMAL(12, 2), record_count INT);
INSERT INTO daily_sales_summary (summary_date, total_sales, record_count)
SELECT
    CURRENT_DATE(),
    SUM(amount) AS total_sales,
    COUNT(*) AS record_count
FROM sales_stream
WHERE METADATA$ACTION = 'INSERT' AND METADATA$ISUPDATE = FALSE
GROUP BY CURRENT_DATE();
-> 1 row
SELECT total_sales, record_count FROM daily_sales_summary;
| total_sales | record_count |
| 499.98      | 2            |

-- The whole window is consumed, also rows that the WHERE dropped.
SELECT COUNT(*) AS n FROM sales_stream CONSUMER daily_sales_summary;
| n |
| 0 |
-> restart
SELECT COUNT(*) AS n FROM sales_stream CONSUMER daily_sales_summary;
| n |
| 0 |

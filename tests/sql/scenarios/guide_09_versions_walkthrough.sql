-- The guide, "Real Code Walkthrough" (L1361).
-- Create table and stream
CREATE TABLE sales (sale_id INT, amount DECIMAL);
CREATE STREAM sales_stream ON TABLE sales;
CREATE TABLE sales_history (sale_id INT, amount DECIMAL, action VARCHAR, is_update BOOLEAN, row_id VARCHAR);

-- T=1: Insert 2 records
INSERT INTO sales VALUES (1, 100), (2, 200);

-- Query stream (consumer table)
INSERT INTO sales_history SELECT * FROM sales_stream;
-> 2 rows
SELECT SYSTEM$STREAM_OFFSET('sales_stream', 'sales_history') AS o;
| o  |
| v1 |
SELECT COUNT(*) AS n FROM sales_stream;
| n |
| 0 |

-- T=2: Update record 1
UPDATE sales SET amount = 150 WHERE sale_id = 1;

-- Query stream again
SELECT sale_id, amount, METADATA$ACTION FROM sales_stream;
| sale_id | amount | METADATA$ACTION |
| 1       | 100    | DELETE          |
| 1       | 150    | INSERT          |
-- Looking did not advance it
SELECT SYSTEM$STREAM_OFFSET('sales_stream', 'sales_history') AS o;
| o  |
| v1 |

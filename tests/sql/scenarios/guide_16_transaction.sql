-- The guide, "What Happens with Transactional Consumers" (L3384).
CREATE TABLE orders (order_id INT, amount DECIMAL(10,2));
CREATE STREAM orders_stream ON TABLE orders;
CREATE TABLE processed_orders (order_id INT, amount DECIMAL(10,2), action VARCHAR, is_update BOOLEAN, row_id VARCHAR);
INSERT INTO orders SELECT seq, seq * 1.5 FROM (SELECT 1 AS seq UNION ALL SELECT 2 UNION ALL SELECT 3);

START TRANSACTION;
  SELECT CURRENT_STREAM_OFFSET('orders_stream') AS offset_before;
| offset_before |
| v0            |
  INSERT INTO processed_orders
  SELECT * FROM orders_stream;
-> 3 rows
-- Inside the transaction the same window is seen again
  SELECT COUNT(*) AS n FROM processed_orders;
| n |
| 3 |
  ROLLBACK;

-- The offset was not advanced: the next query gets the same records again
SELECT COUNT(*) AS n FROM orders_stream;
| n |
| 3 |
SELECT COUNT(*) AS n FROM processed_orders;
| n |
| 0 |

BEGIN TRANSACTION;
INSERT INTO processed_orders SELECT * FROM orders_stream;
COMMIT;
SELECT COUNT(*) AS n FROM orders_stream;
| n |
| 0 |

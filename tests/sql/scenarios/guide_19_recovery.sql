-- The guide, "The Correct Way to Recover from Errors".
CREATE TABLE orders (order_id INT, amount DECIMAL);
CREATE STREAM orders_stream ON TABLE orders;
CREATE TABLE processed_orders (order_id INT, amount DECIMAL, action VARCHAR, is_update BOOLEAN, row_id VARCHAR);
INSERT INTO orders VALUES (1, 10);
INSERT INTO processed_orders SELECT * FROM orders_stream;
INSERT INTO orders VALUES (2, 20);
INSERT INTO processed_orders SELECT * FROM orders_stream;

-- Option 1: delete what was wrong, go back to the version before it, process again
DELETE FROM processed_orders WHERE order_id = 2;
CALL SYSTEM$STREAM_REWIND('orders_stream', 'v1');
-> some columns
| item     | name             | from | to   |
| consumer | processed_orders | v2   | v1   |
| table    | processed_orders | *    | *    |
| done     | *                | *    | *    |
INSERT INTO processed_orders SELECT * FROM orders_stream;
-> 1 row
SELECT order_id FROM processed_orders ORDER BY order_id;
| order_id |
| 1        |
| 2        |

-- Option 2: new logic into a new table; CTAS is a consumer of its own
CREATE TABLE orders_analytics_v2 AS
SELECT order_id, amount * 2 AS doubled FROM orders_stream;
SELECT * FROM orders_analytics_v2 ORDER BY order_id;
| order_id | doubled |
| 1        | 20      |
| 2        | 40      |

-- Option 3: back up, truncate, reset, reprocess
CREATE TABLE processed_backup AS SELECT * FROM processed_orders;
TRUNCATE TABLE processed_orders;
-> 2 rows
CALL SYSTEM$STREAM_REWIND('orders_stream', CONSUMER => 'processed_orders');
INSERT INTO processed_orders
SELECT * FROM orders_stream;
-> 2 rows
SELECT (SELECT COUNT(*) FROM processed_backup) = (SELECT COUNT(*) FROM processed_orders) AS same;
| same |
| TRUE |

-- Without CONSUMER two are refused with the list
CALL SYSTEM$STREAM_REWIND('orders_stream');
-> error E_REWIND_REFUSED: processed_orders

-- Swap the new one in
CREATE TABLE orders_analytics AS SELECT order_id, amount FROM orders;
ALTER TABLE orders_analytics SWAP WITH orders_analytics_v2;
SELECT * FROM orders_analytics ORDER BY order_id;
| order_id | doubled |
| 1        | 20      |
| 2        | 40      |

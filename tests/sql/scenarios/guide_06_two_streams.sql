-- The guide, "When You MIGHT Need Multiple Streams": different captures, retention, domains.
CREATE TABLE orders (order_id INT, status VARCHAR);
INSERT INTO orders VALUES (1, 'new');

-- Stream 1: Captures everything (for comprehensive audit)
CREATE STREAM orders_comprehensive ON TABLE orders;

-- Stream 2: Captures only inserts (for real-time analytics)
CREATE STREAM orders_inserts_only ON TABLE orders CHANGES CAPTURE (INSERT ONLY);
CREATE TABLE audit_log (order_id INT, status VARCHAR, action VARCHAR, is_update BOOLEAN, row_id VARCHAR);
CREATE TABLE new_orders_dashboard (order_id INT, status VARCHAR, action VARCHAR, is_update BOOLEAN, row_id VARCHAR);

INSERT INTO orders VALUES (2, 'new');
UPDATE orders SET status = 'paid' WHERE order_id IN (1, 2);
-> 2 rows

-- Consumer 1: Uses comprehensive stream for audit
INSERT INTO audit_log
SELECT * FROM orders_comprehensive;
-> 5 rows

-- Consumer 2: Uses insert-only stream for efficiency
INSERT INTO new_orders_dashboard
SELECT * FROM orders_inserts_only;
-> 1 row
SELECT order_id, status, action FROM new_orders_dashboard;
| order_id | status | action |
| 2        | new    | INSERT |

-- Stream 1: 30-day retention; stream 2: 7 days
CREATE STREAM orders_30day ON TABLE orders RETENTION_TIME = '30 DAYS';
CREATE STREAM orders_7day ON TABLE orders RETENTION_TIME = '7 DAYS';

-- Separate streams prevent affecting other consumers
CREATE STREAM orders_for_analytics ON TABLE orders;
CREATE STREAM orders_for_notifications ON TABLE orders;
CREATE STREAM orders_realtime ON TABLE orders;
CREATE STREAM orders_batch ON TABLE orders;
SELECT stream_name, table_name, type, stale FROM information_schema.STREAMS ORDER BY stream_name;
-> some columns
| STREAM_NAME              | TABLE_NAME |
| orders_30day             | orders     |
| orders_7day              | orders     |
| orders_batch             | orders     |
| orders_comprehensive     | orders     |
| orders_for_analytics     | orders     |
| orders_for_notifications | orders     |
| orders_inserts_only      | orders     |
| orders_realtime          | orders     |

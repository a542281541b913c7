-- The guide, "Real Example: Email Notification System": what was processed does not come again.
CREATE TABLE orders (order_id INT, customer_id INT, status VARCHAR);
INSERT INTO orders VALUES (1, 100, 'confirmed'), (2, 101, 'confirmed');
-> 2 rows
CREATE STREAM orders_stream ON TABLE orders;
CREATE TABLE notifications_to_send (order_id INT, status VARCHAR, action VARCHAR);

-- T=0: the stream is aware of these two orders, but has not seen them as changes
SELECT COUNT(*) AS n FROM orders_stream;
| n |
| 0 |

-- T=1: order 3 comes, order 1 changes
BEGIN;
INSERT INTO orders VALUES (3, 102, 'confirmed');
UPDATE orders SET status = 'shipped' WHERE order_id = 1;
COMMIT;

-- T=2: the consumer gets both; the update is two rows
INSERT INTO notifications_to_send
SELECT order_id, status, METADATA$ACTION FROM orders_stream;
-> 3 rows
SELECT * FROM notifications_to_send ORDER BY order_id, action;
| order_id | status    | action |
| 1        | confirmed | DELETE |
| 1        | shipped   | INSERT |
| 3        | confirmed | INSERT |

-- T=3: order 2 is cancelled
DELETE FROM orders WHERE order_id = 2;
-> 1 row

-- T=4: only the cancellation is returned
SELECT order_id, METADATA$ACTION, METADATA$ISUPDATE FROM orders_stream;
| order_id | METADATA$ACTION | METADATA$ISUPDATE |
| 2        | DELETE          | FALSE             |
INSERT INTO notifications_to_send
SELECT order_id, status, METADATA$ACTION FROM orders_stream;
-> 1 row
SELECT SYSTEM$STREAM_HAS_DATA('orders_stream') AS has_data;
| has_data |
| FALSE    |

-- The guide, Question 4.3: what goes wrong with a reset, and how it is done right.
CREATE TABLE orders (order_id INT, amount DECIMAL);
CREATE TABLE orders_analytics (order_id INT, total_amount DECIMAL);
CREATE STREAM orders_stream ON TABLE orders;
INSERT INTO orders VALUES (1, 10), (2, 20), (1, 5);

-- Day 1: Process the orders
INSERT INTO orders_analytics
SELECT order_id, SUM(amount) FROM orders_stream GROUP BY order_id;
-> 2 rows

-- The plan says what would be there twice, and changes nothing
CALL SYSTEM$STREAM_REWIND('orders_stream', DRY_RUN => TRUE);
-> some columns
| item     | name             | from | to   | rows |
| consumer | orders_analytics | v1   | v0   | NULL |
| table    | orders_analytics | NULL | NULL | 2    |
| warning  | NULL             | NULL | NULL | NULL |
| done     | NULL             | NULL | NULL | NULL |
SELECT SYSTEM$STREAM_OFFSET('orders_stream', 'orders_analytics') AS o;
| o  |
| v1 |

-- MISTAKE: Reset the stream offset without clearing consumer table
CALL SYSTEM$STREAM_REWIND('orders_stream');
-> some columns
| item     | name             | from | to   | rows |
| consumer | orders_analytics | v1   | v0   | NULL |
| table    | orders_analytics | NULL | NULL | 2    |
| warning  | NULL             | NULL | NULL | NULL |
| done     | NULL             | NULL | NULL | NULL |
INSERT INTO orders_analytics
SELECT order_id, SUM(amount) FROM orders_stream GROUP BY order_id;
SELECT COUNT(*) AS count, order_id FROM orders_analytics GROUP BY order_id ORDER BY order_id;
| count | order_id |
| 2     | 1        |
| 2     | 2        |

-- Rewind without duplicates: the target goes back in the same commit.
TRUNCATE TABLE orders_analytics;
CREATE TABLE totals (order_id INT, total_amount DECIMAL);
INSERT INTO totals SELECT order_id, SUM(amount) FROM orders_stream GROUP BY order_id;
CALL SYSTEM$STREAM_REWIND('orders_stream', CONSUMER => 'totals', RESTORE => TRUE, REASON => 'wrong sums');
-> some columns
| item     | name   | from | to   |
| consumer | totals | v1   | v0   |
| table    | totals | v1   | v0   |
| done     | NULL   | NULL | NULL |
SELECT COUNT(*) AS n FROM totals;
| n |
| 0 |
INSERT INTO totals SELECT order_id, SUM(amount) FROM orders_stream GROUP BY order_id;
SELECT * FROM totals ORDER BY order_id;
| order_id | total_amount |
| 1        | 15           |
| 2        | 20           |

-- Who moved what, and why
SELECT consumer_name, why, reason FROM information_schema.stream_offset_history
WHERE stream_name = 'orders_stream' AND consumer_name = 'totals';
| CONSUMER_NAME | WHY      | REASON     |
| totals        | REGISTER | NULL       |
| totals        | CONSUME  | NULL       |
| totals        | RESTORE  | wrong sums |
| totals        | CONSUME  | NULL       |

-- The guide, "Solution Without Streams": snapshots compared by hand, then the stream that replaces them.
CREATE TABLE orders (order_id INT, customer_id INT, amount DECIMAL(10,2), status VARCHAR);
INSERT INTO orders VALUES
(1, 100, 99.99, 'pending'),
(2, 101, 149.99, 'shipped');
CREATE TABLE orders_snapshot_10am LIKE orders;
CREATE TABLE orders_snapshot_11am LIKE orders;
INSERT INTO orders_snapshot_10am SELECT * FROM orders;
CREATE STREAM orders_stream ON TABLE orders;
UPDATE orders SET status = 'delivered' WHERE order_id = 1;
INSERT INTO orders VALUES (3, 102, 5, 'pending');
INSERT INTO orders_snapshot_11am SELECT * FROM orders;

SELECT * FROM orders_snapshot_11am
WHERE order_id NOT IN (SELECT order_id FROM orders_snapshot_10am)
UNION ALL
SELECT * FROM orders_snapshot_10am o
WHERE EXISTS (
    SELECT 1 FROM orders_snapshot_11am n
    WHERE n.order_id = o.order_id AND n.status != o.status
)
ORDER BY order_id;
| order_id | customer_id | amount | status  |
| 1        | 100         | 99.99  | pending |
| 3        | 102         | 5.00   | pending |

SELECT order_id, customer_id, amount, status, METADATA$ACTION, METADATA$ISUPDATE FROM orders_stream;
| order_id | customer_id | amount | status    | METADATA$ACTION | METADATA$ISUPDATE |
| 1        | 100         | 99.99  | pending   | DELETE          | TRUE              |
| 1        | 100         | 99.99  | delivered | INSERT          | TRUE              |
| 3        | 102         | 5.00   | pending   | INSERT          | FALSE             |

-- The guide filters METADATA$ACTION = 'UPDATE' (L1748, L2466): there is no such action.
SELECT COUNT(*) AS n FROM orders_stream WHERE METADATA$ACTION = 'UPDATE';
| n |
| 0 |

-- What it wants: before and after of each update, side by side
SELECT o.order_id, o.status AS old_status, n.status AS new_status
FROM orders_stream o JOIN orders_stream n
  ON o.METADATA$ROW_ID = n.METADATA$ROW_ID
WHERE o.METADATA$ACTION = 'DELETE' AND n.METADATA$ACTION = 'INSERT'
  AND o.METADATA$ISUPDATE AND n.METADATA$ISUPDATE;
| order_id | old_status | new_status |
| 1        | pending    | delivered  |

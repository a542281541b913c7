-- Views, and streams on views of one table (SPEC 3).
CREATE TABLE orders (id INT PRIMARY KEY, amount DECIMAL(10,2), status VARCHAR);
CREATE VIEW large AS SELECT id, amount FROM orders WHERE amount >= 100;
CREATE VIEW totals AS SELECT status, SUM(amount) AS total FROM orders GROUP BY status;
INSERT INTO orders VALUES (1, 50, 'new'), (2, 200, 'new');
SELECT * FROM large;
| id | amount |
| 2  | 200.00 |
SELECT * FROM totals;
| status | total  |
| new    | 250.00 |
CREATE STREAM large_stream ON VIEW large;
UPDATE orders SET amount = 150 WHERE id = 1;
UPDATE orders SET amount = 300 WHERE id = 2;
UPDATE orders SET amount = 10 WHERE id = 2;
INSERT INTO orders VALUES (3, 1, 'new');
SELECT id, amount, METADATA$ACTION AS a, METADATA$ISUPDATE AS u FROM large_stream;
| id | amount | a      | u     |
| 1  | 150.00 | INSERT | FALSE |
| 2  | 200.00 | DELETE | TRUE  |
| 2  | 300.00 | INSERT | TRUE  |
| 2  | 300.00 | DELETE | FALSE |
CREATE STREAM no ON VIEW totals;
-> error E_STREAM_INVALID: totals
-- A stream read through a view is consumed like any other
CREATE STREAM s ON TABLE orders;
CREATE VIEW through AS SELECT id FROM s;
CREATE TABLE x (id INT);
INSERT INTO orders VALUES (4, 4, 'new');
INSERT INTO x SELECT id FROM through;
-> 1 row
INSERT INTO x SELECT id FROM through;
-> 0 rows
CREATE OR REPLACE VIEW large AS SELECT id, amount FROM orders WHERE amount >= 1000;
SELECT * FROM large_stream;
-> error E_STREAM_STALE: replaced
DROP VIEW through;
SELECT * FROM through;
-> error E_NOT_FOUND: through

-- The end of a window is fixed at its first use; never the transaction's own writes (SPEC 3).
CREATE TABLE t (id INT);
CREATE STREAM s ON TABLE t;
CREATE TABLE x (id INT);
CREATE TABLE y (id INT);
INSERT INTO t VALUES (1);
BEGIN;
INSERT INTO t VALUES (2);
INSERT INTO x SELECT id FROM s;
-> 1 row
INSERT INTO t VALUES (3);
INSERT INTO x SELECT id * 10 FROM s;
-> 1 row
INSERT INTO y SELECT id FROM s;
-> 1 row
SELECT COUNT(*) AS n FROM s;
| n |
| 1 |
COMMIT;
SELECT id FROM x ORDER BY id;
| id |
| 1  |
| 10 |
-- What it wrote comes in the next window
INSERT INTO x SELECT id FROM s;
-> 2 rows
BEGIN;
INSERT INTO y SELECT id FROM s LIMIT CHANGES 1;
INSERT INTO x SELECT id FROM s UP TO VERSION 9;
-> error E_BOUNDS_DIFFER: LIMIT CHANGES 1
ROLLBACK;
SELECT SYSTEM$STREAM_OFFSET('s', 'y') AS o;
| o  |
| v1 |

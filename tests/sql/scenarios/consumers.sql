-- Independent consumers, CONSUMER c, bounds, SHARED (SPEC 3).
CREATE TABLE t (id INT, v VARCHAR);
CREATE STREAM s ON TABLE t;
CREATE TABLE x (id INT);
CREATE TABLE y (id INT);
INSERT INTO t VALUES (1, 'a');
INSERT INTO t VALUES (2, 'b'), (3, 'c');
INSERT INTO t VALUES (4, 'd');

-- Whole commits only, at least one
INSERT INTO x SELECT id FROM s LIMIT CHANGES 2;
-> 1 row
INSERT INTO x SELECT id FROM s LIMIT CHANGES 1;
-> 2 rows
INSERT INTO x SELECT id FROM s UP TO VERSION 3;
-> 1 row
INSERT INTO x SELECT id FROM s;
-> 0 rows

-- A consumer by name, registered by its first use; the move records the table written
INSERT INTO y SELECT id FROM s CONSUMER loader WHERE id > 2;
-> 2 rows
SELECT consumer_name, kind, watermark FROM information_schema.stream_consumers ORDER BY consumer_name;
| CONSUMER_NAME | KIND   | WATERMARK |
| loader   | CLIENT | 3         |
| x        | TABLE  | 3         |

-- A TABLE consumer moves only through its own table
INSERT INTO y SELECT id FROM s CONSUMER x;
-> error E_CONSUMER_REFUSED: x

-- Consumed by UPDATE, DELETE, a pruned branch, a CTE, a subquery
INSERT INTO t VALUES (5, 'e');
DELETE FROM y WHERE id IN (SELECT id FROM s WHERE id = 100);
-> 0 rows
SELECT SYSTEM$STREAM_OFFSET('s', 'y') AS o;
| o  |
| v4 |
WITH c AS (SELECT id FROM s) SELECT COUNT(*) AS n FROM c;
| n |
| 1 |
INSERT INTO x WITH never AS (SELECT * FROM s) SELECT 77 WHERE 1 = 0;
-> 0 rows
SELECT SYSTEM$STREAM_OFFSET('s', 'x') AS o;
| o  |
| v4 |

-- Adding and dropping by hand
ALTER STREAM s ADD CONSUMER mailer AS CLIENT AT BASE;
ALTER STREAM s ADD CONSUMER auditor AT VERSION 2;
SELECT SYSTEM$STREAM_OFFSET('s', 'mailer') AS m, SYSTEM$STREAM_OFFSET('s', 'auditor') AS a;
| m  | a  |
| v0 | v2 |
SELECT COUNT(*) AS n FROM s CONSUMER mailer;
| n |
| 5 |
-- A plain SELECT shows what at least one of them still has to consume
SELECT COUNT(*) AS n FROM s;
| n |
| 5 |
ALTER STREAM s DROP CONSUMER mailer;
SELECT COUNT(*) AS n FROM s CONSUMER mailer;
-> error E_CONSUMER_UNKNOWN: mailer

-- Two targets at different places
CREATE TABLE z (id INT);
INSERT INTO t VALUES (6, 'f');
INSERT ALL INTO x (id) VALUES (id) INTO z (id) VALUES (id) SELECT id FROM s;
-> error E_WATERMARKS_DIFFER: z

-- SHARED: whoever consumes first empties it for all
CREATE STREAM shared ON TABLE t CONSUMERS = SHARED;
INSERT INTO t VALUES (7, 'g');
INSERT INTO x SELECT id FROM shared;
-> 1 row
INSERT INTO z SELECT id FROM shared;
-> 0 rows
INSERT INTO z SELECT id FROM shared CONSUMER c;
-> error E_STREAM_SHARED: shared

-- Transactions (SPEC 2): all or nothing, own writes, a failed statement undoes itself only.
CREATE TABLE a (id INT PRIMARY KEY, v INT);
CREATE TABLE b (id INT);
BEGIN;
INSERT INTO a VALUES (1, 1);
UPDATE a SET v = v + 1 WHERE id = 1;
INSERT INTO a VALUES (2, 2), (1, 3);
-> error E_DUPLICATE_KEY: id = 1
INSERT INTO b SELECT id FROM a;
-> 1 row
SELECT * FROM a;
| id | v |
| 1  | 2 |
COMMIT;
SELECT (SELECT COUNT(*) FROM a) AS a, (SELECT COUNT(*) FROM b) AS b;
| a | b |
| 1 | 1 |
BEGIN;
DELETE FROM a;
CREATE TABLE c (x INT);
INSERT INTO c VALUES (1);
ROLLBACK;
SELECT COUNT(*) AS n FROM a;
| n |
| 1 |
SELECT * FROM c;
-> error E_NOT_FOUND: c

-- One commit is one version
BEGIN;
INSERT INTO b VALUES (5);
INSERT INTO b VALUES (6);
COMMIT;
SELECT version, inserts FROM information_schema.table_versions WHERE table_name = 'b' ORDER BY version;
-> some columns
| VERSION | INSERTS |
| 0       | 0       |
| 1       | 1       |
| 2       | 2       |

-- DDL is transactional; ALTER of a table that the transaction has changed is refused
BEGIN;
INSERT INTO b VALUES (7);
ALTER TABLE b ADD COLUMN y INT;
-> error E_ALTER_AFTER_WRITE: b
COMMIT;
SELECT MAX(id) AS m FROM b;
| m |
| 7 |
-- Without an open transaction there is nothing to do, as in Snowflake
COMMIT;
ROLLBACK;

-- AT and BEFORE, CLONE AT, schema changes seen through history (SPEC 6).
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR);
INSERT INTO t VALUES (1, 'a');
INSERT INTO t VALUES (2, 'b');
UPDATE t SET v = 'aa' WHERE id = 1;
SELECT * FROM t AT (VERSION => 2) ORDER BY id;
| id | v |
| 1  | a |
| 2  | b |
SELECT COUNT(*) AS n FROM t BEFORE (VERSION => 2);
| n |
| 1 |
SELECT now.v AS now, old.v AS before FROM t now JOIN t AT (VERSION => 1) old ON now.id = old.id;
| now | before |
| aa  | a      |
ALTER TABLE t ADD COLUMN n INT DEFAULT 7;
ALTER TABLE t RENAME COLUMN v TO val;
SELECT * FROM t AT (VERSION => 1);
| id | val | n |
| 1  | a   | 7 |
CREATE TABLE c CLONE t AT (VERSION => 2);
SELECT id, val FROM c ORDER BY id;
| id | val |
| 1  | a   |
| 2  | b   |
INSERT INTO c (id, val) VALUES (3, 'c');
SELECT COUNT(*) AS n FROM t;
| n |
| 2 |
ALTER TABLE t DROP COLUMN n;
SELECT * FROM t AT (VERSION => 3) ORDER BY id;
| id | val |
| 1  | aa  |
| 2  | b   |
SELECT * FROM t AT (VERSION => 99);
-> error E_OUTSIDE_HISTORY: v3
ALTER TABLE t ALTER COLUMN id SET DATA TYPE BIGINT;
ALTER TABLE t ALTER COLUMN val SET DATA TYPE INT;
-> error E_SCHEMA_INCOMPATIBLE: val
DROP TABLE c;
SELECT * FROM c;
-> error E_NOT_FOUND: c
UNDROP TABLE c;
SELECT COUNT(*) AS n FROM c;
| n |
| 3 |

-- SHOW_INITIAL_ROWS: the snapshot first, then the changes: none lost or repeated between (SPEC 3).
CREATE TABLE t (id INT);
INSERT INTO t VALUES (1), (2);
DELETE FROM t WHERE id = 1;
CREATE STREAM s ON TABLE t SHOW_INITIAL_ROWS = TRUE;
INSERT INTO t VALUES (3);
CREATE TABLE x (id INT);
SELECT SYSTEM$STREAM_HAS_DATA('s') AS h;
| h    |
| TRUE |
INSERT INTO x SELECT id FROM s LIMIT CHANGES 1;
-> 1 row
SELECT id FROM x;
| id |
| 2  |
INSERT INTO x SELECT id FROM s;
-> 1 row
SELECT id FROM x ORDER BY id;
| id |
| 2  |
| 3  |
CALL SYSTEM$STREAM_REWIND('s', TO => 'INITIAL', RESTORE => TRUE);
-> some columns
| item     | name | to      |
| consumer | x    | INITIAL |
| table    | x    | *       |
| done     | *    | *       |
SELECT COUNT(*) AS n FROM x;
| n |
| 0 |
INSERT INTO x SELECT id FROM s;
-> 1 row
SELECT id FROM x;
| id |
| 2  |

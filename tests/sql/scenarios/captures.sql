-- ALL, NET, INSERT ONLY over one history; no-op updates; key changes (SPEC 3).
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR);
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
CREATE STREAM s_all ON TABLE t CHANGES CAPTURE (ALL);
CREATE STREAM s_net ON TABLE t CHANGES CAPTURE (NET);
CREATE STREAM s_ins ON TABLE t CHANGES CAPTURE (INSERT ONLY);
UPDATE t SET v = 'x' WHERE id = 1;
UPDATE t SET v = 'a' WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (4, 'd');
UPDATE t SET v = 'dd' WHERE id = 4;
INSERT INTO t VALUES (5, 'e');
DELETE FROM t WHERE id = 5;
UPDATE t SET v = v WHERE id = 3;
UPDATE t SET id = 30 WHERE id = 3;
SELECT id, v, METADATA$ACTION AS a, METADATA$ISUPDATE AS u FROM s_net;
| id | v  | a      | u     |
| 2  | b  | DELETE | FALSE |
| 4  | dd | INSERT | FALSE |
| 3  | c  | DELETE | TRUE  |
| 30 | c  | INSERT | TRUE  |
SELECT id, v, METADATA$ACTION AS a, METADATA$ISUPDATE AS u FROM s_ins;
| id | v | a      | u     |
| 4  | d | INSERT | FALSE |
| 5  | e | INSERT | FALSE |
SELECT id, v, METADATA$ACTION AS a, METADATA$ISUPDATE AS u, METADATA$VERSION AS ver FROM s_all;
| id | v  | a      | u     | ver |
| 1  | a  | DELETE | TRUE  | 2   |
| 1  | x  | INSERT | TRUE  | 2   |
| 1  | x  | DELETE | TRUE  | 3   |
| 1  | a  | INSERT | TRUE  | 3   |
| 2  | b  | DELETE | FALSE | 4   |
| 4  | d  | INSERT | FALSE | 5   |
| 4  | d  | DELETE | TRUE  | 6   |
| 4  | dd | INSERT | TRUE  | 6   |
| 5  | e  | INSERT | FALSE | 7   |
| 5  | e  | DELETE | FALSE | 8   |
| 3  | c  | DELETE | TRUE  | 9   |
| 3  | c  | INSERT | TRUE  | 9   |
| 3  | c  | DELETE | TRUE  | 10  |
| 30 | c  | INSERT | TRUE  | 10  |
-- Any range, consuming nothing
SELECT id, METADATA$ACTION AS a FROM t CHANGES (INFORMATION => APPEND_ONLY) AT (VERSION => 1) END (VERSION => 5);
| id | a      |
| 4  | INSERT |
SELECT COUNT(*) AS n FROM t CHANGES (INFORMATION => DEFAULT) AT (VERSION => 7) END (VERSION => 8);
| n |
| 1 |
-- A table of a stream's columns cannot have a stream
CREATE TABLE copied AS SELECT * FROM s_all;
CREATE STREAM on_copied ON TABLE copied;
-> error E_STREAM_INVALID: METADATA$ACTION

-- Rewind to versions, times; restore of joins and two streams; undo; advance (SPEC 4).
CREATE TABLE a (id INT, v INT);
CREATE TABLE b (id INT, w INT);
CREATE STREAM sa ON TABLE a;
CREATE STREAM sb ON TABLE b;
CREATE TABLE j (id INT, v INT, w INT);
INSERT INTO a VALUES (1, 10);
INSERT INTO b VALUES (1, 20);
INSERT INTO j SELECT a.id, a.v, b.w FROM sa a JOIN sb b ON a.id = b.id;
-> 1 row
INSERT INTO a VALUES (2, 11);
INSERT INTO b VALUES (2, 21);
INSERT INTO j SELECT a.id, a.v, b.w FROM sa a JOIN sb b ON a.id = b.id;
-> 1 row
-- Restore takes back every watermark that the undone commits moved into the target
CALL SYSTEM$STREAM_REWIND('sa', CONSUMER => 'j', TO => 1, RESTORE => TRUE, REASON => 'again');
SELECT SYSTEM$STREAM_OFFSET('sa', 'j') AS a, SYSTEM$STREAM_OFFSET('sb', 'j') AS b;
| a  | b  |
| v1 | v1 |
SELECT * FROM j;
| id | v  | w  |
| 1  | 10 | 20 |
INSERT INTO j SELECT a.id, a.v, b.w FROM sa a JOIN sb b ON a.id = b.id;
-> 1 row
-- A target that something else changed is refused, unless FORCE
INSERT INTO j VALUES (99, 0, 0);
CALL SYSTEM$STREAM_REWIND('sa', CONSUMER => 'j', TO => 1, RESTORE => TRUE);
-> error E_REWIND_REFUSED: j
CALL SYSTEM$STREAM_REWIND('sa', CONSUMER => 'j', TO => 1, RESTORE => TRUE, FORCE => TRUE);
SELECT COUNT(*) AS n FROM j;
| n |
| 1 |
-- A target above the watermark is for ADVANCE
CALL SYSTEM$STREAM_REWIND('sa', CONSUMER => 'j', TO => 2);
-> error E_TARGET_ABOVE_WATERMARK: ADVANCE
CALL SYSTEM$STREAM_ADVANCE('sa', CONSUMER => 'j', TO => 2);
SELECT SYSTEM$STREAM_OFFSET('sa', 'j') AS a;
| a  |
| v2 |
-- Nobody there, or there already: a row that says so
CREATE STREAM unread ON TABLE a;
CALL SYSTEM$STREAM_REWIND('unread');
CALL SYSTEM$STREAM_REWIND('nosuch');
-> error E_NOT_FOUND: nosuch

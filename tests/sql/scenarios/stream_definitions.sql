-- CREATE, ALTER, CLONE, DROP, SHOW, DESCRIBE, GET_DDL of streams (SPEC 3).
CREATE TABLE t (id INT);
INSERT INTO t VALUES (1);
CREATE STREAM s ON TABLE t CHANGES CAPTURE (NET) REWIND = REQUIRE_REASON COMMENT = 'it''s mine';
CREATE STREAM s ON TABLE t;
-> error E_NAME_TAKEN: s
CREATE STREAM IF NOT EXISTS s ON TABLE t;
CREATE STREAM nowhere ON TABLE missing;
-> error E_NOT_FOUND: missing
SHOW STREAMS LIKE 's';
-> some columns
| name | table_name | comment   |
| s    | public.t   | it's mine |
DESCRIBE STREAM s;
-> some columns
| name |
| s    |
ALTER STREAM s SET COMMENT = 'ours', REWIND = FORBID;
SELECT comment FROM information_schema.streams WHERE stream_name = 's';
| COMMENT |
| ours    |
CREATE TABLE x (id INT);
INSERT INTO t VALUES (2);
INSERT INTO x SELECT id FROM s;
CALL SYSTEM$STREAM_REWIND('s');
-> error E_REWIND_FORBIDDEN: s
ALTER STREAM s SET REWIND = REQUIRE_REASON;
CALL SYSTEM$STREAM_REWIND('s');
-> error E_REASON_REQUIRED: s
-- A clone carries consumers and watermarks
CREATE STREAM s2 CLONE s;
SELECT SYSTEM$STREAM_OFFSET('s2', 'x') AS o;
| o  |
| v2 |
-- AT another stream: its lowest registered watermark
INSERT INTO t VALUES (3);
CREATE STREAM s3 ON TABLE t AT (STREAM => 's');
SELECT id FROM s3;
| id |
| 3  |
-- OR REPLACE retires the consumers, AT itself keeps them
CREATE OR REPLACE STREAM s2 ON TABLE t;
SELECT consumer_name FROM information_schema.stream_consumers WHERE stream_name = 's2';
| CONSUMER_NAME |
CREATE OR REPLACE STREAM s ON TABLE t CHANGES CAPTURE (ALL) AT (STREAM => 's');
SELECT consumer_name FROM information_schema.stream_consumers WHERE stream_name = 's';
| CONSUMER_NAME |
| x             |
-- Rename of the table carries the stream; drop makes it stale; UNDROP brings it back
ALTER TABLE t RENAME TO t9;
SELECT COUNT(*) AS n FROM s3;
| n |
| 1 |
DROP TABLE t9;
SELECT * FROM s3;
-> error E_STREAM_STALE: dropped
UNDROP TABLE t9;
SELECT COUNT(*) AS n FROM s3;
| n |
| 1 |
CREATE OR REPLACE TABLE t9 (id INT);
SELECT * FROM s3;
-> error E_STREAM_STALE: replaced
DROP STREAM s3;
DROP STREAM s3;
-> error E_NOT_FOUND: s3
DROP STREAM IF EXISTS s3;
-- A stale stream can still be described, and dropped
SELECT stream_name, stale FROM information_schema.streams WHERE stream_name = 's';
| STREAM_NAME | STALE |
| s           | TRUE  |
DROP STREAM s;

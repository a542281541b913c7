-- What every Snowflake script carries and means nothing here: a notice, no error.
USE ROLE analyst;
-> notice: roles
USE WAREHOUSE compute_wh;
-> notice: warehouse
CREATE OR REPLACE TRANSIENT TABLE t (id INT) CLUSTER BY (id) CHANGE_TRACKING = TRUE DATA_RETENTION_TIME_IN_DAYS = 1;
-> notice: TRANSIENT
ALTER TABLE t SET CHANGE_TRACKING = TRUE;
-> notice: CHANGE_TRACKING
CREATE OR REPLACE STREAM s COPY GRANTS ON TABLE t;
-> notice: COPY GRANTS
SHOW PARAMETERS LIKE 'DEFAULT_STREAM_CAPTURE';
-> some columns
| key                    | value |
| DEFAULT_STREAM_CAPTURE | ALL   |
ALTER SESSION SET DEFAULT_STREAM_CAPTURE = 'NET';
CREATE STREAM n ON TABLE t;
SELECT type FROM information_schema.streams WHERE stream_name = 'n';
| TYPE |
| NET  |
/* one text, several statements */ INSERT INTO t VALUES (1); -- and
// a comment of the other kind
SELECT COUNT(*) AS n FROM t;
| n |
| 1 |

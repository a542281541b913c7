-- The guide, "Storage Monitoring in Practice" (L2845).
CREATE TABLE t (a INT);
CREATE STREAM one ON TABLE t COMMENT = 'the first';
CREATE STREAM two ON TABLE t;
INSERT INTO t VALUES (1);
SELECT
    stream_name,
    BYTES / (1024*1024*1024) as size_gb,
    CREATED_ON,
    COMMENT
FROM information_schema.STREAMS
ORDER BY BYTES DESC, stream_name;
| STREAM_NAME | size_gb | CREATED_ON | COMMENT   |
| one         | *       | *          | the first |
| two         | *       | *          | NULL      |
SELECT * FROM information_schema.STREAMS
WHERE STREAM_NAME = 'one';
-> some columns
| STREAM_NAME |
| one         |

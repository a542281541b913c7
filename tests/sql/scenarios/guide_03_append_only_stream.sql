-- The guide, "Append-Only Stream": an event log.
CREATE TABLE events (event_id VARCHAR, user_id INT, action VARCHAR, timestamp TIMESTAMP);
CREATE STREAM events_stream ON TABLE events APPEND_ONLY = TRUE;
INSERT INTO events VALUES
    ('e1', 123, 'login', '2024-01-15 10:00'),
    ('e2', 456, 'purchase', '2024-01-15 10:05'),
    ('e3', 123, 'logout', '2024-01-15 11:00');
-> 3 rows
UPDATE events SET action = 'signed out' WHERE event_id = 'e3';
DELETE FROM events WHERE event_id = 'e1';
SELECT event_id, user_id, action, METADATA$ACTION, METADATA$ISUPDATE FROM events_stream;
| event_id | user_id | action   | METADATA$ACTION | METADATA$ISUPDATE |
| e1       | 123     | login    | INSERT          | FALSE             |
| e2       | 456     | purchase | INSERT          | FALSE             |
| e3       | 123     | logout   | INSERT          | FALSE             |
SELECT timestamp FROM events WHERE event_id = 'e2';
| timestamp           |
| 2024-01-15 10:05:00 |

-- L2405: the events stream feeds metrics by the hour.
CREATE TABLE events2 (event_type VARCHAR, timestamp TIMESTAMP);
CREATE TABLE event_metrics (event_hour TIMESTAMP, event_type VARCHAR, event_count INT);
CREATE STREAM events2_stream ON TABLE events2 CHANGES CAPTURE INSERT ONLY;
INSERT INTO events2 VALUES ('a', '2024-01-15 10:01'), ('a', '2024-01-15 10:59'), ('b', '2024-01-15 11:00');
INSERT INTO event_metrics
SELECT
    DATE_TRUNC('hour', timestamp) as event_hour,
    event_type,
    COUNT(*) as event_count
FROM events2_stream
GROUP BY event_hour, event_type;
-> 2 rows
SELECT * FROM event_metrics ORDER BY event_hour;
| event_hour          | event_type | event_count |
| 2024-01-15 10:00:00 | a          | 2           |
| 2024-01-15 11:00:00 | b          | 1           |

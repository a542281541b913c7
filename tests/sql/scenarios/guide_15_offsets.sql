-- The guide, "Code Example: Understanding Offset in Practice" (L3124), under its own words that
-- each consumer has an offset: the second consumer gets all three rows. With CONSUMERS = SHARED it
-- is as the guide's numbers have it.
-- Create table and stream
CREATE TABLE transactions (id INT, amount DECIMAL);
CREATE STREAM trans_stream ON TABLE transactions;
CREATE STREAM shared_stream ON TABLE transactions CONSUMERS = SHARED;
CREATE TABLE analytics (id INT, amount DECIMAL, action VARCHAR, is_update BOOLEAN, row_id VARCHAR);
CREATE TABLE compliance_log LIKE analytics;

-- Initial state
// Result: FALSE (no changes since offset = current version)
SELECT SYSTEM$STREAM_HAS_DATA('trans_stream') as has_data;
| has_data |
| FALSE    |

-- Make changes
INSERT INTO transactions VALUES (1, 100), (2, 200);

-- Now stream has data
SELECT SYSTEM$STREAM_HAS_DATA('trans_stream') as has_data;
| has_data |
| TRUE     |

-- Query stream (consumer 1)
INSERT INTO analytics
SELECT * FROM trans_stream;
-> 2 rows

-- Offset has advanced
SELECT SYSTEM$STREAM_HAS_DATA('trans_stream') as has_data;
| has_data |
| FALSE    |

-- Make more changes
INSERT INTO transactions VALUES (3, 300);
SELECT SYSTEM$STREAM_HAS_DATA('trans_stream') as has_data;
| has_data |
| TRUE     |

INSERT INTO compliance_log
SELECT * FROM trans_stream;
-> 3 rows
SELECT SYSTEM$STREAM_HAS_DATA('trans_stream', 'compliance_log') AS log, SYSTEM$STREAM_HAS_DATA('trans_stream', 'analytics') AS analytics;
| log   | analytics |
| FALSE | TRUE      |

-- The guide's numbers, on one shared watermark
TRUNCATE TABLE analytics;
TRUNCATE TABLE compliance_log;
INSERT INTO analytics SELECT * FROM shared_stream;
-> 3 rows
INSERT INTO transactions VALUES (4, 400);
INSERT INTO compliance_log
SELECT * FROM shared_stream;
-> 1 row
SELECT SYSTEM$STREAM_HAS_DATA('shared_stream') AS has_data;
| has_data |
| FALSE    |

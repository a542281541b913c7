-- The guide, "Historical Data and Streams".
-- T=0: Table created with initial customer data
CREATE TABLE customers (
    customer_id INT,
    name VARCHAR,
    email VARCHAR
);

-- T=0 to T=1000: Over weeks, customers are added, modified, deleted
INSERT INTO customers VALUES (1, 'Alice', 'alice@example.com');
UPDATE customers SET email = 'newemail@example.com' WHERE customer_id = 1;
INSERT INTO customers VALUES (2, 'Bob', 'bob@example.com');

-- T=1001: Finally create a stream
CREATE STREAM customers_stream ON TABLE customers;

-- Query 1: Immediately after creation
SELECT * FROM customers_stream;
| customer_id | name | email | METADATA$ACTION | METADATA$ISUPDATE | METADATA$ROW_ID |

-- T=1002: New customer added
INSERT INTO customers VALUES (3, 'Charlie', 'charlie@example.com');

-- Query 2: After the insertion
SELECT customer_id, name FROM customers_stream;
| customer_id | name    |
| 3           | Charlie |

-- Option 1: Copy the current state into a consumer table, and then let the stream go on
CREATE TABLE customers_history (customer_id INT, name VARCHAR, email VARCHAR, action VARCHAR, processed_time TIMESTAMP_LTZ);
INSERT INTO customers_history
SELECT *, 'INSERT' as action, CURRENT_TIMESTAMP() as processed_time
FROM customers;
-> 3 rows

-- Option 3, as Headwater has it: the stream starts in the past, or shows what is there first.
CREATE STREAM from_the_start ON TABLE customers AT (VERSION => 0);
SELECT COUNT(*) AS n FROM from_the_start;
| n |
| 5 |
CREATE STREAM with_what_is_there ON TABLE customers SHOW_INITIAL_ROWS = TRUE;
SELECT customer_id, METADATA$ACTION, METADATA$ISUPDATE FROM with_what_is_there;
-> unordered
| customer_id | METADATA$ACTION | METADATA$ISUPDATE |
| 1           | INSERT          | FALSE             |
| 2           | INSERT          | FALSE             |
| 3           | INSERT          | FALSE             |

-- Time travel
SELECT name, email FROM customers AT (VERSION => 1);
| name  | email             |
| Alice | alice@example.com |
SELECT * FROM customers AT (TIMESTAMP => '1970-01-01'::TIMESTAMP_NTZ);
-> error E_OUTSIDE_HISTORY: history

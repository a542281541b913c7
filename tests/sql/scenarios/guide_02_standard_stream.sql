-- The guide, "Standard Stream": a customer changes the email.
CREATE TABLE customers (customer_id INT, email VARCHAR);
INSERT INTO customers VALUES (123, 'john@old.com');
CREATE STREAM customers_stream ON TABLE customers;
UPDATE customers SET email = 'john@new.com' WHERE customer_id = 123;
-> 1 row
SELECT customer_id, email, METADATA$ACTION, METADATA$ISUPDATE FROM customers_stream;
| customer_id | email        | METADATA$ACTION | METADATA$ISUPDATE |
| 123         | john@old.com | DELETE          | TRUE              |
| 123         | john@new.com | INSERT          | TRUE              |

-- The row id is the row's: both halves have the same.
SELECT COUNT(DISTINCT METADATA$ROW_ID) AS ids FROM customers_stream;
| ids |
| 1   |

-- MERGE is captured too.
MERGE INTO customers t USING (SELECT 123 AS id, 'j@x.com' AS mail UNION ALL SELECT 124, 'k@x.com') s
ON t.customer_id = s.id
WHEN MATCHED THEN UPDATE SET email = s.mail
WHEN NOT MATCHED THEN INSERT (customer_id, email) VALUES (s.id, s.mail);
-> 2 rows
SELECT customer_id, email, METADATA$ACTION, METADATA$ISUPDATE FROM customers_stream
WHERE METADATA$VERSION = (SELECT MAX(METADATA$VERSION) FROM customers_stream);
-> unordered
| customer_id | email        | METADATA$ACTION | METADATA$ISUPDATE |
| 123         | john@new.com | DELETE          | TRUE              |
| 123         | j@x.com      | INSERT          | TRUE              |
| 124         | k@x.com      | INSERT          | FALSE             |

-- The guide, Question 3.2, scenario 2: a profile and its changes.
CREATE TABLE customer_profiles (
    customer_id INT PRIMARY KEY,
    name VARCHAR,
    email VARCHAR,
    phone VARCHAR,
    status VARCHAR
);
CREATE STREAM customer_stream ON TABLE customer_profiles;
CREATE STREAM customer_appends ON TABLE customer_profiles CHANGES CAPTURE INSERT ONLY;

-- Day 1: Customer signs up
INSERT INTO customer_profiles VALUES (1, 'John', 'john@old.com', '555-0001', 'new');

-- Day 5: Customer updates email
UPDATE customer_profiles SET email = 'john@new.com' WHERE customer_id = 1;

-- Day 10: Customer changes phone
UPDATE customer_profiles SET phone = '555-2345' WHERE customer_id = 1;

SELECT customer_id, name, email, phone, status FROM customer_appends;
| customer_id | name | email        | phone    | status |
| 1           | John | john@old.com | 555-0001 | new    |

-- Initial insert, email update, phone update
SELECT email, phone FROM customer_stream WHERE METADATA$ACTION = 'INSERT';
| email        | phone    |
| john@old.com | 555-0001 |
| john@new.com | 555-0001 |
| john@new.com | 555-2345 |

-- The key is enforced
INSERT INTO customer_profiles VALUES (1, 'Jim', 'jim@x.com', '555', 'new');
-> error E_DUPLICATE_KEY: customer_id

-- The guide, "Real-World Example: E-Commerce Analytics": one stream, three consumers.
-- Source table: all customer purchases
CREATE TABLE purchases (
    purchase_id INT,
    customer_id INT,
    product_id INT,
    amount DECIMAL,
    purchase_time TIMESTAMP
);

-- Create single stream
CREATE STREAM purchases_stream ON TABLE purchases;
CREATE TABLE real_time_dashboard (customer_id INT, daily_total DECIMAL);
CREATE TABLE monthly_report (month TIMESTAMP, purchase_count INT, revenue DECIMAL);

INSERT INTO purchases VALUES
    (1, 7, 70, 100.5, '2024-01-15 10:00:00'),
    (2, 7, 71, 6000, '2024-01-20 11:00:00'),
    (3, 8, 70, 12.25, '2024-02-01 00:00:00');

-- Consumer 1: Real-time dashboard (needs latest data)
INSERT INTO real_time_dashboard
SELECT customer_id, SUM(amount) as daily_total
FROM purchases_stream
GROUP BY customer_id;
-> 2 rows
SELECT * FROM real_time_dashboard ORDER BY customer_id;
| customer_id | daily_total |
| 7           | 6100.5      |
| 8           | 12.25       |

INSERT INTO purchases VALUES (4, 8, 72, 1, '2024-02-02 00:00:00');

-- Consumer 2: Monthly reporting (processes once a day)
INSERT INTO monthly_report
SELECT DATE_TRUNC('month', purchase_time) as month, COUNT(*) as purchase_count, SUM(amount) as revenue
FROM purchases_stream
GROUP BY DATE_TRUNC('month', purchase_time);
-> 2 rows
SELECT * FROM monthly_report ORDER BY month;
| month               | purchase_count | revenue |
| 2024-01-01 00:00:00 | 2              | 6100.5  |
| 2024-02-01 00:00:00 | 2              | 13.25   |

-- Consumer 3: Fraud detection. SELECT * has the METADATA$ columns too, so the target has them.
CREATE TABLE suspicious_purchases (
    purchase_id INT, customer_id INT, product_id INT, amount DECIMAL, purchase_time TIMESTAMP,
    action VARCHAR, is_update BOOLEAN, row_id VARCHAR
);
INSERT INTO suspicious_purchases
SELECT *
FROM purchases_stream
WHERE amount > 5000 AND METADATA$ACTION = 'INSERT';
-> 1 row
SELECT purchase_id, amount, action FROM suspicious_purchases;
| purchase_id | amount | action |
| 2           | 6000   | INSERT |

-- Each at its own place
SELECT consumer_name, watermark, head FROM information_schema.stream_consumers
WHERE stream_name = 'purchases_stream' ORDER BY watermark, consumer_name;
| CONSUMER_NAME        | WATERMARK | HEAD |
| real_time_dashboard  | 1         | 2    |
| monthly_report       | 2         | 2    |
| suspicious_purchases | 2         | 2    |

-- A table without the three columns cannot take SELECT * (Snowflake says so too).
CREATE TABLE narrow (purchase_id INT, customer_id INT, product_id INT, amount DECIMAL, purchase_time TIMESTAMP);
INSERT INTO narrow SELECT * FROM purchases_stream;
-> error E_COLUMN_COUNT: 8
SELECT consumer_name FROM information_schema.stream_consumers WHERE consumer_name = 'narrow';
| CONSUMER_NAME |

-- The guide, "How to Check If Two Consumers Are In Sync" (L3433), which gives no arguments.
CREATE TABLE orders (order_id INT);
CREATE STREAM orders_stream ON TABLE orders;
CREATE TABLE sales_analytics (order_id INT);
CREATE TABLE fraud_detection (order_id INT);
INSERT INTO orders VALUES (1);
INSERT INTO fraud_detection SELECT order_id FROM orders_stream;
INSERT INTO orders VALUES (2);
INSERT INTO sales_analytics SELECT order_id FROM orders_stream;

SET stream_name = 'orders_stream';
SET consumer1 = 'sales_analytics';
SET consumer2 = 'fraud_detection';

SELECT
    $stream_name as stream_name,
    $consumer1 as consumer_name,
    SYSTEM$STREAM_OFFSET($stream_name, $consumer1) as current_version
UNION ALL
SELECT $stream_name, $consumer2, SYSTEM$STREAM_OFFSET($stream_name, $consumer2)
ORDER BY current_version DESC;
| stream_name   | consumer_name   | current_version |
| orders_stream | sales_analytics | v2              |
| orders_stream | fraud_detection | v1              |

SELECT consumer_name, watermark, lag_versions,
    ROW_NUMBER() OVER (ORDER BY watermark DESC) as position
FROM information_schema.stream_consumers WHERE stream_name = $stream_name ORDER BY position;
| CONSUMER_NAME   | WATERMARK | LAG_VERSIONS | position |
| sales_analytics | 2         | 0            | 1        |
| fraud_detection | 1         | 1            | 2        |

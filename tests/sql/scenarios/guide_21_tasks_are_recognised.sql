-- Tasks have a place of their own later: until then they are recognised and say so.
CREATE TABLE orders (order_id INT);
CREATE STREAM orders_stream ON TABLE orders;
CREATE TASK process_orders_automatically
WHEN SYSTEM$STREAM_HAS_DATA('orders_stream')
AS
    INSERT INTO processed_orders
    SELECT * FROM orders_stream;
-> error E_NOT_SUPPORTED: TASK
ALTER TASK process_orders_automatically RESUME;
-> error E_NOT_SUPPORTED: TASK

-- What is shown as what not to do
CREATE TRIGGER order_update_trigger AFTER UPDATE ON orders FOR EACH ROW;
-> error E_NOT_SUPPORTED: TRIGGER

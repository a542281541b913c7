-- The guide, Question 3.2: what an append-only stream leaves out.
CREATE TABLE product_inventory (
    product_id INT,
    quantity INT,
    last_updated TIMESTAMP
);
INSERT INTO product_inventory VALUES (100, 50, '2024-01-15 10:00:00');
CREATE STREAM inventory_appends ON TABLE product_inventory APPEND_ONLY = TRUE;
CREATE STREAM inventory_stream ON TABLE product_inventory;
CREATE STREAM inventory_net ON TABLE product_inventory CHANGES CAPTURE (NET);

-- Business operations
UPDATE product_inventory SET quantity = 45 WHERE product_id = 100;
UPDATE product_inventory SET quantity = 100 WHERE product_id = 100;
SELECT COUNT(*) AS n FROM inventory_appends;
| n |
| 0 |
SELECT SYSTEM$STREAM_HAS_DATA('inventory_appends') AS has_data;
| has_data |
| FALSE    |

-- A full stream has every step (L2467 wants them; Snowflake's delta would show one pair)
SELECT product_id, quantity, METADATA$ACTION, METADATA$ISUPDATE FROM inventory_stream;
| product_id | quantity | METADATA$ACTION | METADATA$ISUPDATE |
| 100        | 50       | DELETE          | TRUE              |
| 100        | 45       | INSERT          | TRUE              |
| 100        | 45       | DELETE          | TRUE              |
| 100        | 100      | INSERT          | TRUE              |
SELECT product_id, quantity, METADATA$ACTION, METADATA$ISUPDATE FROM inventory_net;
| product_id | quantity | METADATA$ACTION | METADATA$ISUPDATE |
| 100        | 50       | DELETE          | TRUE              |
| 100        | 100      | INSERT          | TRUE              |

-- L2439 names a column that the table has not
UPDATE product_inventory SET quantity_available = 45 WHERE product_id = 100;
-> error E_NOT_FOUND: quantity_available

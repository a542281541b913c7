-- INSERT, UPDATE .. FROM, DELETE .. USING, MERGE, TRUNCATE, INSERT ALL (SPEC 2).
CREATE TABLE stock (id INT PRIMARY KEY, qty INT, note VARCHAR DEFAULT 'none');
CREATE TABLE incoming (id INT, qty INT);
INSERT INTO stock (id, qty) SELECT 1, 10 UNION ALL SELECT 2, 20 UNION ALL SELECT 3, 30;
-> 3 rows
INSERT INTO incoming VALUES (2, 5), (4, 40);
UPDATE stock SET qty = stock.qty + i.qty FROM incoming i WHERE stock.id = i.id;
-> 1 row
DELETE FROM stock USING incoming i WHERE stock.id = i.id AND i.id = 2;
-> 1 row
MERGE INTO stock t USING incoming s ON t.id = s.id
WHEN MATCHED AND t.qty > 100 THEN DELETE
WHEN MATCHED THEN UPDATE SET qty = s.qty, note = 'merged'
WHEN NOT MATCHED AND s.qty > 30 THEN INSERT (id, qty) VALUES (s.id, s.qty)
WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.qty, 'small');
-> 2 rows
SELECT * FROM stock ORDER BY id;
| id | qty | note  |
| 1  | 10  | none  |
| 2  | 5   | small |
| 3  | 30  | none  |
| 4  | 40  | none  |

-- Several source rows for one target row
INSERT INTO incoming VALUES (4, 41);
UPDATE stock SET qty = i.qty FROM incoming i WHERE stock.id = i.id;
-> error E_NONDETERMINISTIC: stock
MERGE INTO stock t USING incoming s ON t.id = s.id WHEN MATCHED THEN UPDATE SET qty = s.qty;
-> error E_NONDETERMINISTIC: stock
-- It is no error where no clause is triggered more than once
MERGE INTO stock t USING incoming s ON t.id = s.id WHEN MATCHED AND s.qty = 41 THEN UPDATE SET qty = s.qty;
-> 1 row
ALTER SESSION SET ERROR_ON_NONDETERMINISTIC_UPDATE = FALSE;
UPDATE stock SET note = 'any' FROM incoming i WHERE stock.id = i.id AND i.id = 4;
-> 1 row

-- Key changes as a set: two rows swap theirs
UPDATE stock SET id = CASE id WHEN 1 THEN 3 WHEN 3 THEN 1 ELSE id END WHERE id IN (1, 3);
-> 2 rows
SELECT id, qty FROM stock WHERE id IN (1, 3) ORDER BY id;
| id | qty |
| 1  | 30  |
| 3  | 10  |
UPDATE stock SET id = 2 WHERE id = 1;
-> error E_DUPLICATE_KEY: id = 2

-- Several tables in one statement
CREATE TABLE small (id INT, qty INT);
CREATE TABLE large (id INT, qty INT);
INSERT ALL
    WHEN qty < 20 THEN INTO small VALUES (id, qty)
    WHEN qty >= 20 THEN INTO large (id, qty) VALUES (id, qty)
    ELSE INTO small (id) VALUES (id)
SELECT id, qty FROM stock;
-> 4 rows
SELECT (SELECT COUNT(*) FROM small) AS small, (SELECT COUNT(*) FROM large) AS large;
| small | large |
| 2     | 2     |
INSERT OVERWRITE INTO small SELECT 9, 9;
-> some columns
SELECT * FROM small;
| id | qty |
| 9  | 9   |
TRUNCATE TABLE large;
-> 2 rows
DELETE FROM stock;
-> 4 rows

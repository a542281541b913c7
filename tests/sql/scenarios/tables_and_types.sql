-- Types, casts of assignments, defaults, keys (SPEC 2).
CREATE TABLE t (
    id INT PRIMARY KEY,
    price NUMBER(6,2) NOT NULL DEFAULT 1.005,
    plain DECIMAL,
    ratio FLOAT,
    ok BOOLEAN,
    name VARCHAR(5),
    raw BINARY,
    d DATE,
    tm TIME,
    ts TIMESTAMP,
    doc VARIANT
);
INSERT INTO t (id) VALUES (1);
SELECT id, price, plain, name FROM t;
| id | price | plain | name |
| 1  | 1.01  | NULL  | NULL |
INSERT INTO t VALUES ('2', '3.455', 1.5, '0.5', 'true', 7, X'CAFE', '2024-02-29', '10:11:12', '2024-02-29 10:11:12.123456', PARSE_JSON('{"a": [1, {"b": "x"}]}'));
SELECT id, price, plain, ratio, ok, name, d, tm, ts, doc:a[1].b::VARCHAR AS b FROM t WHERE id = 2;
| id | price | plain | ratio | ok   | name | d          | tm       | ts                         | b |
| 2  | 3.46  | 1.5   | 0.5   | TRUE | 7    | 2024-02-29 | 10:11:12 | 2024-02-29 10:11:12.123456 | x |
INSERT INTO t (id, name) VALUES (3, 'too long');
-> error E_VALUE: name
INSERT INTO t (id, price) VALUES (3, NULL);
-> error E_VALUE: price
INSERT INTO t (id, price) VALUES (3, 12345.678);
-> error E_VALUE: price
INSERT INTO t (id, d) VALUES (3, 'yesterday');
-> error E_VALUE: d
INSERT INTO t (id) VALUES (3), (3);
-> error E_DUPLICATE_KEY: id
SELECT COUNT(*) AS n FROM t;
| n |
| 2 |
CREATE TABLE numbered (n INT AUTOINCREMENT START 10 INCREMENT 5, what VARCHAR);
INSERT INTO numbered (what) VALUES ('a'), ('b');
SELECT * FROM numbered ORDER BY n;
| n  | what |
| 10 | a    |
| 15 | b    |

-- Names: without regard to case, kept as declared; quoted ones exact
CREATE TABLE "Odd Name" ("Select" INT, Camel INT);
INSERT INTO "Odd Name" ("Select", CAMEL) VALUES (1, 2);
SELECT * FROM "Odd Name";
| Select | Camel |
| 1      | 2     |
CREATE SCHEMA sales;
CREATE TABLE sales.orders (id INT);
USE SCHEMA sales;
INSERT INTO orders VALUES (1);
SELECT COUNT(*) AS n FROM any_database.sales.orders;
| n |
| 1 |

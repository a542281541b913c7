-- Snowflake's names and results for what people use with streams.
SELECT IFF(1 < 2, 'y', 'n') AS a, NVL(NULL, 2) AS b, ZEROIFNULL(NULL) AS c, NULLIFZERO(0) AS d, DECODE(2, 1, 'one', 2, 'two', 'other') AS e;
| a | b | c | d    | e   |
| y | 2 | 0 | NULL | two |
SELECT DATE_TRUNC('month', '2024-05-15'::DATE) AS m, DATEADD(day, 3, '2024-05-30'::DATE) AS p, DATEDIFF('hour', '2024-01-01 00:30'::TIMESTAMP, '2024-01-01 02:10'::TIMESTAMP) AS h, YEAR('2024-05-15'::DATE) AS y;
| m          | p          | h | y    |
| 2024-05-01 | 2024-06-02 | 2 | 2024 |
SELECT 7 / 2 AS q, ROUND(2.5) AS r, 10 % 3 AS m, 1.5::INT AS i, '12'::NUMBER(5,1) AS n, TRY_CAST('x' AS INT) AS t;
| q        | r | m | i | n    | t    |
| 3.500000 | 3 | 1 | 2 | 12.0 | NULL |
SELECT UPPER('a') || LOWER('B') AS c, SPLIT_PART('a-b-c', '-', 2) AS s, LENGTH('abc') AS l, SUBSTR('hello', 2, 3) AS u, 'Hello' ILIKE 'h%' AS i, CONCAT('a', 'b') AS k;
| c  | s | l | u   | i    | k  |
| Ab | b | 3 | ell | TRUE | ab |
SELECT id, v, ROW_NUMBER() OVER (PARTITION BY v ORDER BY id) AS r FROM (SELECT 1 AS id, 'a' AS v UNION ALL SELECT 2, 'a' UNION ALL SELECT 3, 'b') QUALIFY r = 1 ORDER BY id;
| id | v | r |
| 1  | a | 1 |
| 3  | b | 1 |
SELECT f.value::INT AS v FROM (SELECT PARSE_JSON('[3, 1, 2]') AS a) t, LATERAL FLATTEN(input => t.a) f ORDER BY v;
| v |
| 1 |
| 2 |
| 3 |
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT SUM(i) AS s FROM n;
| s |
| 6 |
SELECT 1 INTERSECT SELECT 1;
| 1 |
| 1 |
SELECT no_such_function(1);
-> error E_NOT_SUPPORTED: NO_SUCH_FUNCTION
SELECT read_csv('/etc/passwd');
-> error E_NOT_SUPPORTED: READ_CSV
SELECT 1 / 0;
-> error E_DIVISION_BY_ZERO: zero
SELEC 1;
-> error E_SQL_SYNTAX: line 1, column 1

"""Functions by family, each with the result that Snowflake's documentation gives for it."""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal

import pytest
from support_statements import Sql, sql_store


@pytest.fixture(scope="module")
def sql() -> Iterator[Sql]:
    with sql_store() as opened:
        yield opened


D = Decimal

TEXTS: list[tuple[str, object]] = [
    ("UPPER('aB')", "AB"),
    ("LOWER('aB')", "ab"),
    ("LENGTH('äb')", 2),
    ("LENGTH(TO_BINARY('616263', 'HEX'))", 3),
    ("SUBSTR('abcdef', 2, 3)", "bcd"),
    ("SUBSTR('abcdef', 0, 2)", "ab"),
    ("SUBSTR('abcdef', -3, 2)", "de"),
    ("SUBSTRING('abc', 2)", "bc"),
    ("LEFT('abc', 2)", "ab"),
    ("RIGHT('abc', 2)", "bc"),
    ("TRIM('  a ')", "a"),
    ("TRIM('xxaxx', 'x')", "a"),
    ("LTRIM('xxa', 'x')", "a"),
    ("RTRIM('a  ')", "a"),
    ("REPLACE('aXb', 'X', '-')", "a-b"),
    ("REPLACE('aXb', 'X')", "ab"),
    ("CONCAT('a', 'b')", "ab"),
    ("CONCAT('a', NULL)", None),
    ("'a' || 1 || TRUE", "a1true"),
    ("CONCAT_WS('-', 'a', 'b')", "a-b"),
    ("CONCAT_WS('-', 'a', NULL)", None),
    ("SPLIT_PART('a,b,c', ',', 2)", "b"),
    ("SPLIT_PART('a,b,c', ',', -1)", "c"),
    ("SPLIT_PART('a,b,c', ',', 0)", "a"),
    ("SPLIT_PART('a,b,c', ',', 9)", ""),
    ("SPLIT('a,b', ',')", '["a","b"]'),
    ("STRTOK('a.b-c', '.-', 3)", "c"),
    ("POSITION('b' IN 'abc')", 2),
    ("CHARINDEX('c', 'abcabc', 4)", 6),
    ("CONTAINS('abc', 'b')", True),
    ("STARTSWITH('abc', 'ab')", True),
    ("ENDSWITH('abc', 'bc')", True),
    ("REVERSE('abc')", "cba"),
    ("REPEAT('ab', 2)", "abab"),
    ("LPAD('5', 3, '0')", "005"),
    ("RPAD('abc', 2)", "ab"),
    ("INITCAP('the quick-brown fOX')", "The Quick-Brown Fox"),
    ("CHR(65)", "A"),
    ("ASCII('A')", 65),
    ("TRANSLATE('abc', 'ab', 'xy')", "xyc"),
    ("INSERT('abc', 2, 1, 'ZZ')", "aZZc"),
    ("MD5('a')", "0cc175b9c0f1b6a831c399e269772661"),
    ("HEX_ENCODE('abc')", "616263"),
    ("BASE64_ENCODE('abc')", "YWJj"),
    ("EDITDISTANCE('ab', 'ac')", 1),
    ("'ABC' ILIKE 'a%'", True),
    ("'abc' LIKE 'a_c'", True),
    ("'a%' LIKE 'a^%' ESCAPE '^'", True),
    ("'abc' LIKE ANY ('x%', 'a%')", True),
    ("'abc' RLIKE 'a.c'", True),
    ("REGEXP_LIKE('xabcx', 'abc')", False),
    ("REGEXP_LIKE('ABC', 'abc', 'i')", True),
    ("REGEXP_REPLACE('a1b2', '[0-9]', '#')", "a#b#"),
    ("REGEXP_SUBSTR('ab12cd34', '[0-9]+')", "12"),
    ("REGEXP_SUBSTR('ab', '[0-9]+')", None),
    ("REGEXP_COUNT('aXbX', 'X')", 2),
]
NUMBERS: list[tuple[str, object]] = [
    ("7 / 2", D("3.500000")),
    ("1 / 3", D("0.333333")),
    ("-2 / 3", D("-0.666667")),
    ("10.50 / 4", D("2.62500000")),
    ("1.5 * 2", D("3.0")),
    ("1.25 + 2.5", D("3.75")),
    ("7 % 3", 1),
    ("MOD(-7.5, 2)", D("-1.5")),
    ("'5' + 1", D("6.00000")),
    ("1e2 + 1", 101.0),
    ("-(-3)", 3),
    ("ROUND(2.5)", D("3")),
    ("ROUND(-2.5)", D("-3")),
    ("ROUND(1234.567, -2)", D("1200")),
    ("ROUND(1.455, 2)", D("1.46")),
    ("TRUNC(2.79, 1)", D("2.7")),
    ("TRUNC(-2.79)", D("-2")),
    ("CEIL(2.1)", D("3")),
    ("FLOOR(-2.1)", D("-3")),
    ("FLOOR(12.348, 2)", D("12.34")),
    ("ABS(-5)", 5),
    ("SIGN(-2)", -1),
    ("SQRT(16)", 4.0),
    ("POWER(2, 10)", 1024.0),
    ("LOG(10, 100)", 2.0),
    ("GREATEST(1, 5, 3)", 5),
    ("LEAST(1, NULL)", None),
    ("DIV0(1, 0)", D("0.000000")),
    ("DIV0(1, 4)", D("0.250000")),
    ("ZEROIFNULL(NULL)", 0),
    ("NULLIFZERO(0)", None),
    ("BITAND(5, 3)", 1),
    ("BITOR(5, 3)", 7),
    ("BITXOR(5, 3)", 6),
    ("BITSHIFTLEFT(1, 4)", 16),
    ("WIDTH_BUCKET(5, 0, 10, 5)", 3),
    ("FACTORIAL(5)", D("120")),
]
TIMES: list[tuple[str, object]] = [
    ("DATEADD(month, 1, '2024-01-31'::DATE)", date(2024, 2, 29)),
    ("DATEADD(hour, 2, '2024-01-31'::DATE)", datetime(2024, 1, 31, 2)),
    ("DATEADD('day', -1, '2024-03-01 10:00:00'::TIMESTAMP)", datetime(2024, 2, 29, 10)),
    ("DATEDIFF(day, '2024-01-01', '2024-01-05')", 4),
    ("DATEDIFF(week, '2024-01-07', '2024-01-08')", 1),
    ("DATEDIFF(month, '2024-01-31'::DATE, '2024-02-01'::DATE)", 1),
    ("DATEDIFF(year, '2023-12-31', '2024-01-01')", 1),
    ("DATEDIFF(hour, '2024-01-01 00:59:00'::TIMESTAMP, '2024-01-01 01:00:00'::TIMESTAMP)", 1),
    ("DATE_TRUNC('month', '2024-05-06'::DATE)", date(2024, 5, 1)),
    ("DATE_TRUNC('week', '2024-01-07'::DATE)", date(2024, 1, 1)),
    ("DATE_TRUNC('hour', '2024-05-06 10:11:12'::TIMESTAMP)", datetime(2024, 5, 6, 10)),
    ("YEAR('2024-05-06'::DATE)", 2024),
    ("QUARTER('2024-05-06'::DATE)", 2),
    ("DAYOFWEEK('2024-01-07'::DATE)", 0),
    ("DAYOFWEEKISO('2024-01-07'::DATE)", 7),
    ("WEEKISO('2024-12-30'::DATE)", 1),
    ("DATE_PART('epoch_second', '1970-01-02'::TIMESTAMP)", 86400),
    ("EXTRACT(minute FROM '2024-01-01 10:11:12'::TIMESTAMP)", 11),
    ("LAST_DAY('2024-02-03'::DATE)", date(2024, 2, 29)),
    ("NEXT_DAY('2024-01-01'::DATE, 'mo')", date(2024, 1, 8)),
    ("PREVIOUS_DAY('2024-01-08'::DATE, 'mo')", date(2024, 1, 1)),
    ("MONTHNAME('2024-05-06'::DATE)", "May"),
    ("DAYNAME('2024-01-07'::DATE)", "Sun"),
    ("ADD_MONTHS('2024-02-29'::DATE, 1)", date(2024, 3, 31)),
    ("MONTHS_BETWEEN('2024-03-31'::DATE, '2024-02-29'::DATE)", 1.0),
    ("DATE_FROM_PARTS(2024, 13, 1)", date(2025, 1, 1)),
    ("TIME_FROM_PARTS(1, 2, 3)", time(1, 2, 3)),
    ("TIMESTAMP_FROM_PARTS(2024, 1, 2, 3, 4, 5)", datetime(2024, 1, 2, 3, 4, 5)),
    ("TIME_SLICE('2024-01-01 10:17:00'::TIMESTAMP, 15, 'MINUTE')", datetime(2024, 1, 1, 10, 15)),
    ("TO_CHAR('2024-01-02 13:04:05.678'::TIMESTAMP, 'YYYY/MM/DD HH12:MI:SS.FF3 AM')",
     "2024/01/02 01:04:05.678 PM"),
    ("TO_VARCHAR('2024-01-02'::DATE, 'DD-MON-YYYY')", "02-Jan-2024"),
    ("TO_DATE('20240102', 'YYYYMMDD')", date(2024, 1, 2)),
    ("TRY_TO_DATE('no date')", None),
    ("TO_TIMESTAMP('02.01.2024 10:11', 'DD.MM.YYYY HH24:MI')", datetime(2024, 1, 2, 10, 11)),
    ("TO_TIMESTAMP(1700000000)", datetime(2023, 11, 14, 22, 13, 20)),
    ("TO_TIMESTAMP('1700000000000')", datetime(2023, 11, 14, 22, 13, 20)),
    ("'2024-01-01'::DATE + 5", date(2024, 1, 6)),
    ("'2024-01-10'::DATE - '2024-01-01'::DATE", 9),
    ("'2024-01-31'::DATE + INTERVAL '1 month'", date(2024, 2, 29)),
    ("CONVERT_TIMEZONE('UTC', 'Europe/Berlin', '2024-07-01 12:00:00'::TIMESTAMP)",
     datetime(2024, 7, 1, 14)),
    ("TO_VARCHAR('2024-07-01 12:00:00 +02:00'::TIMESTAMP_TZ)", "2024-07-01 12:00:00.000 +0200"),
    ("'2024-07-01 12:00:00 +02:00'::TIMESTAMP_TZ = '2024-07-01 10:00:00Z'::TIMESTAMP_LTZ", True),
    ("HOUR('2024-07-01 12:00:00 +02:00'::TIMESTAMP_TZ)", 12),
    ("CURRENT_TIMESTAMP = CURRENT_TIMESTAMP()", True),
    ("CURRENT_DATE = CURRENT_TIMESTAMP::DATE", True),
]  # fmt: skip
CASTS: list[tuple[str, object]] = [
    ("'12'::INT", 12),
    ("'1.5'::INT", 2),
    ("2.5::FLOAT::INT", 3),
    ("-2.5::FLOAT::INT", -3),
    ("12.345::NUMBER(10,2)", D("12.35")),
    ("'12.6'::NUMBER", D("13")),
    ("1.50::VARCHAR", "1.50"),
    ("100::FLOAT::VARCHAR", "100"),
    ("TRUE::VARCHAR", "true"),
    ("'yes'::BOOLEAN", True),
    ("0::BOOLEAN", False),
    ("TRUE::INT", 1),
    ("'abc'::VARCHAR(2)", "ab"),
    ("'2024-01-02 03:04:05'::TIMESTAMP::DATE", date(2024, 1, 2)),
    ("'2024-01-02'::DATE::VARCHAR", "2024-01-02"),
    ("'2024-01-02 03:04:05.678'::TIMESTAMP::VARCHAR", "2024-01-02 03:04:05.678"),
    ("'10:11:12'::TIME", time(10, 11, 12)),
    ("TRY_CAST('x' AS INT)", None),
    ("TRY_TO_NUMBER('x')", None),
    ("TO_DECIMAL('12.345', 10, 2)", D("12.35")),
    ("TO_VARCHAR(1234.5, '9,999.00')", " 1,234.50"),
    ("x'6162'", b"ab"),
]
CHOICES: list[tuple[str, object]] = [
    ("IFF(1 > 2, 'a', 'b')", "b"),
    ("DECODE(NULL, NULL, 'n', 'x')", "n"),
    ("DECODE(3, 1, 'one', 2, 'two')", None),
    ("NVL(NULL, 5)", 5),
    ("NVL2(1, 'y', 'n')", "y"),
    ("COALESCE(NULL, NULL, 'c')", "c"),
    ("NULLIF(1, 1)", None),
    ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"),
    ("CASE WHEN FALSE THEN 1 ELSE 2.5 END", D("2.5")),
    ("EQUAL_NULL(NULL, NULL)", True),
    ("1 IS DISTINCT FROM NULL", True),
    ("2 BETWEEN 1 AND 3", True),
    ("2 NOT IN (1, 3)", True),
    ("NULL IN (1, 2)", None),
    ("(1, 2) = (1, 2)", True),
    ("NOT NULL", None),
    ("BOOLXOR(TRUE, FALSE)", True),
]
VARIANTS: list[tuple[str, object]] = [
    ('PARSE_JSON(\'{"a":{"b":[1,2]}}\'):a.b[1]::INT', 2),
    ('PARSE_JSON(\'{"a":"x"}\'):a::STRING', "x"),
    ('PARSE_JSON(\'{"a":"x"}\'):a', '"x"'),
    ("PARSE_JSON('{\"a\":1}'):missing", None),
    ('PARSE_JSON(\'{"A b":1}\'):"A b"::INT', 1),
    ("PARSE_JSON('{\"a\":1.50}'):a::NUMBER(5,2)", D("1.50")),
    ("PARSE_JSON('[1,2]')[0]::INT", 1),
    ("GET(PARSE_JSON('{\"k\":5}'), 'k')::INT", 5),
    ("GET_PATH(PARSE_JSON('{\"a\":{\"b\":5}}'), 'a.b')::INT", 5),
    ("PARSE_JSON('{\"n\":2}'):n + 1", 3.0),
    ("PARSE_JSON('{\"n\":2}'):n = 2", True),
    ("PARSE_JSON('{\"s\":\"x\"}'):s = 'x'", True),
    ("TYPEOF(PARSE_JSON('1'))", "INTEGER"),
    ("TYPEOF(PARSE_JSON('null'))", "NULL_VALUE"),
    ("PARSE_JSON('null') IS NULL", False),
    ("IS_NULL_VALUE(PARSE_JSON('null'))", True),
    ("PARSE_JSON('{\"a\":null}'):a::STRING", None),
    ("TRY_PARSE_JSON('{')", None),
    ("OBJECT_CONSTRUCT('b', 1, 'a', NULL, 'c', 'x')", '{"b":1,"c":"x"}'),
    ("OBJECT_CONSTRUCT_KEEP_NULL('a', NULL)", '{"a":null}'),
    ("OBJECT_INSERT({'a': 1}, 'z', 5)", '{"a":1,"z":5}'),
    ("OBJECT_DELETE({'a': 1, 'b': 2}, 'a')", '{"b":2}'),
    ("OBJECT_KEYS({'b': 1, 'a': 2})", '["a","b"]'),
    ("ARRAY_CONSTRUCT(1, 'a', NULL)", '[1,"a",null]'),
    ("ARRAY_SIZE([1, 2, 3])", 3),
    ("ARRAY_CONTAINS('a'::VARIANT, ['a', 1])", True),
    ("ARRAY_APPEND([1], 'x')", '[1,"x"]'),
    ("ARRAY_CAT([1], [2])", "[1,2]"),
    ("ARRAY_POSITION(2::VARIANT, [1, 2])", 1),
    ("ARRAY_SLICE([1, 2, 3], 0, 2)", "[1,2]"),
    ("ARRAY_TO_STRING(['a', 1], '-')", "a-1"),
    ("ARRAY_DISTINCT([1, 1, 2])", "[1,2]"),
    ("ARRAY_INTERSECTION([1, 2], [2, 3])", "[2]"),
    ("ARRAYS_OVERLAP([1, 2], [2, 3])", True),
    ("TO_JSON({'a': 'x'})", '{"a":"x"}'),
    ("1.5::VARIANT", "1.5"),
    ("'x'::VARIANT", '"x"'),
    ("'2024-01-02'::DATE::VARIANT", '"2024-01-02"'),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [*TEXTS, *NUMBERS, *TIMES, *CASTS, *CHOICES, *VARIANTS],
    ids=lambda one: one if isinstance(one, str) and len(one) > 5 else None,
)
def test_an_expression_has_the_value_that_snowflake_gives(
    sql: Sql, text: str, expected: object
) -> None:
    given = sql.result(f"SELECT {text}").table().column(0).to_pylist()[0]

    assert (given, type(given)) == (expected, type(expected))


# The same over rows, where nothing is folded: constants and columns must not differ.
ROWS: list[tuple[str, list[object]]] = [
    ("a / b", [D("0.500000"), D("0.666667"), None]),
    ("p / a", [D("1.50000000"), D("1.12500000"), None]),
    ("p * p", [D("2.2500"), D("5.0625"), None]),
    ("AVG(a) OVER ()", [D("1.500000")] * 3),
    ("ROUND(p, 1)", [D("1.5"), D("2.3"), None]),
    ("DATEDIFF(day, d, '2024-01-10')", [9, 5, None]),
    ("DATE_TRUNC('month', d)", [date(2024, 1, 1), date(2024, 1, 1), None]),
    ("v:k::INT", [7, None, None]),
    ("NVL(t, 'none')", ["x", "y", "none"]),
    ("z::TIMESTAMP_NTZ", [datetime(2024, 1, 1, 12), datetime(2024, 1, 1, 9), None]),
    ("l::DATE", [date(2024, 1, 1), date(2024, 1, 2), None]),
    ("a::VARIANT", ["1", "2", None]),
]


@pytest.mark.parametrize(("text", "expected"), ROWS, ids=[text for text, _ in ROWS])
def test_a_function_of_columns_gives_the_same_row_by_row(
    sql: Sql, text: str, expected: list[object]
) -> None:
    sql.result(
        "CREATE OR REPLACE TABLE f (a INT, b INT, p NUMBER(10,2), t VARCHAR, d DATE, v VARIANT,"
        " z TIMESTAMP_TZ, l TIMESTAMP_LTZ)"
    )
    sql.result(
        "INSERT INTO f SELECT 1, 2, 1.5, 'x', '2024-01-01', PARSE_JSON('{\"k\":7}'),"
        " '2024-01-01 12:00:00 +02:00', '2024-01-01 12:00:00Z'"
        " UNION ALL SELECT 2, 3, 2.25, 'y', '2024-01-05', PARSE_JSON('{}'),"
        " '2024-01-01 09:00:00 -01:00', '2024-01-01 23:30:00 -01:00'"
    )
    sql.result("INSERT INTO f (a) VALUES (NULL)")

    assert sql.result(f"SELECT {text} FROM f").table().column(0).to_pylist() == expected

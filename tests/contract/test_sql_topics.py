"""Tables FROM TOPIC in SQL, on every log: shaped by the topic, fed by REFRESH, written by nobody else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from support_sql import Sql, SqlStore

import headwater
from headwater.log_store.errors import StoreUnavailable
from headwater.log_store.port import Log
from headwater.log_store.source import Fetched, SourceRecord
from headwater.sql.errors import OperationalError


@dataclass
class Topic:
    """A topic of one partition that lives in the test, most messages at a time as given."""

    topic: str
    messages: list[tuple[bytes | None, bytes | None]] = field(
        default_factory=list[tuple[bytes | None, bytes | None]]
    )
    at_once: int = 2

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """From the first message to behind the last."""
        return {0: (0, len(self.messages))}

    def fetch(self, at: Mapping[int, int], most: int, timeout_s: float) -> Fetched:
        """The next messages."""
        start = at.get(0, 0)
        end = min(len(self.messages), start + min(most, self.at_once))
        records = [
            SourceRecord(0, n, *self.messages[n], 1_700_000_000_000) for n in range(start, end)
        ]
        return Fetched(tuple(records), {0: end} if end > start else {})

    def close(self) -> None:
        """Nothing is held."""


def change(op: str, **row: object) -> bytes:
    """A message in Debezium's envelope, JSON without a schema."""
    image = "before" if op == "d" else "after"
    return json.dumps({"op": op, image: row, "source": {"connector": "mongodb"}}).encode()


def described(op: str, **row: object) -> tuple[bytes, bytes]:
    """Key and value with the schema that tells the columns."""

    def struct(fields: list[dict[str, object]], name: str) -> dict[str, object]:
        return {"type": "struct", "fields": fields, "field": name, "optional": True}

    columns: list[dict[str, object]] = [
        {"type": "int64", "optional": False, "field": "id"},
        {"type": "string", "optional": True, "field": "name"},
    ]
    envelope = {
        "type": "struct",
        "fields": [struct(columns, "before"), struct(columns, "after")],
    }
    key = {"schema": {"type": "struct", "fields": columns[:1]}, "payload": {"id": row["id"]}}
    value = {
        "schema": envelope,
        "payload": {"op": op, "before": None, "after": row, "source": {"connector": "x"}},
    }
    return json.dumps(key).encode(), json.dumps(value).encode()


CREATE = "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR) FROM TOPIC 'shop.t'"


@pytest.fixture
def topic() -> Topic:
    """Three rows, one of them changed later."""
    made = Topic("shop.t")
    rows = [("c", 1, "ann"), ("c", 2, "bob"), ("c", 3, "cid"), ("u", 2, "bea")]
    made.messages = [(None, change(op, id=key, name=name)) for op, key, name in rows]
    return made


@pytest.fixture
def sql(log: Log, topic: Topic) -> Sql:
    """A session in a store that can read the topic."""
    return Sql(log, SqlStore(log, topics={topic.topic: topic}))


def rows(sql: Sql) -> list[tuple[object, ...]]:
    return sql.rows("SELECT * FROM t ORDER BY id")


def test_a_declared_table_is_read_to_the_topics_end_and_goes_on_from_there(
    sql: Sql, topic: Topic
) -> None:
    made = sql.run(CREATE)
    assert any("REFRESH" in notice for notice in made.notices)
    assert rows(sql) == []
    assert sql.count("ALTER TABLE t REFRESH") == 4
    assert rows(sql) == [(1, "ann"), (2, "bea"), (3, "cid")]
    assert sql.count("ALTER TABLE t REFRESH") == 0
    topic.messages.append((None, change("d", id=1, name="ann")))
    assert sql.one("ALTER TABLE t REFRESH") == "1 rows changed, 0 messages set aside."
    assert rows(sql) == [(2, "bea"), (3, "cid")]


def test_each_batch_is_a_commit_that_streams_see(sql: Sql) -> None:
    sql.run(f"{CREATE}; CREATE STREAM s ON TABLE t")
    sql.run("ALTER TABLE t REFRESH")
    shown = sql.rows("SELECT name, METADATA$ACTION, METADATA$VERSION FROM s")
    # Between keys a topic promises no order.
    assert sorted(map(str, shown)) == [
        "('ann', 'INSERT', 1)",
        "('bea', 'INSERT', 2)",
        "('bob', 'DELETE', 2)",
        "('bob', 'INSERT', 1)",
        "('cid', 'INSERT', 2)",
    ]


def test_a_message_that_cannot_be_read_is_set_aside_and_told(sql: Sql, topic: Topic) -> None:
    topic.messages.insert(1, (None, b"no envelope"))
    sql.run(CREATE)
    assert sql.one("ALTER TABLE t REFRESH") == "4 rows changed, 1 messages set aside."
    assert sql.one("SELECT COUNT(*) FROM t__set_aside") == 1


def test_the_topic_tells_columns_and_key_where_none_are_declared(sql: Sql, topic: Topic) -> None:
    topic.messages = [described("c", id=7, name="zoe")]
    sql.run("CREATE TABLE t FROM TOPIC 'shop.t' COMMENT = 'theirs'")
    sql.run("ALTER TABLE t REFRESH")
    assert rows(sql) == [(7, "zoe")]
    told = [(row[0], row[1], row[3], row[5]) for row in sql.rows("DESCRIBE TABLE t")]
    assert told == [("id", "INT", "N", "Y"), ("name", "VARCHAR", "Y", "N")]
    assert sql.one("SELECT GET_DDL('TABLE', 't')") == (
        "create table t from topic 'shop.t' comment='theirs';"
    )


def test_a_topic_that_does_not_tell_its_columns_makes_no_table(sql: Sql) -> None:
    error = sql.refused("CREATE TABLE t FROM TOPIC 'shop.t'")
    assert error.code == "E_SCHEMA_INVALID"
    assert "declare them" in str(error)
    assert sql.rows("SHOW TABLES") == []


def test_only_the_topic_writes_such_a_table(sql: Sql) -> None:
    sql.run(f"{CREATE}; ALTER TABLE t REFRESH")
    for text in (
        "INSERT INTO t VALUES (9, 'x')",
        "UPDATE t SET name = 'x' WHERE id = 1",
        "UPDATE t SET name = 'x'",
        "DELETE FROM t WHERE id = 1",
        "TRUNCATE TABLE t",
        "MERGE INTO t USING t__source s ON FALSE WHEN MATCHED THEN DELETE",
        "INSERT OVERWRITE INTO t SELECT 1, 'x'",
    ):
        error = sql.refused(text)
        assert (error.code, "shop.t" in str(error)) == ("E_TABLE_READ_ONLY", True), text
    assert len(rows(sql)) == 3


def test_get_ddl_of_a_declared_one_makes_it_again(sql: Sql) -> None:
    sql.run(CREATE)
    text = str(sql.one("SELECT GET_DDL('TABLE', 't')"))
    assert text.endswith(" from topic 'shop.t';")
    sql.run("ALTER TABLE t RENAME TO old")
    sql.run(text)
    sql.run("ALTER TABLE t REFRESH")
    assert len(rows(sql)) == 3
    kinds = {str(row[1]): row[4] for row in sql.rows("SHOW TABLES")}
    assert (kinds["t"], kinds["t__source"]) == ("TABLE FROM TOPIC", "TABLE")


def test_refresh_is_for_such_tables_outside_of_transactions(sql: Sql) -> None:
    sql.run(f"{CREATE}; CREATE TABLE mine (id INT)")
    assert sql.refused("ALTER TABLE mine REFRESH").code == "E_NOT_ADOPTED"
    sql.run("BEGIN")
    assert sql.refused("ALTER TABLE t REFRESH").code == "E_SQL_TRANSACTION"
    sql.run("ROLLBACK")


def test_a_statement_from_outside_names_no_brokers(log: Log, topic: Topic) -> None:
    closed = Sql(log, SqlStore(log, locations=(), topics={topic.topic: topic}))
    error = closed.refused(f"{CREATE} BROKERS = 'elsewhere:9092'")
    assert error.code == "E_SQL_BROKERS"
    assert error.place is not None
    assert error.place.column == len(CREATE) + 2
    closed.run(CREATE)


@dataclass
class Away(Topic):
    """A topic whose cluster does not answer."""

    asked: int = 0

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """Nobody answers."""
        self.asked += 1
        raise StoreUnavailable("the cluster cannot be reached")


def test_a_cluster_that_cannot_be_reached_is_asked_once(log: Log) -> None:
    away = Away("shop.t")
    error = Sql(log, SqlStore(log, topics={"shop.t": away})).refused(CREATE)
    assert (error.code, error.retryable, away.asked) == (StoreUnavailable.code, False, 1)


def test_a_store_on_no_cluster_is_told_to_name_brokers() -> None:
    with headwater.connect("memory:alone") as db, pytest.raises(OperationalError) as caught:
        db.execute(CREATE)
    assert (caught.value.code, "BROKERS" in str(caught.value)) == ("E_TARGET", True)


def test_or_replace_and_temporary_are_refused(sql: Sql) -> None:
    for text in ("CREATE OR REPLACE TABLE", "CREATE TEMPORARY TABLE"):
        error = sql.refused(f"{text} t FROM TOPIC 'shop.t'")
        assert error.code == "E_NOT_SUPPORTED"
    sql.run(f"{CREATE}; CREATE TABLE IF NOT EXISTS t FROM TOPIC 'shop.t'")

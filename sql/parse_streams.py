"""CREATE and ALTER of streams; TASK statements are recognised."""

from dataclasses import dataclass, field, replace
from typing import Final

from headwater.sql.errors import unsupported
from headwater.sql.parse_reader import Reader
from headwater.sql.statements import (
    AlterStream,
    At,
    CreateStream,
    OptionValue,
    Statement,
    TaskStatement,
)

_MARKS: Final = frozenset(("BASE", "HEAD", "HORIZON", "INITIAL"))
_POLICIES: Final = ("ALLOW", "WARN", "REQUIRE_REASON", "FORBID")
_UNSETTABLE: Final = frozenset(
    ("COMMENT", "RETENTION_TIME", "RETENTION_TIME_IN_DAYS", "REWIND", "TAG")
)
_CAPTURES: Final = frozenset(("ALL", "NET", "INSERT"))


@dataclass(slots=True)
class _Options:
    """The options of a stream as they are read; a second of a kind is refused."""

    values: dict[str, OptionValue] = field(default_factory=dict[str, OptionValue])

    def put(self, reader: Reader, key: str, value: OptionValue) -> None:
        """Note one option."""
        if key in self.values and self.values[key] != value:
            raise reader.fail(f"{key.replace('_', ' ')} is said twice, and differently")
        self.values[key] = value

    def text(self, key: str) -> str | None:
        """An option that is a text."""
        value = self.values.get(key)
        return None if value is None else str(value)

    def truth(self, key: str) -> bool | None:
        """An option that is a boolean."""
        value = self.values.get(key)
        return value if isinstance(value, bool) else None


def create_stream(reader: Reader, *, replaces: bool) -> Statement:
    """CREATE [OR REPLACE] STREAM; the cursor stands after STREAM."""
    if_not_exists = reader.if_not_exists(replaces=replaces)
    name = reader.name("a stream's name")
    if_not_exists = if_not_exists or reader.if_not_exists(replaces=replaces)
    if reader.take("CLONE"):
        clone = reader.name("a stream's name")
        while reader.means_nothing():
            pass
        return CreateStream(
            name=name,
            clone=clone,
            replace=replaces,
            if_not_exists=if_not_exists,
        )
    while reader.means_nothing():
        pass
    on, on_view = _source(reader)
    at = reader.at_clause()
    options = _Options()
    while not reader.end:
        if reader.word() in ("AT", "BEFORE") and at is None:
            at = reader.at_clause()
        if not (reader.means_nothing() or _option(reader, options)):
            reader.finish()
        reader.take(",")
    return CreateStream(
        name=name,
        on=on,
        on_view=on_view,
        at=at,
        capture=options.text("CAPTURE"),
        initial_rows=options.truth("SHOW_INITIAL_ROWS"),
        consumers=options.text("CONSUMERS"),
        retention=options.text("RETENTION_TIME"),
        rewind=options.text("REWIND"),
        comment=options.text("COMMENT"),
        replace=replaces,
        if_not_exists=if_not_exists,
    )


def _source(reader: Reader) -> tuple[str, bool]:
    """ON TABLE t | ON VIEW v, taken."""
    reader.need("ON")
    if reader.take("TABLE"):
        return reader.name("a table's name"), False
    if reader.take("VIEW"):
        return reader.name("a view's name"), True
    if reader.word() in ("EXTERNAL", "STAGE", "DIRECTORY", "DYNAMIC", "EVENT"):
        raise unsupported(
            f"a stream on {reader.word()} is not supported: make one on a table or a view",
            reader.place(),
        )
    raise reader.expected("TABLE or VIEW")


def _option(reader: Reader, options: _Options) -> bool:
    """Take one option of a stream; False if none stands here."""
    word = reader.word()
    reader.places.setdefault(word, reader.place())
    if reader.take("CHANGES", "CAPTURE"):
        reader.take("=")
        wrapped = reader.take("(")
        options.put(reader, "CAPTURE", _capture(reader))
        if wrapped:
            reader.need(")")
        return True
    if word == "COMMENT":
        options.put(reader, "COMMENT", reader.comment() or "")
        return True
    if reader.word(1) != "=":
        return False
    if word in ("APPEND_ONLY", "INSERT_ONLY", "SHOW_INITIAL_ROWS"):
        token = reader.token(2)
        key, value = reader.option()
        if not isinstance(value, bool):
            raise reader.fail(f"{key} is TRUE or FALSE", token)
        if key == "SHOW_INITIAL_ROWS":
            options.put(reader, key, value)
        elif value:
            options.put(reader, "CAPTURE", "INSERT ONLY")
        return True
    return _worded(reader, options, word)


def _worded(reader: Reader, options: _Options, word: str) -> bool:
    """Options whose value is one of some words, or a span."""
    if word == "CONSUMERS":
        options.put(reader, word, _one_of(reader, ("INDEPENDENT", "SHARED")))
    elif word == "REWIND":
        options.put(reader, word, _one_of(reader, _POLICIES))
    elif word == "CAPTURE":
        reader.index += 2
        options.put(reader, word, _capture(reader))
    elif word == "RETENTION_TIME":
        reader.index += 2
        options.put(reader, word, reader.string("a span in single quotes, such as '30 DAYS'"))
    elif word == "RETENTION_TIME_IN_DAYS":
        reader.index += 2
        options.put(reader, "RETENTION_TIME", f"{reader.integer('a number of days')} DAYS")
    else:
        raise reader.fail(f"a stream has no option {word}")
    return True


def _one_of(reader: Reader, words: tuple[str, ...]) -> str:
    reader.index += 2
    word = reader.word()
    if word not in words:
        raise reader.expected(" or ".join((", ".join(words[:-1]), words[-1])))
    reader.index += 1
    return word


def _capture(reader: Reader) -> str:
    word = reader.word()
    if word not in _CAPTURES:
        raise reader.expected("ALL, NET or INSERT ONLY")
    reader.index += 1
    if word == "INSERT":
        reader.need("ONLY")
        return "INSERT ONLY"
    return word


# -- ALTER -------------------------------------------------------------------------------------


def alter_stream(reader: Reader) -> Statement:
    """ALTER STREAM s ..; the cursor stands after STREAM."""
    if_exists = reader.if_exists()
    made = AlterStream(name=reader.name("a stream's name"), action="", if_exists=if_exists)
    if reader.take("ADD", "CONSUMER"):
        return _add_consumer(reader, made)
    if reader.take("DROP", "CONSUMER"):
        name = reader.name("a consumer's name")
        return replace(made, action="DROP_CONSUMER", consumer=name)
    if reader.take("RENAME", "TO"):
        return replace(made, action="RENAME", names=(reader.name("the new name"),))
    if reader.take("SET", "OFFSET"):
        return _set_offset(reader, made)
    if reader.take("UNSET"):
        return _unset(reader, made)
    if not reader.take("SET"):
        raise reader.expected("SET, UNSET, ADD CONSUMER, DROP CONSUMER or RENAME TO")
    options = _Options()
    while not reader.end:
        if reader.take("TAG"):
            reader.rest()
            reader.notice("tags are not kept")
        elif not (reader.means_nothing() or _option(reader, options)):
            raise reader.expected("an option = value")
        reader.take(",")
    return replace(made, action="SET", options=dict(options.values))


def _unset(reader: Reader, made: AlterStream) -> AlterStream:
    names: list[str] = []
    while True:
        word = reader.word()
        if word not in _UNSETTABLE:
            raise reader.expected("COMMENT, RETENTION_TIME or REWIND")
        reader.index += 1
        if word == "TAG":
            reader.rest()
            reader.notice("tags are not kept")
            break
        names.append("RETENTION_TIME" if word.startswith("RETENTION") else word)
        if not reader.take(","):
            break
    return replace(made, action="UNSET", names=tuple(names))


def _add_consumer(reader: Reader, made: AlterStream) -> AlterStream:
    name = reader.name("a consumer's name")
    kind = "CLIENT"
    if reader.take("AS"):
        kind = reader.word()
        if kind not in ("CLIENT", "GROUP", "TABLE"):
            raise reader.expected("CLIENT, GROUP or TABLE")
        reader.index += 1
    at = _position(reader) if reader.take("AT") else None
    return replace(made, action="ADD_CONSUMER", consumer=name, consumer_kind=kind, at=at)


def _position(reader: Reader) -> At | str:
    """BASE | HEAD | HORIZON | INITIAL | VERSION n | TIMESTAMP ts | (unit => value), taken."""
    word = reader.word()
    if word in _MARKS:
        reader.index += 1
        return word
    if word == "(":
        reader.index -= 1
        at = reader.at_clause()
        assert at is not None, "AT and ( stand here"
        return at
    if word in ("VERSION", "TIMESTAMP", "OFFSET", "STATEMENT", "STREAM"):
        reader.index += 1
        reader.take("=>")
        value = reader.expression(*_AFTER_POSITION, what="a value")
        return At(unit=word, value=value)
    raise reader.expected("BASE, HEAD, HORIZON, INITIAL, VERSION n or TIMESTAMP '..'")


_AFTER_POSITION: Final = ("CONSUMER", "REASON", "RESTORE", "FORCE", "DRY_RUN")


def _set_offset(reader: Reader, made: AlterStream) -> AlterStream:
    """[=|TO] position [CONSUMER c] [REASON '..'] [RESTORE] [FORCE] [DRY_RUN]."""
    if not reader.take("="):
        reader.take("TO")
    if reader.word() == "AT" and reader.word(1) == "(":
        reader.index += 1
    at: At | str
    if reader.word() in _MARKS or reader.word() in (
        "VERSION",
        "TIMESTAMP",
        "OFFSET",
        "STREAM",
        "(",
    ):
        at = _position(reader)
    else:
        # v100, 100, 'v100' or a time: told apart when it runs.
        value = reader.expression(*_AFTER_POSITION, what="a version or a time")
        at = At(unit="", value=value)
    options: dict[str, OptionValue] = {}
    consumer: str | None = None
    while not reader.end:
        if reader.take("CONSUMER"):
            reader.take("=")
            consumer = reader.name("a consumer's name")
        elif reader.take("REASON"):
            reader.take("=")
            options["REASON"] = reader.string("the reason, in single quotes")
        elif reader.word() in ("RESTORE", "FORCE", "DRY_RUN"):
            key = reader.word()
            reader.index += 1
            options[key] = reader.option_value() is True if reader.take("=") else True
        else:
            reader.finish()
    return replace(made, action="SET_OFFSET", at=at, consumer=consumer, options=options)


def task(reader: Reader, verb: str) -> Statement:
    """CREATE, ALTER, DROP, EXECUTE, SHOW or DESCRIBE of a task, recognised and no more."""
    if not reader.if_not_exists():
        reader.if_exists()
    name = "" if reader.end or verb == "SHOW" else reader.name("a task's name")
    reader.rest()
    return TaskStatement(verb=verb, name=name)

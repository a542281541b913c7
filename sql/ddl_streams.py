"""CREATE, ALTER, DROP of streams and their consumers, in the statement's transaction."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from headwater.consumers import lifecycle
from headwater.consumers.errors import StreamInvalid
from headwater.consumers.positions import Mark, Position
from headwater.consumers.spans import parse_span
from headwater.consumers.streams import (
    StreamOptions,
    alter_stream,
    clone_stream,
    create_stream,
    drop_stream,
    options_of,
    rename_stream,
)
from headwater.log_store.catalog import (
    Capture,
    ConsumerKind,
    RewindPolicy,
    Sharing,
    StreamObject,
    TableObject,
    ViewObject,
)
from headwater.log_store.parameters import DEFAULT_STREAM_CAPTURE, DEFAULT_STREAM_CONSUMERS
from headwater.producer.errors import NotFound
from headwater.producer.names import parse
from headwater.sql import procedures
from headwater.sql.context import Context
from headwater.sql.ddl_tables import DONE, gone
from headwater.sql.errors import Place, ProgrammingError
from headwater.sql.moments import moment_of
from headwater.sql.names import found, qualified, relation_named, stream_named, table_named
from headwater.sql.parameters import parameter_of
from headwater.sql.parse import place_of, place_of_name
from headwater.sql.results import Result, status
from headwater.sql.statements import AlterStream, At, CreateStream, Drop, OptionValue
from headwater.sql.translate import told_at

_FOR_EVER: Final = ("FOREVER", "FOR EVER", "")


def create(context: Context, statement: CreateStream) -> Result:
    """CREATE STREAM on a table or view, or as a clone of another.

    Raises:
        NotFound: the table, the view or the stream to clone.
        StreamInvalid: options that contradict each other; the name is that of a table.
    """
    name = qualified(context.state, statement.name)
    shown = parse(name).plain
    old = found(context.tx.catalog, context.state, "stream", name)
    if old is not None and statement.if_not_exists:
        return status("CREATE STREAM", f"{shown} already exists, statement succeeded.")
    if statement.clone is not None:
        source = stream_named(context.tx.catalog, context.state, statement.clone)
        clone_stream(context.tx, name, source, or_replace=statement.replace)
    else:
        on = _source(context, statement)
        options = _options(context, statement)
        place = None if statement.at is None else place_of(statement.at.value, statement)
        with told_at(context, place):
            create_stream(context.tx, name, on, options, or_replace=statement.replace)
    return status("CREATE STREAM", f"Stream {shown} successfully created.")


def _source(context: Context, statement: CreateStream) -> TableObject | ViewObject:
    catalog, state = context.tx.catalog, context.state
    on = relation_named(catalog, state, statement.on)
    wanted = "view" if statement.on_view else "table"
    if on.kind != wanted:
        raise NotFound(wanted, statement.on, f"it is a {on.kind}: write ON {on.kind.upper()}")
    return on


def _options(context: Context, statement: CreateStream) -> StreamOptions:
    """What was written, and the parameters' defaults where nothing was."""
    capture = statement.capture or parameter_of(context, DEFAULT_STREAM_CAPTURE)
    sharing = statement.consumers or parameter_of(context, DEFAULT_STREAM_CONSUMERS)
    retention = None
    if statement.retention is not None:
        place = place_of_name("RETENTION_TIME", statement)
        retention = _retention(statement.retention, place or statement.place)
    at = None if statement.at is None else moment_of(context, statement.at)
    return StreamOptions(
        capture=Capture(capture),
        sharing=Sharing(sharing),
        initial_rows=bool(statement.initial_rows),
        policy=RewindPolicy(statement.rewind or "ALLOW"),
        retention_s=retention,
        comment=statement.comment or "",
        at=None if at is None else at.position,
        before=at is not None and at.before,
    )


def _retention(text: str, place: Place) -> int | None:
    """Seconds of a span; None for all history, or none of its own."""
    if text.strip().upper() in _FOR_EVER:
        return None
    span = parse_span(text)
    if span is None:
        raise ProgrammingError(
            f"RETENTION_TIME = '{text[:40]}' is no span of time: write '30 DAYS'",
            code="E_PARAMETER",
            place=place,
        )
    return int(span.total_seconds())


# -- ALTER -------------------------------------------------------------------------------------


def alter(context: Context, statement: AlterStream) -> Result:
    """ALTER STREAM: options, consumers, name, offset."""
    stream = found(context.tx.catalog, context.state, "stream", statement.name)
    if not isinstance(stream, StreamObject):
        if statement.if_exists:
            return status("ALTER STREAM", DONE)
        raise NotFound("stream", statement.name)
    match statement.action:
        case "SET_OFFSET":
            return procedures.set_offset(context, statement, stream)
        case "ADD_CONSUMER":
            _add_consumer(context, statement, stream)
        case "DROP_CONSUMER":
            lifecycle.drop_consumer(context.tx, stream, statement.consumer or "")
        case "RENAME":
            rename_stream(context.tx, stream, statement.names[0])
        case "SET":
            place = place_of_name("RETENTION_TIME", statement) or statement.place
            altered = _altered(options_of(stream), statement.options, place)
            alter_stream(context.tx, stream, altered)
        case _:
            alter_stream(context.tx, stream, _without(options_of(stream), statement.names))
    return status("ALTER STREAM", DONE)


def _altered(
    options: StreamOptions, given: Mapping[str, OptionValue], place: Place
) -> StreamOptions:
    for key, value in given.items():
        match key:
            case "CAPTURE":
                options = replace(options, capture=Capture(str(value)))
            case "CONSUMERS":
                options = replace(options, sharing=Sharing(str(value)))
            case "REWIND":
                options = replace(options, policy=RewindPolicy(str(value)))
            case "RETENTION_TIME":
                options = replace(options, retention_s=_retention(str(value), place))
            case "SHOW_INITIAL_ROWS":
                options = replace(options, initial_rows=bool(value))
            case _:
                options = replace(options, comment=str(value))
    return options


def _without(options: StreamOptions, names: tuple[str, ...]) -> StreamOptions:
    for name in names:
        match name:
            case "COMMENT":
                options = replace(options, comment="")
            case "REWIND":
                options = replace(options, policy=RewindPolicy.ALLOW)
            case _:
                options = replace(options, retention_s=None)
    return options


def _add_consumer(context: Context, statement: AlterStream, stream: StreamObject) -> None:
    name = statement.consumer or ""
    reader: TableObject | str = name
    kind = ConsumerKind.CLIENT
    if statement.consumer_kind == "TABLE":
        reader = table_named(context.tx.catalog, context.state, name)
    elif statement.consumer_kind == "GROUP":
        kind = ConsumerKind.GROUP
    at: Position = Mark.BASE
    if isinstance(statement.at, str):
        at = Mark(statement.at.lower())
    elif statement.at is not None:
        moment = moment_of(context, statement.at)
        if moment.before:
            raise StreamInvalid(stream.name, "ADD CONSUMER takes AT, not BEFORE")
        at = moment.position
    place = None
    if isinstance(statement.at, At):
        place = place_of(statement.at.value, statement)
    with told_at(context, place):
        lifecycle.add_consumer(context.tx, stream, reader, at, kind=kind)


def drop(context: Context, statement: Drop) -> Result:
    """DROP STREAM; its consumers retire, their history stays."""
    stream = found(context.tx.catalog, context.state, "stream", statement.name)
    if not isinstance(stream, StreamObject):
        if statement.if_exists:
            return gone("DROP STREAM", statement)
        raise NotFound("stream", statement.name)
    drop_stream(context.tx, stream)
    return status("DROP STREAM", f"{stream.name} successfully dropped.")

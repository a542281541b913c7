"""Making and changing table schemas: every rule that keeps old events readable. Pure.

A change gives the next generation, whose registry ids are 0 until it is registered. A column's
Avro field is chosen once, when the column is made: a rename keeps it, so that readers that go by
field names find the same values in old and new events; and no other column ever gets it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from headwater.schemas.avro import ROW_ID, avro_name
from headwater.schemas.errors import Incompatible, SchemaInvalid
from headwater.schemas.tables import Column, ColumnSpec, TableSchema, TableSpec
from headwater.schemas.types import JSON_KINDS, Kind, SqlType
from headwater.schemas.values import to_plain
from headwater.schemas.wire import form_of


def new_schema(specs: TableSpec, key: Sequence[str] = ()) -> TableSchema:
    """The first generation of a table with these columns, keyed by the named ones in that order.

    Raises:
        SchemaInvalid: no columns, a name twice or reserved, a key column that is not there, or
            names that Avro cannot tell apart.
        ValueRefused: a default that its column cannot hold.
    """
    if not specs:
        raise SchemaInvalid("a table needs at least one column")
    wanted = [_key_position(specs, name) for name in key]
    if len(set(wanted)) != len(wanted):
        raise SchemaInvalid("the primary key names a column twice")
    columns: list[Column] = []
    used: tuple[str, ...] = ()
    for position, spec in enumerate(specs):
        column = _column(spec, len(columns) + 1, columns, used, in_key=position in wanted)
        columns.append(column)
        used = (*used, column.avro_name)
    return TableSchema(
        number=1,
        columns=tuple(columns),
        key=tuple(position + 1 for position in wanted),
        next_column_id=len(columns) + 1,
        used_names=used,
    )


def add_column(schema: TableSchema, spec: ColumnSpec) -> TableSchema:
    """The next generation with one more column at the end; its default fills older images.

    Raises:
        Incompatible: NOT NULL without a constant default, or AUTOINCREMENT.
        SchemaInvalid: the name is taken, reserved, or the same as another's in Avro.
        ValueRefused: a default that the column cannot hold.
    """
    if spec.auto is not None:
        raise Incompatible(f"column {spec.name} cannot be added with AUTOINCREMENT: rows exist")
    if not spec.nullable and spec.default is None:
        raise Incompatible(f"column {spec.name} is NOT NULL: give it a constant DEFAULT to add it")
    column = _column(spec, schema.next_column_id, schema.columns, schema.used_names, in_key=False)
    return _next(
        replace(
            schema,
            columns=(*schema.columns, replace(column, fill=column.default)),
            next_column_id=schema.next_column_id + 1,
            used_names=(*schema.used_names, column.avro_name),
        )
    )


def drop_column(schema: TableSchema, name: str) -> TableSchema:
    """The next generation without a column; its Avro field is not given again.

    Raises:
        Incompatible: it is in the key, or the only column.
        SchemaInvalid: there is no such column.
    """
    column = column_named(schema, name)
    if column.id in schema.key:
        raise Incompatible(f"column {column.name} is in the primary key and cannot be dropped")
    if len(schema.columns) == 1:
        raise Incompatible(f"column {column.name} is the table's only one and cannot be dropped")
    return _next(replace(schema, columns=tuple(c for c in schema.columns if c is not column)))


def rename_column(schema: TableSchema, name: str, new_name: str) -> TableSchema:
    """The next generation with a column under another name; its id and Avro field stay.

    Raises:
        SchemaInvalid: there is no such column, or the new name is taken or reserved.
    """
    column = column_named(schema, name)
    others = [c for c in schema.columns if c is not column]
    _check_name(new_name, others)
    return _next(_with_column(schema, replace(column, name=new_name)))


def widen_column(schema: TableSchema, name: str, type_: SqlType) -> TableSchema:
    """The next generation with a wider type: within the INT family, or a greater length.

    Raises:
        Incompatible: any other change of type; the error says what to do instead.
        SchemaInvalid: there is no such column.
    """
    column = column_named(schema, name)
    if why := _narrowing(column.type, type_):
        raise Incompatible(
            f"column {column.name} cannot change from {column.type} to {type_}: {why}; "
            "add a new column and copy"
        )
    return _next(_with_column(schema, replace(column, type=type_)))


def comment_column(schema: TableSchema, name: str, comment: str) -> TableSchema:
    """The same generation with another comment on a column: comments are not on the log.

    Raises:
        SchemaInvalid: there is no such column.
    """
    return _with_column(schema, replace(column_named(schema, name), comment=comment))


def check_compatible(old: TableSchema, new: TableSchema) -> None:
    """Nothing if events of both generations can be read by readers of either.

    Raises:
        Incompatible: a column changed its form, the key changed, a column came NOT NULL without
            a fill, or an Avro field was given to another column.
    """
    before = {column.id: column for column in old.columns}
    if old.key != new.key:
        raise Incompatible("the primary key cannot be changed")
    for column in new.columns:
        was = before.get(column.id)
        if was is None:
            _check_added(old, column)
        elif was.avro_name != column.avro_name:
            raise Incompatible(f"column {column.name} cannot change its Avro field")
        elif was.type != column.type and (why := _narrowing(was.type, column.type)):
            raise Incompatible(
                f"column {column.name} cannot change from {was.type} to {column.type}: {why}"
            )


def _check_added(old: TableSchema, column: Column) -> None:
    if column.id < old.next_column_id:
        raise Incompatible(f"column {column.name} has the id of a dropped column")
    if column.avro_name.lower() in {name.lower() for name in old.used_names}:
        raise Incompatible(f"column {column.name} would reuse the Avro field {column.avro_name}")
    if not column.nullable and column.fill is None:
        raise Incompatible(f"column {column.name} is NOT NULL and nothing fills it in old rows")


def column_named(schema: TableSchema, name: str) -> Column:
    """The column of that name, case aside.

    Raises:
        SchemaInvalid: there is none.
    """
    position = schema.position(name)
    if position is None:
        raise SchemaInvalid(f"there is no column {name}; there are {', '.join(schema.names)}")
    return schema.columns[position]


def _next(schema: TableSchema) -> TableSchema:
    return replace(schema, number=schema.number + 1, schema_id=0, key_schema_id=0)


def _with_column(schema: TableSchema, changed: Column) -> TableSchema:
    columns = tuple(changed if c.id == changed.id else c for c in schema.columns)
    return replace(schema, columns=columns)


def _key_position(specs: TableSpec, name: str) -> int:
    for position, spec in enumerate(specs):
        if spec.name.lower() == name.lower():
            if spec.type.kind in JSON_KINDS:
                raise SchemaInvalid(f"column {spec.name} is {spec.type} and cannot be in a key")
            return position
    raise SchemaInvalid(f"the primary key names {name}, which is no column")


def _column(
    spec: ColumnSpec,
    column_id: int,
    others: Sequence[Column],
    used: Sequence[str],
    *,
    in_key: bool,
) -> Column:
    _check_name(spec.name, others)
    if spec.auto is not None and spec.type.kind is not Kind.INT:
        raise SchemaInvalid(f"column {spec.name} is {spec.type}: only INT can be AUTOINCREMENT")
    if spec.auto is not None and spec.auto.step == 0:
        raise SchemaInvalid(f"column {spec.name}: AUTOINCREMENT needs a step other than 0")
    column = Column(
        id=column_id,
        name=spec.name,
        type=spec.type,
        avro_name=_free_name(avro_name(spec.name), used),
        nullable=spec.nullable and not in_key,
        default_call=spec.default_call,
        auto=spec.auto,
        comment=spec.comment,
    )
    if spec.default is None:
        return column
    return replace(column, default=to_plain(column, spec.default))


def _check_name(name: str, others: Iterable[Column]) -> None:
    if not name:
        raise SchemaInvalid("a column needs a name")
    if name.lower() == ROW_ID:
        raise SchemaInvalid(f"the column name {name} is reserved")
    for other in others:
        if other.name.lower() == name.lower():
            raise SchemaInvalid(f"there is a column {other.name} already")
        if avro_name(other.name).lower() == avro_name(name).lower():
            raise SchemaInvalid(
                f"columns {other.name} and {name} would both be {avro_name(name)} in Avro: "
                "choose another name"
            )


def _free_name(wanted: str, used: Sequence[str]) -> str:
    """`a`, or `a_2`, `a_3` where another column, perhaps dropped, has had it."""
    taken = {name.lower() for name in used} | {ROW_ID}
    name, number = wanted, 1
    while name.lower() in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _narrowing(old: SqlType, new: SqlType) -> str:
    """Why a column cannot go from one type to the other; empty if it can."""
    if old.kind is not new.kind:
        same = "the bytes on the log would be read wrongly"
        return same if form_of(old) is form_of(new) else "old events would be unreadable"
    match old.kind:
        case Kind.INT:
            return ""
        case Kind.VARCHAR | Kind.BINARY:
            longer = new.length is None or (old.length is not None and new.length >= old.length)
            return "" if longer else "values may be longer than that"
        case Kind.DECIMAL:
            alike = (old.precision, old.scale) == (new.precision, new.scale)
            return "" if alike else "readers would misplace the decimal point in old events"
        case _:
            return "" if old.precision == new.precision else "its unit on the log would change"

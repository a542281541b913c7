"""A view of one table as a lens: which rows' images pass, and what of them is shown.

Streams on views look through it, image by image, in batches; the engine is one for the whole process,
since a lens reads nothing but the images it is given.
"""

import threading
from typing import Final, cast

import duckdb
import numpy as np
import pyarrow as pa
from sqlglot import exp

from headwater.consumers.errors import StreamInvalid
from headwater.log_store.catalog import Catalog, Namespace, ViewObject
from headwater.log_store.replay import Mask
from headwater.producer.transaction import Transaction
from headwater.schemas import arrow
from headwater.schemas.types import SqlType
from headwater.sql.arrow_results import in_inner
from headwater.sql.binder import Binder, Subquery
from headwater.sql.context import Context, Limits, State, Store
from headwater.sql.engine import Engine
from headwater.sql.errors import Error
from headwater.sql.queries import make_query
from headwater.sql.relations import view_tree
from headwater.sql.sources import TableSource
from headwater.sql.statements import ROW_ID_COLUMN, ROW_IDS, Statement

_IMAGES: Final = "images"
_ENGINES: Final[list[Engine]] = []
_LOCK: Final = threading.Lock()


class _OnlyCatalog:
    """What a filter and projection of one table asks of a transaction: the catalog."""

    now_us = 0

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog


class ViewLens:
    """The filter and projection of a view, over images of its table."""

    def __init__(self, catalog: Catalog, view: ViewObject) -> None:
        assert view.table is not None, "only a view of one table has streams"
        self._view = view
        # Views that can have streams ask for nothing else: no clock, no other relation, no bind.
        tx = cast(Transaction, _OnlyCatalog(catalog))
        namespace = catalog.get("schema", view.namespace)
        schema = namespace.name if isinstance(namespace, Namespace) else "public"
        context = Context(cast(Store, None), State(schema=schema), tx, Statement())
        try:
            made = _bound(context, view)
        except Error as error:
            raise StreamInvalid(
                view.name, f"its view does not fit its table any more: {error}"
            ) from error
        self._sql = made.sql
        # The row's number comes last; the names and types are those that the view declares.
        self._types: list[SqlType] = [column.type for column in view.columns]
        self._shape = pa.schema([(column.name, column.type.arrow) for column in view.columns])
        if len(made.columns) != len(self._types) + 1:
            raise StreamInvalid(view.name, "its view gives other columns than when it was made")

    def apply(self, images: pa.Table) -> tuple[Mask, pa.Table]:
        """Which images pass, and the view's columns of those that do, in the order given."""
        engine = _engine()
        reader = engine.take()
        sound = False
        try:
            reader.lend(_IMAGES, _numbered(images))
            found = (
                pa.Table.from_batches(list(reader.ask(self._sql, {})), None)
                if (images.num_rows)
                else None
            )
            reader.take_back(_IMAGES)
            sound = True
        except duckdb.Error as error:
            raise StreamInvalid(
                self._view.name, "an image does not fit the view's query"
            ) from error
        finally:
            engine.give_back(reader, sound=sound)
        passes = np.zeros(images.num_rows, np.bool_)
        if found is None or not found.num_rows:
            return passes, self._shape.empty_table()
        columns = arrow.columns_of(found)
        at = arrow.whole(columns[-1])
        passes[at] = True
        shown = [in_inner(t, c) for t, c in zip(self._types, columns[:-1], strict=True)]
        table = arrow.table(shown, self._shape)
        if len(at) > 1 and bool((np.diff(at) < 0).any()):
            table = table.take(np.argsort(at, kind="stable"))
        return passes, table


def lens_of(catalog: Catalog, view: ViewObject) -> ViewLens:
    """The lens of a view of one table, over that table's columns as they are in `catalog`.

    Raises:
        StreamInvalid: the text does not fit the table any more.
    """
    return ViewLens(catalog, view)


def _bound(context: Context, view: ViewObject) -> Subquery:
    tree = view_tree(view).copy()
    assert isinstance(tree, exp.Select), "a view with streams is one SELECT"
    table = tree.find(exp.Table)
    assert table is not None
    table.meta[ROW_IDS] = True
    tree.append("expressions", exp.column(ROW_ID_COLUMN))
    binder = Binder(context, make_query)
    binder.views.append(view.id)
    assert view.table is not None
    binder.sources["table", view.table, True, None] = TableSource(_IMAGES, view.table, row_ids=True)
    return make_query(binder, tree, None)


def _numbered(images: pa.Table) -> pa.Table:
    named = images.rename_columns([f"c{at}" for at in range(images.num_columns)])
    return named.add_column(0, "rid", pa.array(np.arange(images.num_rows), pa.int64()))


def _engine() -> Engine:
    with _LOCK:
        if not _ENGINES:
            _ENGINES.append(Engine(Limits()))
        return _ENGINES[0]

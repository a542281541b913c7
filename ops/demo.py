"""`headwater demo`: a shop's story in a temporary directory, told while it happens.

Every number that is printed was read from the store a moment before.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pyarrow as pa

from headwater.ops.api import Database, connect
from headwater.ops.api_transaction import Tx
from headwater.ops.demo_data import (
    CUSTOMER,
    FIRST_ORDERS,
    LAST_ORDER,
    LATER_ORDERS,
    LOW,
    NEXT_SALES,
    ORDER_COLUMNS,
    SALES,
    STOCK,
    TOO_MANY,
)
from headwater.ops.output import Output

Rows = Sequence[Mapping[str, object]]


class Stage:
    """Where the story is told: headings, the calls as a program would make them, results."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def act(self, title: str) -> None:
        """A new part of the story."""
        self._output.text(f"\n== {title} ==")

    def tell(self, text: str) -> None:
        """A sentence."""
        self._output.text(text)

    def call(self, *lines: str) -> None:
        """What is done, as it is written in Python."""
        marks = ("..." if line.startswith(" ") else ">>>" for line in lines)
        self._output.text(
            "\n".join(f"    {m} {line}" for m, line in zip(marks, lines, strict=True))
        )

    def show(self, rows: Rows, columns: Sequence[str] = ()) -> None:
        """Rows that a query gave."""
        names = list(columns) or list(rows[0] if rows else ())
        self._output.listing(names, ([row[name] for name in names] for row in rows), null="")

    def data(self, data: pa.Table, columns: Sequence[str] = ()) -> None:
        """An Arrow table that a query gave."""
        rows = cast("list[dict[str, object]]", data.to_pylist())
        self.show(rows, list(columns) or data.column_names)


def tell(output: Output) -> None:
    """Tell the whole story; the directory is gone afterwards."""
    began = time.monotonic()
    stage = Stage(output)
    with TemporaryDirectory(prefix="headwater-demo-") as folder:
        path = Path(folder) / "shop"
        with connect(path) as db:
            stage.tell("A shop keeps its tables in a directory of its own: no server, no download.")
            stage.call('db = headwater.connect("shop")')
            orders(db, stage)
            customer(db, stage)
            inventory(db, stage)
            mistake(db, stage)
        reopened(path, stage)
    stage.tell(f"\nDone in {time.monotonic() - began:.1f} s.")


def orders(db: Database, stage: Stage) -> None:
    """A table, a stream on it, and two consumers at their own pace."""
    stage.act("Orders: a stream remembers what has been read")
    table = db.create_table("orders", ORDER_COLUMNS, key="order_id")
    table.insert(FIRST_ORDERS)
    stream = db.create_stream("orders_stream", on="orders")
    stage.call("orders.insert([..])", 'stream = db.create_stream("orders_stream", on="orders")')
    stage.tell(
        f"{table.count()} orders were there before the stream, which copied nothing: "
        f"it shows {stream.arrow().num_rows} changes."
    )
    with db.transaction() as tx:
        tx.insert("orders", LATER_ORDERS)
        tx.update("orders", key=1, set={"amount": "1299.99"})
        tx.delete("orders", key=2)
    stage.call(
        "with db.transaction() as tx:",
        f'    tx.insert("orders", [{len(LATER_ORDERS)} orders])',
        '    tx.update("orders", key=1, set={"amount": "1299.99"})',
        '    tx.delete("orders", key=2)',
        "stream.arrow()",
    )
    stage.data(stream.arrow())
    stage.tell("An update is its old row and its new one. Looking moved nothing.\n")

    db.create_table("order_log", {**ORDER_COLUMNS, "action": "VARCHAR"})
    db.create_table("revenue", {"amount": "DECIMAL(12,2)", "orders": "INT"})
    with stream.consume(into="order_log") as window:
        log = window.arrow()
        window.insert(_logged(log))
    stage.call('with stream.consume(into="order_log") as w: w.insert(..)')
    table.insert(LAST_ORDER)
    with stream.consume(into="revenue") as window:
        window.insert([_revenue(window.arrow())])
    stage.tell("A consumer is the table that its changes go into; each has its own watermark:")
    _lag(db, stage)
    stage.data(db.table("revenue").arrow())


def customer(db: Database, stage: Stage) -> None:
    """One row changed twice: full history, and what remains of it."""
    stage.act("A customer: every change, or what they come to")
    columns = {"customer_id": "INT", "name": "VARCHAR", "email": "VARCHAR"}
    table = db.create_table("customers", columns, key="customer_id")
    table.insert(CUSTOMER)
    every = db.create_stream("customers_all", on="customers")
    net = db.create_stream("customers_net", on="customers", capture="NET")
    table.update(key=123, set={"email": "john@new.com"})
    stage.call('customers.update(key=123, set={"email": "john@new.com"})', "customers_all.arrow()")
    stage.data(every.arrow())
    table.update(key=123, set={"email": CUSTOMER["email"]})
    stage.call(f'customers.update(key=123, set={{"email": "{CUSTOMER["email"]}"}})')
    stage.tell(
        f"Back again: the full stream has {every.arrow().num_rows} rows, "
        f"the net one {net.arrow().num_rows}."
    )
    stage.tell(f"And as of version 2 the address is {_email(db, 2)}, now it is {_email(db)}.")


def inventory(db: Database, stage: Stage) -> None:
    """Three tables fed from one stream in one commit; a failed run leaves no trace."""
    stage.act("An inventory: the effect and the watermark in one commit")
    db.create_table(
        "product_sales",
        {"sale_id": "INT", "product_id": "INT", "quantity_sold": "INT"},
        key="sale_id",
    )
    stock = {"product_id": "INT", "quantity_available": "INT"}
    db.create_table("inventory_levels", stock, key="product_id").insert(STOCK)
    db.create_table("low_stock_alerts", {"product_id": "INT", "current_quantity": "INT"})
    db.create_table(
        "inventory_audit_log",
        {"product_id": "INT", "action_type": "VARCHAR", "quantity_change": "INT"},
    )
    db.create_stream("sales_stream", on="product_sales", capture="NET")
    db.table("product_sales").insert(SALES)
    stage.call("product_sales.insert([..])", "update_inventory(db)")
    update_inventory(db)
    stage.data(db.table("inventory_levels").arrow())
    stage.tell(f"Low on stock: {db.table('low_stock_alerts').count()} product(s).")
    stage.data(db.table("inventory_audit_log").arrow())

    db.table("product_sales").insert(TOO_MANY)
    before = _places(db)
    try:
        update_inventory(db)
    except ValueError as error:
        stage.tell(f"\nThe next run fails halfway: {error}.")
    moved = sum(a != b for a, b in zip(before, _places(db), strict=True))
    stage.tell(
        f"It moved {moved} watermarks and left {db.table('inventory_audit_log').count()} audit "
        "rows. Its window is still there:"
    )
    stream = db.stream("sales_stream")
    stage.data(stream.arrow())
    db.table("product_sales").delete(key=TOO_MANY["sale_id"])
    stage.call(f"product_sales.delete(key={TOO_MANY['sale_id']})")
    stage.tell(f"The sale is cancelled, and the net window has {stream.arrow().num_rows} rows.")


def update_inventory(db: Database, *, times: int = 1) -> None:
    """The guide's task: take what was sold off the stock, flag what is low, log it all.

    `times` is the bug of the next act: each sale counted that often.

    Raises:
        ValueError: more was sold than there is. Nothing was changed.
    """
    with db.transaction() as tx:
        sold = tx.consume("sales_stream", into="inventory_levels")
        for product, quantity in _sold(sold.arrow()):
            _take(tx, product, quantity * times)
        logged = tx.consume("sales_stream", into="inventory_audit_log")
        logged.insert(
            [
                {"product_id": product, "action_type": "SALE", "quantity_change": -quantity}
                for product, quantity in _sold(logged.arrow())
            ]
        )


def _take(tx: Tx, product: int, quantity: int) -> None:
    row = tx.table("inventory_levels").get(product)
    left = (cast(int, row["quantity_available"]) if row else 0) - quantity
    if left < 0:
        raise ValueError(f"product {product} would be at {left}")
    tx.update("inventory_levels", key=product, set={"quantity_available": left})
    if left < LOW:
        tx.insert("low_stock_alerts", {"product_id": product, "current_quantity": left})


def mistake(db: Database, stage: Stage) -> None:
    """A bug in the consumer, found and undone: rewind with restore, then the same window again."""
    stage.act("A bug, and the way back without duplicates")
    stream = db.stream("sales_stream")
    right = db.table("inventory_levels").head
    db.table("product_sales").insert(NEXT_SALES)
    update_inventory(db, times=2)
    stage.tell("A release that counts each sale twice has run:")
    stage.data(db.table("inventory_levels").arrow())
    stage.tell(f"As of v{right}, before it, the table read:")
    stage.data(db.table("inventory_levels").at(version=right).arrow())
    place = _before_last_move(db, "inventory_levels")
    plan = stream.rewind("inventory_levels", to=place, restore=True, reason="sales counted twice")
    stage.call(
        f'plan = stream.rewind("inventory_levels", to={place}, restore=True, reason="..")',
        "print(plan)",
    )
    stage.tell(str(plan))
    plan.execute()
    stage.call("plan.execute()", "update_inventory(db)")
    update_inventory(db)
    stage.data(db.table("inventory_levels").arrow())
    audit = db.table("inventory_audit_log").arrow()
    left = _sum(db.table("inventory_levels").arrow(), "quantity_available")
    first = _sum(db.table("inventory_levels").at(version=1).arrow(), "quantity_available")
    stage.tell(
        f"Stock and audited sales come to {left - _sum(audit, 'quantity_change')} pieces; "
        f"{first} were delivered. The audit log, another consumer, was not touched."
    )


def reopened(path: Path, stage: Stage) -> None:
    """The store opened again: everybody's place is where it was."""
    stage.act("Closed and opened again")
    with connect(path, read_only=True) as db:
        _lag(db, stage)
        stage.tell("\nEvery move of inventory_levels, with its reason:")
        moves = db.stream("sales_stream").history("inventory_levels")
        stage.show(
            [
                {"what": m.why, "from": m.start, "to": m.end, "by": m.actor, "reason": m.reason}
                for m in moves
            ]
        )


def _logged(changes: pa.Table) -> pa.Table:
    """A window as the order log keeps it: the row and what happened to it."""
    action = changes.column("METADATA$ACTION")
    return changes.select(list(ORDER_COLUMNS)).append_column("action", action)


def _revenue(changes: pa.Table) -> dict[str, object]:
    """What a window adds to revenue and to the number of orders; deletions count against it."""
    rows = cast("list[dict[str, object]]", changes.to_pylist())
    signs = [1 if row["METADATA$ACTION"] == "INSERT" else -1 for row in rows]
    amounts = [cast(Decimal, row["amount"]) for row in rows]
    amount = sum((a * s for a, s in zip(amounts, signs, strict=True)), Decimal(0))
    return {"amount": amount, "orders": sum(signs)}


def _sold(changes: pa.Table) -> Iterator[tuple[int, int]]:
    """Product and quantity of each sale in a window; one taken back counts against it."""
    for row in cast("list[dict[str, int]]", changes.to_pylist()):
        sign = 1 if str(row["METADATA$ACTION"]) == "INSERT" else -1
        yield row["product_id"], sign * row["quantity_sold"]


def _sum(data: pa.Table, column: str) -> int:
    return sum(cast("list[int]", data.column(column).to_pylist()))


def _email(db: Database, version: int | None = None) -> object:
    table = db.table("customers")
    rows = table.rows() if version is None else table.at(version=version).rows()
    return rows[0]["email"]


def _lag(db: Database, stage: Stage) -> None:
    """Where every consumer stands."""
    rows = [row for stream in db.streams() for row in stream.lag()]
    stage.show(
        [
            {
                "stream": row.stream,
                "consumer": row.consumer,
                "watermark": row.watermark,
                "head": row.head,
                "changes behind": row.lag.changes if row.lag else None,
            }
            for row in rows
        ]
    )


def _before_last_move(db: Database, consumer: str) -> int:
    """Where a consumer stood before its newest move."""
    start = db.stream("sales_stream").history(consumer)[-1].start
    assert start is not None, "a registration is never the newest move here"
    return start


def _places(db: Database) -> list[object]:
    return [row.watermark for row in db.stream("sales_stream").lag()]

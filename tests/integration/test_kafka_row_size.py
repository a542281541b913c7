"""A row that the cluster does not take is refused at its statement, and nothing of it is anywhere."""

from pathlib import Path

import pytest
from support_kafka import Broker
from support_rebuild import assert_rebuilt
from support_topics import committed

import headwater
from headwater.producer.errors import RowTooLarge


def test_a_row_above_the_clusters_limit_is_refused_by_its_statement_and_others_go_on(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    with headwater.connect(f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'shop'}") as db:
        orders = db.create_table("orders", {"id": "INT", "name": "VARCHAR"}, key="id")
        most = db.session.log.largest_change
        assert most is not None
        with pytest.raises(RowTooLarge, match="table orders.*id = 1.*bytes"):
            orders.insert([{"id": 1, "name": "x" * most}])
        with db.transaction() as tx:
            with pytest.raises(RowTooLarge):
                tx.insert("orders", [{"id": 2, "name": "x" * most}])
            tx.insert("orders", [{"id": 3, "name": "y"}])
        # One that is as large as it may be is taken.
        orders.insert([{"id": 4, "name": "z" * (most - 20)}])
        assert len(committed(kafka.bootstrap, f"{prefix}.public.orders")) == 2
        assert orders.count() == 2
        assert_rebuilt(db)

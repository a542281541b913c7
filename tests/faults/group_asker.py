"""A process of its own that asks where a group stands, and moves it: it must outlive the answers."""

from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_records import Position


def ask(bootstrap: str, group: str, topic: str) -> None:
    """Move a group and find it there; fails by the process's exit code."""
    admin = Admin(Cluster(brokers=bootstrap))
    admin.meet_coordinator(group, topic)
    admin.set_group_offset(group, Position(topic, 7, "v=1;seq=2"))
    found = admin.group_offset(group, topic)
    assert found == Position(topic, 7, "v=1;seq=2"), found


def meet(bootstrap: str, group: str, topic: str) -> None:
    """Ask a cluster that has never heard of any group."""
    Admin(Cluster(brokers=bootstrap)).meet_coordinator(group, topic)

"""A store on Kafka as it is named: `kafka://host:9092,other:9092/prefix?dir=replica&role=auto`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from headwater.log_store.registry import registry_url
from headwater.ops.errors import TargetNotKnown

SCHEME = "kafka://"
Role = Literal["auto", "replica", "writer"]
_ROLES: dict[str, Role] = {"auto": "auto", "replica": "replica", "writer": "writer"}
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,100}")
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class KafkaTarget:
    """Brokers as librdkafka takes them, a prefix, and the replica's directory if one was named.

    `role`: `auto` writes if no other node does, and stands by otherwise; `replica` never writes;
    `writer` does, or is not opened. `registry` is the address of a schema registry.
    """

    brokers: str
    prefix: str
    path: Path | None
    role: Role = "auto"
    registry: str | None = None

    @property
    def shown(self) -> str:
        """The target without anything that need not be seen."""
        return f"{SCHEME}{self.brokers}/{self.prefix}"


def parse_target(text: str) -> KafkaTarget:
    """The parts of a `kafka://` target.

    Raises:
        TargetNotKnown: it names no brokers or no prefix, or asks for something that there is not.
            A user name or password in it is refused: they belong into the settings.
    """
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise TargetNotKnown(
            f"a {SCHEME} target holds no user or password: set HEADWATER_KAFKA_OPTIONS"
        )
    brokers = parts.netloc.split(",")
    if not all(_BROKER.fullmatch(broker) for broker in brokers):
        raise TargetNotKnown(f"{text} names no brokers: write {SCHEME}host:9092/prefix")
    prefix = unquote(parts.path.strip("/"))
    if not _PREFIX.fullmatch(prefix):
        raise TargetNotKnown(
            f"{text} names no prefix of letters, digits, _ and -: write {SCHEME}host:9092/prefix"
        )
    path: Path | None = None
    role: Role = "auto"
    registry: str | None = None
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "dir" and value:
            path = Path(value)
        elif name == "role" and value in _ROLES:
            role = _ROLES[value]
        elif name == "registry" and value:
            registry = registry_address(value)
        else:
            raise TargetNotKnown(
                f"{text} asks for {name}={value}: known are dir=.., registry=http://.. and "
                "role=auto, replica or writer"
            )
    addresses = (one if re.search(r":\d+$", one) else f"{one}:9092" for one in brokers)
    return KafkaTarget(",".join(addresses), prefix, path, role, registry)


def registry_address(text: str) -> str:
    """A schema registry's address as it is kept.

    Raises:
        TargetNotKnown: it is none, or holds a password.
    """
    try:
        return registry_url(text)
    except ValueError as error:
        raise TargetNotKnown(str(error)) from error

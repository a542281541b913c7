"""Who gives Avro schemas their ids: the port, and the registry that a store carries in itself.

A registry is asked only when a table's schema is new: when a table is made, or a column changes.
What it answered stands in the catalog, so nothing that is read needs it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol
from urllib.parse import urlsplit

from headwater.log_store.errors import LogError, StoreUnavailable
from headwater.schemas.errors import Incompatible
from headwater.schemas.registry import Entry, Registered, register

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class RegistryUnavailable(StoreUnavailable):
    """The registry cannot be reached, or does not answer in time. Nothing was committed."""

    code = "E_REGISTRY_UNAVAILABLE"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"schema registry {url} {why}: no schema was changed here; try again")
        self.url, self.why = url, why


class RegistryRefused(LogError):
    """The registry answered, and not with what was asked for. Nothing was committed."""

    code = "E_REGISTRY_REFUSED"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"schema registry {url} {why}")
        self.url, self.why = url, why


class RegistryConflict(Incompatible):
    """The registry holds a version of the subject that a schema does not go together with."""

    def __init__(self, url: str, subject: str, why: str) -> None:
        super().__init__(
            f"schema registry {url} does not take the schema for {subject}, which is not compatible "
            f"with what it has there: {why}"
        )
        self.url, self.subject, self.why = url, subject, why


class RegistryFixed(LogError):
    """A prefix was made with another registry than the one named. Nothing was changed."""

    code = "E_REGISTRY_FIXED"

    def __init__(self, prefix: str, url: str | None, asked: str) -> None:
        has = "the one in the store itself" if url is None else url
        super().__init__(
            f"prefix {prefix} was made with another schema registry, {has}, and keeps it: "
            f"connect without {asked}"
        )
        self.prefix, self.url, self.asked = prefix, url, asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """Which registry, and how to be let in. `url` None takes the one that the prefix was made with.

    `timeout_s` bounds each question whole, however slowly it is answered. `ca` is a file of
    certificates to trust instead of the system's.
    """

    url: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: str = ""
    timeout_s: float = 10.0


class Registry(Protocol):
    """Gives ids to schemas; asked by one thread or many."""

    foreign: ClassVar[bool]
    """Whether ids are given elsewhere, and so are no object ids of the store."""

    def register(self, known: Iterable[Registered], subject: str, text: str) -> Entry:
        """The subject's entry for a canonical text: of those known, else a new one.

        `known` are all schemas of the store. The same text again has the same id.

        Raises:
            Incompatible: readers of the subject's older schemas could not live with it.
            RegistryUnavailable, RegistryRefused: no id could be had. The store did not change.
        """
        ...

    def close(self) -> None:
        """Give connections back. A second call does nothing."""
        ...


class EmbeddedRegistry:
    """The registry of a store that has no other: ids come from its object ids."""

    foreign: ClassVar[bool] = False

    def __init__(self, reserve: Callable[[int], int]) -> None:
        self._reserve = reserve

    def register(self, known: Iterable[Registered], subject: str, text: str) -> Entry:
        """See `Registry.register`."""
        entry = register(known, subject, text)
        if not entry.new:
            return entry
        # Two transactions that register at once must not get one id.
        return Entry(subject, entry.version, self._reserve(1), text, new=True)

    def close(self) -> None:
        """Nothing to give back."""


def registry_url(text: str) -> str:
    """A registry's address as it is kept: without a slash at its end.

    Raises:
        ValueError: it is no http address, or holds what must not be kept. The text may hold a
            password, so it is not in the message.
    """
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        raise ValueError("a registry is named by an address as in http://host:8081") from None
    if "@" in parts.netloc:
        raise ValueError(
            "a registry's address holds no user or password: set HEADWATER_REGISTRY_USER and "
            "HEADWATER_REGISTRY_PASSWORD, or HEADWATER_REGISTRY_TOKEN"
        )
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc):
        raise ValueError("a registry is named by an address as in http://host:8081")
    if parts.query or parts.fragment or not re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path):
        raise ValueError("a registry's address has a host and a path, and nothing behind them")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"

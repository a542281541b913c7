"""A schema registry with Confluent's interface over HTTP: Confluent's, Karapace, Apicurio, Redpanda.

All that comes from it is bounded: the time of a question, the length of an answer, what an id may
be, what of its words is repeated. It is not followed elsewhere, and no setting of the environment
(proxies, .netrc) is heeded, so that credentials go to the address that was named and nowhere else.
"""

import json
import re
import ssl
import threading
import time
from collections.abc import Iterable
from queue import Empty, SimpleQueue
from typing import ClassVar, Final, NamedTuple, cast
from urllib.parse import quote

import httpx

from headwater.log_store.registry import (
    RegistryAccess,
    RegistryConflict,
    RegistryRefused,
    RegistryUnavailable,
)
from headwater.schemas.registry import Entry, Registered, register

LEVEL: Final = "FULL_TRANSITIVE"
_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_LONGEST: Final = 4 << 20
_LARGEST_ID: Final = 0x7FFF_FFFF
_WORDS: Final = 300
_TRY_LATER: Final = frozenset({408, 425, 429})


class _Answer(NamedTuple):
    status: int
    told: object

    def number(self, name: str) -> int | None:
        """A positive number of the answer that fits into an event's frame."""
        told = cast("dict[str, object]", self.told).get(name) if self._is_object else None
        good = type(told) is int and 0 < told <= _LARGEST_ID
        return told if good and isinstance(told, int) else None

    @property
    def _is_object(self) -> bool:
        return isinstance(self.told, dict)

    @property
    def message(self) -> str:
        """What the registry says of it, in one line of printable characters."""
        told = cast("dict[str, object]", self.told).get("message") if self._is_object else None
        if not isinstance(told, str) or not told.strip():
            return f"it answers with status {self.status}"
        plain = " ".join("".join(c if c.isprintable() else " " for c in told).split())
        return plain if len(plain) <= _WORDS else f"{plain[:_WORDS]}.."


class HttpRegistry:
    """Registers schemas under `<topic>-key` and `<topic>-value` at an address.

    `anchor` is a schema that it must have for ever: without it, or with it under another id, it has
    lost what events are written with, and would give their ids to others.
    """

    foreign: ClassVar[bool] = True

    def __init__(self, url: str, access: RegistryAccess, anchor: Entry | None = None) -> None:
        self.url, self._timeout_s, self._anchor = url, access.timeout_s, anchor
        self._access = access
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def register(self, known: Iterable[Registered], subject: str, text: str) -> Entry:
        """See `Registry.register`; what our own rules refuse is not sent.

        Raises:
            RegistryConflict: the registry has versions that are not ours and do not go with it.
        """
        there = list(known)
        entry = register(there, subject, text)
        if not entry.new:
            return entry
        anchor = self._anchor
        if anchor is not None and self._look_up(anchor.subject, anchor.text) != anchor.id:
            raise self._lost(f"does not have {anchor.subject} under schema id {anchor.id}")
        found = self._look_up(subject, text)
        if found is None:
            self._add(subject, text)
            found = self._look_up(subject, text)
            if found is None:
                raise RegistryRefused(self.url, f"took a schema for {subject} and does not know it")
            if entry.version == 1:
                self._set_level(subject)
        for other in there:
            if other.id != found or other.text == text:
                continue
            if other.subject == subject and _undocumented(other.text) == _undocumented(text):
                # Some registries (Apicurio) take schemas that differ in `doc` alone for one.
                return Entry(subject, other.version, found, other.text, new=False)
            raise self._lost(
                f"gives schema id {found} to {subject}, which it gave to {other.subject} before"
            )
        return Entry(subject, entry.version, found, text, new=True)

    def _lost(self, why: str) -> RegistryRefused:
        return RegistryRefused(
            self.url,
            f"{why}: it has lost schemas that events are written with; restore it first",
        )

    def _look_up(self, subject: str, text: str) -> int | None:
        """The id under which a subject has exactly this schema."""
        answer = self._ask("POST", f"/subjects/{quote(subject, safe='')}", {"schema": text})
        if answer.status == 404:
            return None
        return self._id(self._good(answer, subject), subject)

    def _add(self, subject: str, text: str) -> None:
        path = f"/subjects/{quote(subject, safe='')}/versions"
        answer = self._ask("POST", path, {"schema": text})
        if answer.status == 409:
            raise RegistryConflict(self.url, subject, answer.message)
        self._id(self._good(answer, subject), subject)

    def _set_level(self, subject: str) -> None:
        """Hold others to our rules too. Not all may: then our own check stands alone."""
        path = f"/config/{quote(subject, safe='')}"
        answer = self._ask("PUT", path, {"compatibility": LEVEL})
        if answer.status not in (401, 403, 404, 405):
            self._good(answer, subject)

    def _id(self, answer: _Answer, subject: str) -> int:
        found = answer.number("id")
        if found is None:
            raise RegistryRefused(self.url, f"answers without an id for {subject}")
        return found

    def _good(self, answer: _Answer, subject: str) -> _Answer:
        status = answer.status
        if 200 <= status < 300:
            return answer
        if status >= 500 or status in _TRY_LATER:
            raise RegistryUnavailable(self.url, f"cannot serve now ({answer.message})")
        if status in (401, 403):
            raise RegistryRefused(
                self.url,
                f"does not let us in for {subject} (status {status}): set "
                "HEADWATER_REGISTRY_USER and HEADWATER_REGISTRY_PASSWORD, or "
                "HEADWATER_REGISTRY_TOKEN",
            )
        if 300 <= status < 400:
            raise RegistryRefused(self.url, "sends us elsewhere, which is not followed: name that")
        raise RegistryRefused(self.url, f"does not take {subject}: {answer.message}")

    def _ask(self, method: str, path: str, body: dict[str, str]) -> _Answer:
        """One question, whole within the time that is set.

        Raises:
            RegistryUnavailable: no answer.
            RegistryRefused: an answer that is too long, or no JSON where that is due.
        """
        told: SimpleQueue[_Answer | Exception] = SimpleQueue()

        def talk() -> None:
            try:
                told.put(self._talk(method, path, body))
            except Exception as error:  # noqa: BLE001  # whoever asked gets it, whatever it is
                told.put(error)

        # The client's own limits are for each read: names that are looked up, and answers that
        # drip, would take any time.
        threading.Thread(target=talk, name="headwater-registry", daemon=True).start()
        try:
            answer = told.get(timeout=self._timeout_s)
        except Empty:
            with self._lock:
                self._client = None
            raise RegistryUnavailable(
                self.url, f"does not answer within {self._timeout_s:g} s"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _talk(self, method: str, path: str, body: dict[str, str]) -> _Answer:
        end = time.monotonic() + self._timeout_s
        content = json.dumps(body, ensure_ascii=False).encode()
        data = bytearray()
        try:
            with self._open().stream(method, self.url + path, content=content) as response:
                for part in response.iter_raw():
                    data += part
                    if len(data) > _LONGEST:
                        raise RegistryRefused(self.url, f"answers with more than {_LONGEST} bytes")
                    if time.monotonic() > end:
                        raise RegistryUnavailable(self.url, "does not come to an end of its answer")
                status = response.status_code
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            words = re.sub(r"\s+", " ", str(error))[:_WORDS] or type(error).__name__
            raise RegistryUnavailable(self.url, f"cannot be reached ({words})") from error
        return _Answer(status, self._json(bytes(data), status))

    def _json(self, data: bytes, status: int) -> object:
        try:
            return cast(object, json.loads(data))
        except (ValueError, RecursionError) as error:
            if 200 <= status < 300:
                raise RegistryRefused(self.url, "answers with what is no JSON") from error
            return None

    def _open(self) -> httpx.Client:
        """The client, made at its first use; it keeps connections for the next question."""
        with self._lock:
            if self._client is None:
                access = self._access
                headers = {"Accept": f"{_TYPE}, application/json", "Content-Type": _TYPE}
                headers["Accept-Encoding"] = "identity"
                if access.token:
                    headers["Authorization"] = f"Bearer {access.token}"
                self._client = httpx.Client(
                    auth=(access.user, access.password) if access.user else None,
                    headers=headers,
                    timeout=self._timeout_s,
                    verify=ssl.create_default_context(cafile=access.ca or None),
                    follow_redirects=False,
                    trust_env=False,
                )
            return self._client

    def close(self) -> None:
        """See `Registry.close`."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _undocumented(text: str) -> object:
    """A schema without its `doc`s: what its bytes depend on, and more."""

    def strip(members: dict[str, object]) -> dict[str, object]:
        return {name: member for name, member in members.items() if name != "doc"}

    return cast(object, json.loads(text, object_hook=strip))

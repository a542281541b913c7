"""A registry over HTTP that is down, slow, hostile or picky; and what it never gets to see or say."""

import base64
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support_registry_stub import Answer, Asked, registry_that

import headwater
from headwater.log_store.registry import (
    RegistryAccess,
    RegistryConflict,
    RegistryRefused,
    RegistryUnavailable,
    registry_url,
)
from headwater.log_store.registry_http import HttpRegistry
from headwater.ops.errors import TargetNotKnown
from headwater.ops.kafka_target import parse_target
from headwater.ops.settings import Settings
from headwater.schemas.registry import Entry

TEXT = json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]})
SECRET = "s3cret-pa55word"


def tell(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


def register(
    answers: Callable[[Asked], Answer], *, timeout_s: float = 10.0, token: str = ""
) -> Entry:
    """Register TEXT as the first of subject s with a registry that answers so."""
    with registry_that(answers) as stub:
        access = RegistryAccess(url=stub.url, timeout_s=timeout_s, token=token)
        registry = HttpRegistry(stub.url, access)
        try:
            return registry.register([], "s", TEXT)
        finally:
            registry.close()


def new(asked: Asked) -> Answer:
    """Takes whatever it does not know; told once, it knows it under id 7."""
    known = asked.path == "/subjects/s"
    return tell({"id": 7, "version": 1, "subject": "s"}) if known else tell({"id": 7})


def test_a_registry_that_is_down_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    registry = HttpRegistry(url, RegistryAccess(url=url))
    with pytest.raises(RegistryUnavailable, match="cannot be reached") as caught:
        registry.register([], "s", TEXT)
    assert caught.value.retryable
    assert caught.value.url == url


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_registry_that_cannot_serve_now_is_unavailable(status: int) -> None:
    with pytest.raises(RegistryUnavailable, match="cannot serve now"):
        register(lambda _: tell({"error_code": 50001, "message": "the store is down"}, status))


def test_an_answer_that_never_comes_ends_in_time() -> None:
    done = threading.Event()

    def hang(_: Asked) -> Answer:
        done.wait(30)
        return tell({})

    with registry_that(hang) as stub:
        registry = HttpRegistry(stub.url, RegistryAccess(url=stub.url, timeout_s=0.3))
        with pytest.raises(RegistryUnavailable):
            registry.register([], "s", TEXT)
        done.set()


def test_an_answer_that_drips_ends_in_time() -> None:
    stopped = threading.Event()

    def drip() -> Iterator[bytes]:
        # Each part comes in time; the whole never does.
        while not stopped.wait(0.05):
            yield b" "

    with registry_that(lambda _: Answer(parts=drip())) as stub:
        registry = HttpRegistry(stub.url, RegistryAccess(url=stub.url, timeout_s=0.5))
        with pytest.raises(RegistryUnavailable, match="does not (come to an end|answer within)"):
            registry.register([], "s", TEXT)
        stopped.set()


def test_an_answer_without_end_is_cut_off() -> None:
    def flood() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * 65_536

    with pytest.raises(RegistryRefused, match="more than 4194304 bytes"):
        register(lambda _: Answer(parts=flood()))


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[" * 100_000, b"\xff\xfe", b"7", b"[]", b'{"id": "7"}', b"{}"]
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(RegistryRefused):
        register(lambda _: Answer(200, body))


@pytest.mark.parametrize("number", [0, -1, 1 << 31, 1 << 70, 1.5, True, None])
def test_an_id_that_no_frame_can_carry_is_refused(number: object) -> None:
    with pytest.raises(RegistryRefused, match="without an id"):
        register(lambda _: tell({"id": number}))


def test_it_is_not_followed_elsewhere() -> None:
    with registry_that(new) as other:

        def away(_: Asked) -> Answer:
            return Answer(307, b"", {"Location": f"{other.url}/subjects/s"})

        with pytest.raises(RegistryRefused, match="sends us elsewhere"):
            register(away, token=SECRET)
        assert other.asked == []


def test_a_registry_that_has_other_schemas_there_conflicts() -> None:
    def has_others(asked: Asked) -> Answer:
        if asked.path == "/subjects/s":
            return tell({"error_code": 40403, "message": "Schema not found"}, 404)
        return tell({"error_code": 409, "message": "Schema being\nregistered is \x1b[1mbad"}, 409)

    with pytest.raises(
        RegistryConflict, match=r"not compatible .* registered is \[1mbad"
    ) as caught:
        register(has_others)
    assert caught.value.code == "E_SCHEMA_INCOMPATIBLE"


def test_an_address_without_such_an_interface_is_refused() -> None:
    with pytest.raises(RegistryRefused, match="status 404"):
        register(lambda _: Answer(404, b"<html>"))


def test_a_registry_that_lost_its_schemas_is_refused() -> None:
    known = Entry("t-value", 1, 7, TEXT.replace("R", "T"), new=False)
    with registry_that(new) as stub:
        registry = HttpRegistry(stub.url, RegistryAccess(url=stub.url))
        with pytest.raises(RegistryRefused, match="schema id 7 .* lost schemas"):
            registry.register([known], "s", TEXT)


@pytest.mark.parametrize("told", [tell({"message": "none"}, 404), tell({"id": 8})])
def test_a_registry_without_what_it_must_have_takes_nothing_new(told: Answer) -> None:
    anchor = Entry("shop.transaction-value", 1, 7, TEXT.replace("R", "T"), new=False)
    with registry_that(lambda _: told) as stub:
        registry = HttpRegistry(stub.url, RegistryAccess(url=stub.url), anchor)
        with pytest.raises(RegistryRefused, match="does not have shop.transaction-value .* lost"):
            registry.register([], "s", TEXT)
        assert [asked.path for asked in stub.asked] == ["/subjects/shop.transaction-value"]


def test_schemas_that_differ_in_doc_alone_may_have_one_id() -> None:
    old = json.loads(TEXT)
    old["fields"][0]["doc"] = "was called b"
    known = Entry("s", 3, 7, json.dumps(old), new=False)
    with registry_that(new) as stub:
        registry = HttpRegistry(stub.url, RegistryAccess(url=stub.url))
        assert registry.register([known], "s", TEXT) == known
        other = Entry("t", 3, 7, json.dumps(old), new=False)
        with pytest.raises(RegistryRefused, match="lost schemas"):
            registry.register([other], "s", TEXT)


def test_a_level_that_may_not_be_set_is_passed_over() -> None:
    told = iter([tell({}, 404), tell({"id": 7}), tell({"id": 7}), tell({}, 403)])
    assert register(lambda _: next(told)).id == 7


def test_credentials_are_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with registry_that(new) as stub:
        for access, header in [
            (RegistryAccess(url=stub.url, token=SECRET), f"Bearer {SECRET}"),
            (
                RegistryAccess(url=stub.url, user="me", password=SECRET),
                "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode(),
            ),
        ]:
            registry = HttpRegistry(stub.url, access)
            registry.register([], "s", TEXT)
            registry.close()
            assert stub.asked[-1].headers["Authorization"] == header
            assert SECRET not in repr(access)
    assert SECRET not in caplog.text
    assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in caplog.text


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_do_not_do_are_not_repeated(status: int) -> None:
    with pytest.raises(RegistryRefused, match="HEADWATER_REGISTRY_TOKEN") as caught:
        register(lambda _: tell({"message": f"no such token: {SECRET}"}, status), token=SECRET)
    assert SECRET not in str(caught.value)


def test_no_proxy_or_password_of_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    assert register(new).id == 7


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://localhost:8081/", "http://localhost:8081"),
        ("https://Registry.Example/apis/ccompat/v7/", "https://registry.example/apis/ccompat/v7"),
        ("http://[::1]:8081", "http://[::1]:8081"),
    ],
)
def test_an_address_is_kept_in_one_form(text: str, kept: str) -> None:
    assert registry_url(text) == kept
    target = parse_target(f"kafka://host/shop?registry={text}")
    assert target.registry == kept
    assert target.shown == "kafka://host:9092/shop"


@pytest.mark.parametrize(
    "text",
    [
        f"http://me:{SECRET}@host:8081",
        "ftp://host",
        "host:8081",
        "http://",
        "http://host/a?b=c",
        "http://host/#x",
        "http://host/a b",
        "http://[::1",
    ],
)
def test_what_is_no_address_or_holds_a_password_is_refused(text: str) -> None:
    with pytest.raises(TargetNotKnown) as caught:
        parse_target(f"kafka://host/shop?registry={text.replace('#', '%23')}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"USER": "me", "PASSWORD": SECRET}, "no address"),
        ({"TOKEN": SECRET}, "no address"),
        ({"URL": "http://host", "USER": "me", "TOKEN": SECRET}, "not both"),
        ({"URL": f"http://me:{SECRET}@host"}, "no user or password"),
    ],
)
def test_credentials_that_nobody_could_use_rightly_are_refused(
    settings: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"HEADWATER_REGISTRY_{name}", value)
    with pytest.raises(TargetNotKnown, match=why) as caught:
        headwater.connect(f"kafka://127.0.0.1:9/shop?dir={tmp_path / 'shop'}")
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "shop").exists()


def test_secrets_are_not_in_what_settings_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_REGISTRY_PASSWORD", SECRET)
    monkeypatch.setenv("HEADWATER_REGISTRY_TOKEN", SECRET)
    assert SECRET not in repr(Settings())

"""What plugins remember of instances and besides: theirs alone, bounded, and kept by everybody who does not name it."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.errors import Forbidden, InvalidField
from discovery.core.event import Kind
from discovery.core.kinds import Document, DocumentEvent, DocumentKey
from discovery.plugins.auth import authorize
from discovery.store import operations
from discovery.store.errors import TooManyDocuments, UnknownInstance
from discovery.store.operations import PutDocument
from discovery.store.registrants import registrants
from discovery.store.registration import Register, Upsert
from tests.driven import DrivenRegistry
from tests.store.attaching import Attach
from tests.store.making import START, TTL, WALL, Log, a_registry, spec


def nested(levels: int) -> Any:
    return [] if levels == 1 else [nested(levels - 1)]


BAD = {
    "9 KiB": "x" * 9 * 1024,
    "30 levels": nested(30),
    "no JSON": {1, 2},
    "a NUL": {"a\0": 1},
}


@pytest.fixture
def registry() -> DrivenRegistry:
    return a_registry()


def test_an_attachment_stays_until_its_plugin_names_it_again(registry: DrivenRegistry) -> None:
    log = Log.of(registry)
    registry.do(Register(spec(), attachments={"consul": {"id": "web 1"}, "eureka": [1]}), START)
    entry = registry.at(spec().key)
    assert entry.instance.attachment("consul") == {"id": "web 1"}
    registry.do(Register(spec()), START)  # a registrant besides, which is an event
    index = registry.index
    registry.do(Register(spec()), START)
    registry.do(Upsert(spec()), START)
    assert registry.index == index, "the same again is no event"
    registry.do(Register(spec(port=80, weight=7), attachments={"eureka": lambda known: [*known, 2]}), START)
    registry.do(Attach(spec().key, {"consul": None, "traefik": "x"}, "asked"), START)
    assert registrants(entry.instance).keys() == {"consul", "eureka", "native"}
    registry.do(Attach(spec().key, {"registrants": None}, "asked"), START)
    assert dict(entry.instance.attachments) == {"eureka": b"[1,2]", "traefik": b'"x"'}
    assert [entry.instance.attachment(plugin) for plugin in ("consul", "eureka", "none")] == [None, [1, 2], None]
    assert log.kinds() == [Kind.REGISTERED, Kind.UPDATED, Kind.UPDATED, Kind.UPDATED, Kind.UPDATED]
    registry.do(Attach(spec().key, {"traefik": "x"}, "asked"), START)
    assert registry.index == index + 3, "nor is the same attachment"


def test_what_a_newer_version_says_besides_of_a_registrant_is_passed_over(registry: DrivenRegistry) -> None:
    entry = registry.register(spec(), START)
    terms: list[Any] = ["none", None, 0.0, 0.0, [], "more"]
    registry.do(Attach(spec().key, {"consul": 1, "registrants": {"native": terms, "consul": terms}}, "asked"), START)
    assert {name: each.lease for name, each in registrants(entry.instance).items()} == {
        "native": "none",
        "consul": "none",
    }


def test_to_attach_is_no_sign_of_life_and_the_lapse_is_told_first(registry: DrivenRegistry) -> None:
    entry, log = registry.register(spec(), START), Log.of(registry)
    registry.do(Attach(spec().key, {"consul": 1}, "asked"), START + TTL)
    assert log.kinds() == [Kind.UNHEALTHY, Kind.UPDATED]
    assert not entry.healthy(START + TTL)
    with pytest.raises(UnknownInstance):
        registry.do(Attach("nobody", {"consul": 1}, "asked"), START)


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_what_is_too_much_or_no_json_is_refused_and_changes_nothing(registry: DrivenRegistry, value: Any) -> None:
    registry.register(spec(), START)
    index = registry.index
    for write in (
        Register(spec(weight=3), attachments={"consul": value}),
        Attach(spec().key, {"consul": value}, "asked"),
        PutDocument("consul", "key", value),
    ):
        with pytest.raises(InvalidField):
            registry.do(write, START)
    assert registry.index == index


def test_the_attachments_of_an_instance_are_bounded_together(registry: DrivenRegistry) -> None:
    half = "x" * 5000
    registry.do(Register(spec(), attachments={"consul": half}), START)
    with pytest.raises(InvalidField, match=r"attachments: is 10004 octets of JSON, at most 8192 octets \(8 KiB\)"):
        registry.do(Attach(spec().key, {"eureka": half}, "asked"), START)
    registry.do(Attach(spec().key, {"consul": None, "eureka": half}, "asked"), START)


def test_they_are_there_after_a_restart_and_a_lapse(registry: DrivenRegistry) -> None:
    registry.do(Register(spec(), attachments={"consul": 1}), START)
    registry.do(Register(spec(port=2, keep=60), attachments={"consul": 2}), START)
    registry.do(PutDocument("consul", "dc", {"name": "dc1"}), START)
    registry.advance(START + TTL, 100)
    again = a_registry()
    again.load(registry.snapshot(START + TTL, WALL), START, WALL)
    assert [entry.instance.attachment("consul") for entry in again] == [1, 2]
    assert again.document("consul", "dc") == {"name": "dc1"}


def test_a_document_is_put_changed_and_removed_each_with_an_event_and_an_index(registry: DrivenRegistry) -> None:
    log, index = Log.of(registry), registry.index
    for value in ({"n": 1}, {"n": 1}, lambda known: {"n": known["n"] + 1}, None, None):
        registry.do(PutDocument("consul", "a/b c", value), START)
        assert set(registry.documents("consul")) == ({"a/b c"} if value else set())
    names = [event.name for commit in log.commits for event in commit.events]
    assert names == ["document-put", "document-changed", "document-removed"]
    assert registry.index == index + 3
    one, two = Document(b'{"n":1}'), Document(b'{"n":2}')
    assert log.commits[1].events == (DocumentEvent(DocumentKey("consul", "a/b c"), one, two, "remembered"),)
    assert (registry.document("consul", "a/b c"), registry.documents("eureka")) == (None, {})


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 1025, "\ud800"])
def test_a_key_that_no_log_could_show_is_refused(registry: DrivenRegistry, key: str) -> None:
    with pytest.raises(InvalidField, match="key: "):
        registry.do(PutDocument("consul", key, 1), START)


def test_a_document_is_written_by_its_owner_or_an_admin() -> None:
    registry = a_registry()

    def put(by: Caller, owner: str | None, value: Any = 1) -> None:
        registry.carry_out(PutDocument("consul", "key", value, owner), START, WALL, by, [authorize])

    web, api = (Caller("10.0.0.9", name, Grants(register=(name,))) for name in ("web", "api"))
    put(web, "web")
    for by, owner in ((api, "web"), (api, "api"), (web, None), (web, "api")):
        with pytest.raises(Forbidden):
            put(by, owner, 2)
    put(Caller("10.0.0.9", "boss", Grants(admin=True)), None, 3)
    with pytest.raises(Forbidden):
        put(web, "web", None)
    assert registry.document("consul", "key") == 3


def test_there_are_never_too_many_documents(registry: DrivenRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MAX_DOCUMENTS", 2)
    for key in ("a", "b", "a"):
        registry.do(PutDocument("consul", key, 1), START)
    with pytest.raises(TooManyDocuments, match="2 documents"):
        registry.do(PutDocument("eureka", "c", 1), START)
    registry.do(PutDocument("eureka", "c", None), START)
    registry.do(PutDocument("consul", "a", None), START)
    registry.do(PutDocument("eureka", "c", 1), START)

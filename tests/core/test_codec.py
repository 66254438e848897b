from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from discovery.core import codec, exact_json
from discovery.core.caller import NOBODY, Caller, Grants
from discovery.core.event import Commit, Event, InstanceEvent, Kind, ValueEvent
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Key, Registration, options
from discovery.core.kinds import Document, DocumentEvent, DocumentKey, Drained, DrainEvent, WindowEvent, ZonesEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.options import OPTIONS
from discovery.core.remembered import changed as attached
from discovery.core.status import Probed, Status
from tests.mutated import mutations

FULL = Registration.of(
    "Web", "2001:db8::1", 80,
    metadata={"big": 10**30, "text": "ü"}, tags=["a", "b"], ports={"http": 8080}, protocol="udp", weight=7, priority=3,
    zone="eu-1", warning_weight=3, ttl=30, keep=60, hold=90, imported_from="consul://old:8500",
    max_answers=2, checks={"http": "/health", "interval": 5},
)  # fmt: skip
PLAIN = Registration.of("web", "10.0.0.1", 80)

BEFORE = Instance("id-1", 1e9, PLAIN, None, Status.HEALTHY)
BY = Caller("10.0.0.9", "ci")
AFTER = Instance(
    "id-1",
    1e9,
    FULL,
    1e9 + 5,
    Status.DRAINING,
    {"http": Finding(Health.FAILING, "HTTP 503", 1e9 + 1)},
    BY,
    Probed.ACCEPTED,
    Finding(Health.WARNING, "full", 1e9),
    1e9 + 7,
    attached((), {"consul": {"id": "web 1/a", "big": 10**30}}),
)
WIDE = AFTER._replace(spec=Registration.of("Orders DB / eu", "Db.example.com.", None))
KEY, SCOPE = Key("web", "10.0.0.1", 80), Scope("web", "10.0.0.1", 80)

EVENTS: list[Event] = [
    InstanceEvent(Kind.REGISTERED, "web", None, AFTER, "new instance", renews=True),
    InstanceEvent(Kind.DRAINING, "web", BEFORE, AFTER, "asked"),
    InstanceEvent(Kind.DEREGISTERED, "web", AFTER, None, "asked", buried_until=1e9 + 60),
    InstanceEvent(Kind.UNHEALTHY, "web", BEFORE, AFTER, "no heartbeat", lapsed_at=1e9 + 10),
    WindowEvent(SCOPE, None, Window("upgrade", 2e9, "ci"), "maintenance"),
    InstanceEvent(Kind.DEREGISTERED, WIDE.spec.key.service, WIDE, None, "asked", buried_until=1e9 + 60),
    WindowEvent(Scope.of(WIDE.spec.key), None, Window("upgrade", 2e9, "ci"), "maintenance"),
    DrainEvent(WIDE.spec.key, None, Drained("id-1", "Web", 1e9, 1e9 + 5, 2e9), "it was draining"),
    WindowEvent(Scope("web"), Window("upgrade", 2e9), None, "over"),
    DrainEvent(KEY, None, Drained("id-1", "Web", 1e9, 1e9 + 5, 2e9), "it was draining"),
    DrainEvent(KEY, Drained("id-1", "Web", 1e9, 1e9 + 5, 2e9), None, "registered again"),
    ZonesEvent("read again"),
    DocumentEvent(
        DocumentKey("consul", "a/b ü"), None, Document(b'{"big":1%30d}'.replace(b"%30d", b"0" * 30), "web"), "put"
    ),
    DocumentEvent(DocumentKey("consul", "."), Document(b"1"), None, "removed"),
]


def again(commit: Commit) -> Commit:
    """Written as JSON, and read."""
    return codec.commit_of(exact_json.loads(exact_json.dumps(codec.of_commit(commit))))


def test_a_commit_with_every_event_and_every_field_comes_back_as_it_was() -> None:
    commit = Commit(7, 1e9 + 0.125, Caller("10.0.0.9", "ci"), "register", tuple(EVENTS))
    assert again(commit) == commit


def test_an_instance_of_an_older_version_has_nobody_who_registered_it() -> None:
    found = codec.of_instance(AFTER)
    del found["registrant"], found["probed"]
    assert codec.instance(found) == AFTER._replace(registrant=NOBODY, probed=None)


def test_why_the_one_check_fails_is_read_as_older_versions_wrote_it() -> None:
    found = codec.of_instance(AFTER)
    del found["checkStates"]
    assert codec.instance(found) == AFTER._replace(checks={"http": Finding(Health.FAILING, "HTTP 503")})


def test_every_optional_field_of_a_registration_is_in_the_one_list() -> None:
    listed = {option.field for option in OPTIONS}
    assert listed == set(Registration.__dataclass_fields__) - {"name", "ip", "port", "metadata", "id"}
    permanent = Registration.of("web", "10.0.0.1", 80, lease="none")  # no ttl stands beside that
    several = Registration.of("web", "10.0.0.1", 80, checks=[{"ttl": 5}])
    assert {*options(FULL), *options(permanent), *options(several)} == {option.name for option in OPTIONS}
    assert options(PLAIN) == {}


def test_one_port_of_two_protocols_is_shown_as_a_list_and_to_older_versions_as_one_of_tcp() -> None:
    both = Registration.of("sip", "10.0.0.1", 5060, protocol=["udp", "tcp"])
    assert options(both) == {"protocol": ["tcp", "udp"]}
    found = codec.of_instance(BEFORE._replace(spec=both))
    assert found["options"] == {"protocols": ["tcp", "udp"]}
    assert codec.instance(found).spec == both
    found["options"] = {"protocol": "udp"}
    assert codec.instance(found).spec.protocols == ("udp",)


def test_what_a_caller_might_do_is_not_told() -> None:
    commit = Commit(7, 1e9, Caller("10.0.0.9", "ci", Grants(admin=True)), "register", (ZonesEvent("x"),))
    assert again(commit).by == Caller("10.0.0.9", "ci")


def changed(**fields: Any) -> Any:
    found = codec.of_commit(Commit(7, 1e9, Caller(""), "register", (EVENTS[1],)))
    found["events"][0] |= fields
    found["events"][0]["after"] |= fields.get("in_after", {})
    return found


def test_a_field_that_a_newer_version_has_is_passed_over() -> None:
    assert codec.commit_of(changed(colour="green", in_after={"shape": "round"})).events == (EVENTS[1],)


@pytest.mark.parametrize("fields", [{"kind": "teleported"}, {"in_after": {"status": "sleepy"}}])
def test_a_kind_or_status_that_is_not_known_is_said_and_not_guessed(fields: dict[str, Any]) -> None:
    with pytest.raises(codec.UnknownEvent, match="newer"):
        codec.commit_of(changed(**fields))


@pytest.mark.parametrize(
    "found", ["", [], {}, {"index": 1}, {"index": 1, "wall": 1, "by": {}, "action": "x", "events": [{}]}]
)
def test_what_is_no_commit_is_a_value_error(found: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        codec.commit_of(found)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_whatever_stands_in_a_field_it_is_of_its_type_or_a_value_error(event: Event) -> None:
    of_types = TypeAdapter(Commit)
    parts = [] if isinstance(event, InstanceEvent) else get_args(type(event).__orig_bases__[0])  # type: ignore[attr-defined] # typing's
    for found in mutations(codec.of_commit(Commit(7, 1e9, BY, "register", (event,)))):
        try:
            commit = codec.commit_of(found)
        except ValueError:
            continue
        of_types.validate_python(commit, strict=True)
        for read in commit.events if parts else ():
            assert isinstance(read, ValueEvent)
            for value, of in ((read.key, parts[0]), (read.before, parts[1] | None), (read.after, parts[1] | None)):
                TypeAdapter(of).validate_python(value, strict=True)
        assert codec.commit_of(codec.of_commit(commit)) == commit

"""Registrations and keys: every field's rule, and the field named that breaks one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.caller import Caller
from discovery.core.errors import InvalidField
from discovery.core.instance import Instance, Key, Registration, Vouched, vouches
from discovery.core.options import DEFAULT_PRIORITY, DEFAULT_WEIGHT, MAX_PORTS, MAX_TAGS


def registration(**fields: Any) -> Registration:
    """One that keeps the rules but for `fields`."""
    return Registration.of(**{"name": "web", "ip": "10.0.0.1", "port": 80, **fields})


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "name of 256 letters": ("name", {"name": "a" * 256}),
    "name of two lines": ("name", {"name": "a\nb"}),
    "name null": ("name", {"name": None}),
    "ip a host name": ("ip", {"ip": "localhost"}),
    "ip null": ("ip", {"ip": None}),
    "port 0": ("port", {"port": 0}),
    "port true": ("port", {"port": True}),
    "metadata a list": ("metadata", {"metadata": ["a"]}),
    "metadata too large": ("metadata", {"metadata": {"a": "x" * 20_000}}),
    "tags a text": ("tags", {"tags": "blue"}),
    "tags null": ("tags", {"tags": None}),
    "tags an object": ("tags", {"tags": {"blue": 1}}),
    "a tag a number": ("tags[1]", {"tags": ["blue", 7]}),
    "a tag of two lines": ("tags[0]", {"tags": ["a\nb"]}),
    "half a character": ("tags[0]", {"tags": ["\ud800"]}),
    "a tag empty": ("tags[0]", {"tags": [""]}),
    "a tag of 1,025 octets": ("tags[0]", {"tags": ["ü" * 512 + "a"]}),
    "65 tags": ("tags", {"tags": [f"t{number}" for number in range(65)]}),
    "65 equal tags": ("tags", {"tags": ["t"] * 65}),
    "17 KiB of tags": ("tags", {"tags": ["a" * 1024] * 17}),
    "ports a list": ("ports", {"ports": [80]}),
    "ports a number": ("ports", {"ports": 80}),
    "a port's name no label": ("ports", {"ports": {"a b": 80}}),
    "a port's name empty": ("ports", {"ports": {"": 80}}),
    "a port's name a number": ("ports", {"ports": {80: 80}}),
    "a named port 0": ("ports.admin", {"ports": {"http": 80, "admin": 0}}),
    "a named port true": ("ports.admin", {"ports": {"admin": True}}),
    "a named port null": ("ports.admin", {"ports": {"admin": None}}),
    "33 ports": ("ports", {"ports": {f"p{number}": 80 for number in range(33)}}),
    "protocol unknown": ("protocol", {"protocol": "sctp"}),
    "protocol null": ("protocol", {"protocol": None}),
    "protocol no list": ("protocol", {"protocol": []}),
    "protocol unknown in a list": ("protocol", {"protocol": ["tcp", "sctp"]}),
    "protocol as it is kept": ("protocol", {"protocol": "tcp,udp"}),
    "weight negative": ("weight", {"weight": -1}),
    "weight 65536": ("weight", {"weight": 65536}),
    "weight true": ("weight", {"weight": True}),
    "weight a text": ("weight", {"weight": "1"}),
    "weight a fraction": ("weight", {"weight": 0.5}),
    "weight null": ("weight", {"weight": None}),
    "priority negative": ("priority", {"priority": -1}),
    "priority 65536": ("priority", {"priority": 65536}),
    "priority false": ("priority", {"priority": False}),
    "priority not a number": ("priority", {"priority": float("nan")}),
    "zone no label": ("zone", {"zone": "eu.west"}),
    "zone empty": ("zone", {"zone": ""}),
    "zone a number": ("zone", {"zone": 1}),
    "ttl 0": ("ttl", {"ttl": 0}),
    "ttl negative": ("ttl", {"ttl": -5}),
    "ttl under a second": ("ttl", {"ttl": 0.999}),
    "ttl over an hour": ("ttl", {"ttl": 3600.5}),
    "ttl infinite": ("ttl", {"ttl": float("inf")}),
    "ttl not a number": ("ttl", {"ttl": float("nan")}),
    "ttl huge": ("ttl", {"ttl": 10**5000}),
    "ttl true": ("ttl", {"ttl": True}),
    "ttl a text": ("ttl", {"ttl": "10"}),
    "max answers 0": ("maxAnswers", {"max_answers": 0}),
    "max answers 65536": ("maxAnswers", {"max_answers": 65536}),
    "max answers true": ("maxAnswers", {"max_answers": True}),
    "max answers a text": ("maxAnswers", {"max_answers": "3"}),
    "id empty": ("id", {"id": ""}),
    "id of 129": ("id", {"id": "a" * 129}),
    "id with a slash": ("id", {"id": "a/b"}),
    "id a path": ("id", {"id": "../x"}),
    "id with a blank": ("id", {"id": "a b"}),
    "id with a line behind": ("id", {"id": "a\n"}),
    "id with NUL": ("id", {"id": "a\0"}),
    "id that starts with a dot": ("id", {"id": ".a"}),
    "id not ASCII": ("id", {"id": "ä"}),
    "id a number": ("id", {"id": 7}),
}

GOOD: dict[str, tuple[str, Any, Any]] = {
    "weight 0": ("weight", 0, 0),
    "weight highest": ("weight", 65535, 65535),
    "priority 0": ("priority", 0, 0),
    "priority highest": ("priority", 65535, 65535),
    "ttl lowest": ("ttl", 1, 1.0),
    "ttl highest": ("ttl", 3600, 3600.0),
    "ttl a fraction": ("ttl", 1.5, 1.5),
    "max answers 1": ("max_answers", 1, 1),
    "max answers null": ("max_answers", None, None),
    "protocol udp": ("protocol", "udp", "udp"),
    "protocol a list of one": ("protocol", ["udp"], "udp"),
    "protocol both": ("protocols", ["udp", "tcp"], ("tcp", "udp")),
    "zone": ("zone", " eu-west ", "eu-west"),
    "tags in order": ("tags", ["b", "a"], ("b", "a")),
    "64 tags": ("tags", [f"t{number}" for number in range(64)], tuple(f"t{number}" for number in range(64))),
    "16 KiB of tags": ("tags", ["a" * 1024] * 16, ("a" * 1024,) * 16),
    "tags that are no labels": (
        "tags",
        ["urlprefix-/web", "traefik.enable=true", " Blü "],
        ("urlprefix-/web", "traefik.enable=true", " Blü "),
    ),
    "tags twice": ("tags", ["Blue", "blue", "Blue"], ("Blue", "blue", "Blue")),
    "ports in order": ("ports", {"http": 80, "admin": "9090"}, (("http", 80), ("admin", 9090))),
    "ports none": ("ports", None, ()),
    "32 ports": ("ports", {f"p{n}": 80 for n in range(32)}, tuple((f"p{n}", 80) for n in range(32))),
    "id a uuid": ("id", "6f1c2f6e-0c1b-4a3e-9d55-1f1e5a4f8b11", "6f1c2f6e-0c1b-4a3e-9d55-1f1e5a4f8b11"),
    "id as Eureka's": ("id", "host-1.local:web:8080", "host-1.local:web:8080"),
    "id of 128": ("id", "a" * 128, "a" * 128),
    "metadata": ("metadata", {"v": 1}, b'{"v":1}'),
}


@pytest.mark.parametrize(("field", "fields"), BAD.values(), ids=BAD)
def test_a_field_that_breaks_its_rule_is_named(field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as caught:
        registration(**fields)
    assert caught.value.field == field
    assert field in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("field", "sent", "kept"), GOOD.values(), ids=GOOD)
def test_a_field_that_keeps_its_rule_is_kept(field: str, sent: object, kept: object) -> None:
    assert getattr(registration(**{field.replace("protocols", "protocol"): sent}), field) == kept


def test_the_limits_are_those_of_the_tables() -> None:
    assert (MAX_TAGS, MAX_PORTS) == (64, 32)


def test_the_optional_fields_have_defaults() -> None:
    spec = registration()
    assert (spec.metadata, spec.tags, spec.ports, spec.protocol) == (b"{}", (), (), "tcp")
    assert (spec.weight, spec.priority) == (DEFAULT_WEIGHT, DEFAULT_PRIORITY)
    assert (spec.zone, spec.ttl, spec.id) == (None, None, None)


def test_everything_is_kept_in_one_spelling() -> None:
    sent = registration(name=" Web ", ip="::ffff:10.0.0.1", port="080", metadata=None)
    assert sent == registration(name="Web", ip="10.0.0.1", port=80)


def test_a_registration_and_a_look_up_mean_the_same_instance() -> None:
    assert registration(name="WEB", ip="2001:DB8::0001", port="80").key == Key.of(" web", "2001:db8::1", 80.0)
    assert Key.of("Web", "10.0.0.1", "80") == Key("web", "10.0.0.1", 80)


@pytest.mark.parametrize(
    ("field", "parts"),
    [("name", ("a\nb", "10.0.0.1", 80)), ("ip", ("web", "::", 80)), ("port", ("web", "10.0.0.1", "80x"))],
)
def test_a_look_up_names_its_part_at_fault(field: str, parts: tuple[object, object, object]) -> None:
    with pytest.raises(InvalidField) as caught:
        Key.of(*parts)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("ip", "address"),
    [("10.0.0.1", "10.0.0.1:80"), ("2001:db8::1", "[2001:db8::1]:80"), ("Db.example.", "Db.example.:80")],
)
def test_an_address_is_shown_as_in_a_url(ip: str, address: str) -> None:
    assert Instance("id", 0.0, registration(ip=ip)).address == address
    assert Instance("id", 0.0, registration(ip=ip, port=None)).address == ip


_LABELS = st.from_regex(r"[A-Za-z]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?", fullmatch=True)
_PLACES = st.tuples(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
        lambda name: name not in (".", "..", "\ufffd")
    ),
    st.one_of(st.sampled_from(["10.0.0.1", "2001:db8::a"]), st.lists(_LABELS, min_size=2, max_size=3).map(".".join)),
    st.sampled_from([None, 80]),
)


@given(_PLACES, st.booleans())
def test_who_spells_an_address_or_a_name_in_other_letters_means_the_same_instance(place: Any, dot: bool) -> None:
    name, ip, port = place
    other = "".join(letter.swapcase() if letter.isascii() else letter for letter in name)
    is_name = Registration.of(name, ip, port).is_host_name
    spelt = ip.swapcase() + "." * dot if is_name else ip
    spec = Registration.of(other, spelt, "" if port is None else str(port))
    assert Key.of(name, ip, port) == Key.of(other, spelt, port) == spec.key == Registration.of(name, ip, port).key
    assert (spec.ip, spec.place, spec.key[1:]) == (spelt, spec.key[1:], spec.place), "shown as sent"
    assert spec.key == Key.of(spec.key.service, spec.key.ip, spec.key.port or None), "folded once is folded"


@given(_PLACES, _PLACES)
def test_different_places_are_different_instances(one: Any, another: Any) -> None:
    def said(place: Any) -> Any:
        name, ip, port = place
        return "".join(letter.lower() if letter.isascii() else letter for letter in name), ip.lower(), port

    assert (Key.of(*one) == Key.of(*another)) == (said(one) == said(another))


def test_a_host_name_is_nobodys_own_address() -> None:
    spec = registration(ip="db.example.com")
    assert vouches(Caller("/run/socket"), spec) is Vouched.NOT
    assert vouches(Caller("", "ci"), spec) is Vouched.TOKEN


def test_a_registration_cannot_be_altered() -> None:
    spec: Any = registration()
    with pytest.raises(AttributeError):
        spec.port = 81

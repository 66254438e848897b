"""Filters of instances and events, against what a plain reading of the metadata says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core import exact_json, metadata
from discovery.core.event import Event, InstanceEvent, Kind
from discovery.core.instance import Instance, Registration
from discovery.core.kinds import WindowEvent, ZonesEvent
from discovery.core.maintenance import Scope, Window
from discovery.dns.zones.selector import select
from discovery.rest.api.following.filters import EVENT_FILTERS, FILTERS, EventFilter, Filter, MetaIs
from discovery.rest.api.query import parse


def made(**fields: Any) -> Instance:
    return Instance("id-1", 0.0, Registration.of(**{"name": "web", "ip": "10.0.0.1", "port": 80} | fields))


def meant(query: str) -> Filter:
    return Filter.of(parse(query, FILTERS))


BLUE = made(
    tags=["Blue", "v2"],
    zone="EU-1",
    metadata={
        "version": "2",
        "build": 7,
        "ratio": 1.5,
        "canary": True,
        "owner": None,
        "app.kubernetes.io/name": "web",
        "inner": {"version": "9", "only": "x"},
        "list": ["2"],
        'quo"te\\': "ä\n",
        "big": 2**70,
    },
)

MEANS_IT = [
    "", "tag=blue", "tag=BLUE&tag=V2", "zone=eu-1", "port=80", "meta.version=2", "meta.build=7", "meta.ratio=1.5",
    "meta.canary=true", "meta.owner=null", "meta.app.kubernetes.io/name=web", "meta.quo%22te%5C=%C3%A4%0A",
    f"meta.big={2**70}", "tag=v2&zone=EU-1&port=80&meta.version=2&meta.build=7",
]  # fmt: skip
DOES_NOT = [
    "tag=green", "tag=blue&tag=green", "zone=eu-2", "port=81", "meta.version=1", "meta.version=", "meta.version=%222%22",
    "meta.build=07", "meta.build=7.0", "meta.ratio=1.50", "meta.canary=1", "meta.canary=True", "meta.owner=", "meta.gone=null",
    "meta.inner=x", "meta.only=x", "meta.inner.only=x", "meta.list=2", "meta.list=%5B%222%22%5D", "meta.Version=2",
    f"meta.big={2**70 + 1}", "tag=blue&port=81",
]  # fmt: skip


@pytest.mark.parametrize("query", MEANS_IT)
def test_a_filter_means_what_has_all_that_it_names(query: str) -> None:
    assert meant(query).matches(BLUE)


@pytest.mark.parametrize("query", DOES_NOT)
def test_a_filter_does_not_mean_what_lacks_something(query: str) -> None:
    assert not meant(query).matches(BLUE)


def test_a_nested_value_with_the_same_key_is_another() -> None:
    nested = made(metadata={"a": {"k": "v"}, "k": "w"})
    assert not meant("meta.k=v").matches(nested)
    assert meant("meta.k=w").matches(nested)


@given(
    st.sampled_from(["tag", "zone", "port"]),
    st.sampled_from(["blue", "GREEN", "eu-1", "v2"]),
    st.lists(st.sampled_from(["Blue", "green", "v2"]), max_size=3),
    st.none() | st.sampled_from(["EU-1", "us-1", "v2"]),
    st.sampled_from([80, 81]),
)
def test_it_means_what_the_name_in_dns_means(
    name: str, text: str, tags: list[str], zone: str | None, port: int
) -> None:
    one = made(tags=tags, zone=zone, port=port)
    text = "80" if name == "port" else text
    labels = {"tag": [text], "zone": [text, "zone"], "port": [f"p{text}"]}[name]
    selector = select(tuple(label.lower().encode() for label in [*labels, "web"]))
    assert selector is not None
    assert meant(f"{name}={text}").matches(one) == (selector.match(one) is not None)


def test_only_a_filter_that_asks_for_something_is_true() -> None:
    assert not meant("")
    assert all(meant(query) for query in ("tag=a", "zone=a", "port=1", "meta.a="))


_scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e15, 1e15) | st.text('a"\\{},:1é\n')
_values = st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner), max_leaves=5)
_texts = st.text('a"\\{},:1.é\n') | _scalars.map(lambda value: json.dumps(value))


@given(st.dictionaries(st.text('ab"\\{},:', max_size=2), _values, max_size=4), st.text('ab"\\{},:', max_size=2), _texts)
def test_metadata_matches_as_the_parsed_object_says(content: dict[str, Any], key: str, text: str) -> None:
    packed = metadata.pack(content)
    value = exact_json.loads(packed).get(key, [])
    spelled = (
        [] if isinstance(value, list | dict) else value if isinstance(value, str) else exact_json.dumps(value).decode()
    )
    expected = spelled == text
    asked = MetaIs(key, text)
    assert (asked.may_match(packed) and asked.matches(exact_json.loads(packed))) == expected


def test_an_event_passes_for_what_the_instance_is_or_was() -> None:
    blue, green = made(tags=["blue"]), made(tags=["green"])
    events: list[Event] = [
        InstanceEvent(Kind.REGISTERED, "web", None, blue, "r"),
        InstanceEvent(Kind.UPDATED, "web", blue, green, "r"),
        InstanceEvent(Kind.DEREGISTERED, "web", green, None, "r"),
        WindowEvent(Scope("web"), None, Window("a new disk", 1.0), "r"),
        ZonesEvent("r"),
    ]

    def passing(query: str) -> list[bool]:
        asked = EventFilter.of(parse(query, EVENT_FILTERS))
        assert bool(asked) == bool(query)
        return [asked.passes(event) for event in events]

    assert passing("") == [True, True, True, True, True]
    assert passing("tag=blue") == [True, True, False, False, False]
    assert passing("tag=green") == [False, True, True, False, False]
    assert passing("service=WEB,other") == [True, True, True, True, False]
    assert passing("service=other") == [False, False, False, False, False]
    assert passing("kind=registered,deregistered") == [True, False, True, False, False]
    assert passing("kind=deregistered&tag=blue&service=web") == [False, False, False, False, False]
    assert passing("kind=maintenance-begins") == [False, False, False, True, False]

"""Query strings against a table: what is read, what is refused and what the refusal says."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.errors import DiscoveryError, InvalidField
from discovery.rest.api import parameters
from discovery.rest.api.errors import HttpError
from discovery.rest.api.query import MAX_NAME, MAX_PARAMETERS, Table, parse, shown

KNOWN: Table = {
    "tag": parameters.name(most=3),
    "zone": parameters.name(),
    "port": parameters.port(),
    "limit": parameters.whole(1, 100),
    "explain": parameters.flag(),
    "strategy": parameters.one_of(["random", "latest"]),
    "kind": parameters.some_of(["registered", "expired"]),
    "service": parameters.names(),
    "wait": parameters.duration(600),
    "from": parameters.moment(),
    "meta.": parameters.text(20, most=2),
}
NOON = 1769860800.0  # 2026-01-31T12:00:00Z

READ: dict[str, dict[str, Any]] = {
    "": {},
    "tag=Blue": {"tag": ("blue",)},
    "tag=a&tag=b": {"tag": ("a", "b")},
    "limit=7&zone=EU-1": {"limit": 7, "zone": "eu-1"},
    "port=3001&explain=1": {"port": 3001, "explain": True},
    "explain=false": {"explain": False},
    "strategy=latest": {"strategy": "latest"},
    "kind=expired,registered": {"kind": frozenset({"expired", "registered"})},
    "service=A,b": {"service": frozenset({"a", "b"})},
    "meta.version=2&meta.a.b=x%20y+z": {"meta.": {"version": "2", "a.b": "x y z"}},
    "meta.%C3%A4=": {"meta.": {"ä": ""}},
    "wait=30": {"wait": 30.0},
    "wait=500ms": {"wait": 0.5},
    "wait=2m": {"wait": 120.0},
    "wait=99h": {"wait": 600.0},
    "_=1&_dc=a&limit=1": {"limit": 1},
}

BROKEN = {
    "tag=": "tag",
    "tag=a%0Ab": "tag",
    "tag=a&tag=b&tag=c&tag=d": "tag",
    "zone=a&zone=a": "zone",
    "zone": "zone",
    "port=0": "port",
    "port=65536": "port",
    "port=http": "port",
    "limit=0": "limit",
    "limit=101": "limit",
    "limit=1.5": "limit",
    "limit=-1": "limit",
    "limit=%D9%A1": "limit",
    "limit=99999999999999999999999": "limit",
    "explain=yes": "explain",
    "strategy=": "strategy",
    "strategy=Random": "strategy",
    "kind=gone": "kind",
    "kind=expired,": "kind",
    "service=a,,b": "service",
    "service=" + ",".join("a" * 100): "service",
    "meta.a=1&meta.a=2": "meta.a",
    "meta.a=1&meta.b=2&meta.c=3": "meta.c",
    "meta.a=" + "x" * 21: "meta.a",
    "wait=": "wait",
    "wait=-1": "wait",
    "wait=1y": "wait",
    "wait=1e9": "wait",
    "wait=Infinity": "wait",
    "from=": "from",
    "from=yesterday": "from",
    "from=nan": "from",
    "tag=%FF": "query",
    "&".join(f"_{number}=1" for number in range(MAX_PARAMETERS + 1)): "query",
}

SLIPS = {
    "tags": "tag",
    "Tag": "tag",
    "tga": "tag",
    "zones": "zone",
    "limt": "limit",
    "max-limit": "limit",
    "explian": "explain",
    "strategie": "strategy",
    "meta": "meta.KEY",
    "meta.": "meta.KEY",
    "metadata.version": "meta.KEY",
    "meta[version]": "meta.KEY",
}


@pytest.mark.parametrize("query", READ)
def test_a_query_is_read_by_its_table(query: str) -> None:
    assert parse(query, KNOWN) == READ[query]


def test_a_moment_is_read_from_now() -> None:
    assert parse("from=2026-01-31T12:00:00Z", KNOWN)["from"](0.0) == NOON
    assert parse("from=-2h", KNOWN)["from"](NOON) == NOON - 7200
    with pytest.raises(InvalidField, match="from"):
        parse("from=-999999999w", KNOWN)["from"](NOON)


@pytest.mark.parametrize("query", BROKEN, ids=lambda query: query[:40])
def test_a_broken_value_is_refused_by_the_name_of_its_parameter(query: str) -> None:
    with pytest.raises(InvalidField) as caught:
        parse(query, KNOWN)
    assert caught.value.field == BROKEN[query]


@pytest.mark.parametrize("name", SLIPS)
def test_an_unknown_name_is_refused_with_the_nearest_that_is_known(name: str) -> None:
    with pytest.raises(HttpError) as caught:
        parse(f"{name}=1", KNOWN)
    error = caught.value
    assert (error.status, error.code) == (400, "PARAMETER_UNKNOWN")
    assert error.facts == {"field": name, "suggestion": SLIPS[name]}
    assert f"Did you mean {SLIPS[name]}?" in str(error)


def test_where_nothing_is_near_the_error_says_what_there_is() -> None:
    with pytest.raises(HttpError) as caught:
        parse("q=1", KNOWN)
    assert "suggestion" not in caught.value.facts
    assert all(shown(name) in str(caught.value) for name in KNOWN)


def test_a_name_without_end_is_not_repeated() -> None:
    for name in ("x" * 10_000, "meta." + "x" * MAX_NAME, "_" * 10_000):
        with pytest.raises(InvalidField) as caught:
            parse(f"{name}=1", KNOWN)
        assert len(str(caught.value)) < 200


def test_an_error_escapes_what_a_terminal_would_obey() -> None:
    with pytest.raises(HttpError) as caught:
        parse("%1B%5B31m%E2%80%AE=1", KNOWN)
    assert str(caught.value).isprintable()


@given(st.text(max_size=200))
def test_whatever_is_sent_is_read_or_refused(query: str) -> None:
    with contextlib.suppress(DiscoveryError):
        assert parse(query, KNOWN).keys() <= KNOWN.keys()

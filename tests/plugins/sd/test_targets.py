"""GET /sd/prometheus: who is a target, and what is said of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.instance import Instance, Registration
from discovery.core.status import Status
from discovery.plugins.sd import PREFIX, PrometheusTargets, labels
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from tests.driven import DrivenRegistry
from tests.routes import OPERATIONS
from tests.store.making import START, TTL, WALL, a_registry, spec

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)


def targets(registry: DrivenRegistry, query: str = "", now: float = START) -> list[Any]:
    request = Request("GET", f"/sd/prometheus?{query}")
    request.route = OPERATIONS["GET", "/sd/prometheus"]
    answer: Answer = PrometheusTargets(registry, lambda: now).targets(request)
    assert isinstance(answer.body, Iterator)
    found: list[Any] = json.loads(b"".join(answer.body))
    return found


def addresses(found: list[Any]) -> list[str]:
    return [target for group in found for target in group["targets"]]


def test_all_with_a_port_are_targets_but_those_whose_lease_is_over() -> None:
    registry = a_registry()
    assert targets(registry) == []
    registry.register(spec(port=80, ttl=5), START, WALL)
    registry.register(spec("db", ip="2001:db8::1", port=81), START, WALL)
    registry.register(spec("host", ip="db.example.com", port=82), START, WALL)
    registry.register(Registration.of("none", "10.0.0.1", None), START, WALL)
    registry.drain(registry.services["db"].entries["2001:db8::1", 81].instance.id, True, "asked", START, WALL)
    assert addresses(targets(registry)) == ["[2001:db8::1]:81", "db.example.com:82", "10.0.0.1:80"]
    assert addresses(targets(registry, now=START + TTL - 1)) == ["[2001:db8::1]:81", "db.example.com:82"]
    assert addresses(targets(registry, "service=web,host,DB&port=82")) == ["db.example.com:82"]
    assert addresses(targets(registry, "status=draining")) == ["[2001:db8::1]:81"]
    registry.loaded = False
    with pytest.raises(HttpError, match="still being filled") as caught:
        targets(registry)
    assert caught.value.status == 503


def test_many_are_told_in_pieces_of_one_list() -> None:
    registry = a_registry(max_instances=1000)
    for port in range(1, 202):
        registry.register(spec(port=port), START, WALL)
    assert len(targets(registry)) == len(targets(registry, "service=web")) == 201


def test_what_an_instance_says_of_itself_are_labels() -> None:
    own = spec(
        "Web",
        port=80,
        tags=["a", "b=c"],
        zone="eu",
        ports={"admin-x": 9},
        metadata={"a.b": 1, "é": "x", "n": {"m": []}},
    )
    found = labels(Instance("id-1", WALL, own), Status.HEALTHY)
    assert {name.removeprefix(PREFIX): text for name, text in found.items()} == {
        "service": "Web", "id": "id-1", "address": "10.0.0.1", "port": "80", "status": "healthy", "health": "passing", "zone": "eu",
        "tags": ",a,b=c,", "port_admin_x": "9", "metadata_a_b": "1", "metadata__": "x", "metadata_n": '{"m":[]}',
    }  # fmt: skip


@given(st.dictionaries(_TEXT, st.none() | _TEXT | st.integers(), max_size=5))
def test_whatever_the_metadata_is_prometheus_takes_the_labels(metadata: dict[str, Any]) -> None:
    names = labels(Instance("i", WALL, spec(metadata=metadata)), Status.HEALTHY)
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in names)

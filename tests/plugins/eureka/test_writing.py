"""Whatever Eureka's clients do in whatever order: where each id is, what it is and what its instance is agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.health import Health
from discovery.core.instance import Key
from discovery.plugins.eureka.ids import records_of
from discovery.plugins.eureka.record import STATUSES, is_out, read
from discovery.plugins.eureka.writing import AddMetadata, Announce, Cancel, Forget, Override
from discovery.store.errors import UnknownInstance
from discovery.store.registration import Deregister
from discovery.store.write import Write
from tests.examples import examples
from tests.plugins.eureka.house import House, sent
from tests.store.making import ALL, a_registry

_IDS, _PORTS = st.sampled_from("abc"), st.sampled_from((80, 81))
_STEPS = st.one_of(
    st.tuples(st.just("register"), _IDS, _PORTS, st.sampled_from(STATUSES), st.sampled_from(("UNKNOWN", "DOWN"))),
    st.tuples(st.just("override"), _IDS, st.sampled_from((*STATUSES, None))),
    st.tuples(st.just("cancel"), _IDS),
    st.tuples(st.just("forget"), _IDS),
    st.tuples(st.just("metadata"), _IDS),
    st.tuples(st.just("deregister"), _PORTS),
    st.tuples(st.just("wait"), st.sampled_from((1.0, 10.0, 40.0))),
)


def do(house: House, what: str, *given_: Any) -> None:
    if what == "register":
        id, port, status, override = given_
        house.register(id, port=port, status=status, overriddenStatus=override)
    elif what == "wait":
        house.now += given_[0]
        house.registry.advance(house.now, ALL)
    elif what == "deregister":
        house.registry.do(Deregister(Key("web", "10.0.0.1", given_[0]), "asked"), house.now)
    else:
        id = given_[0]
        if (place := house.ids.place("web", id)) is None:
            raise UnknownInstance(id)
        writes: dict[str, Write[None]] = {
            "cancel": Cancel(place.key, id, "asked"),
            "forget": Forget(place.key, (id,)),
            "metadata": AddMetadata(place.key, {"k": id}, "asked"),
            "override": Override(place.key, id, given_[-1], "asked"),
        }
        house.registry.do(writes[what], house.now)


@settings(max_examples=examples(60))
@given(st.lists(_STEPS, max_size=25))
def test_where_each_id_is_and_what_its_instance_is_agree(steps: list[tuple[Any, ...]]) -> None:
    house = House(a_registry())
    for step in steps:
        try:
            do(house, *step)
        except UnknownInstance:
            continue
        found: dict[str, Key] = {}
        for entry in house.registry:
            instance, records = entry.instance, records_of(entry.instance)
            assert records, "whoever has no id any more is gone"
            assert not found.keys() & records.keys(), "an id is at one address"
            found |= dict.fromkeys(records, instance.spec.key)
            is_up = "UP" in [record.get("status", "UP") for record in records.values()]
            assert (instance.own.health is Health.PASSING) == is_up
            if step[0] == "override" and step[1] in records:
                assert instance.draining == is_out(records)
        assert {id: place.key for id in "abc" if (place := house.ids.place("web", id)) is not None} == found
        assert set(house.listed()) <= found.keys()
    house.listed("/apps/delta")


def test_an_id_that_came_to_two_addresses_at_once_may_go_from_both(caplog: pytest.LogCaptureFixture) -> None:
    house = House(a_registry())
    for port in (80, 81):
        house.registry.do(Announce(read(sent("a", port=port), "WEB"), None), house.now)
    for port in (81, 80):
        house.registry.do(Cancel(Key("web", "10.0.0.1", port), "a", "asked"), house.now)
    assert "a follower failed" not in caplog.text

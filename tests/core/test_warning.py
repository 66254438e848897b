"""The list of warnings: since when each holds, and one line in the log when it begins and one when it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.cli.logs import fields_of
from discovery.core.warning import MOST, Concern, Severity, WarningList, critical, each, one, warning


class House:
    """`texts`: what the concerns `disk` and `zone` find, by what it is about."""

    def __init__(self) -> None:
        self.texts: dict[str, Mapping[str, str]] = {"zone": {}, "disk": {}}
        self.list = WarningList(
            [warning("zone", lambda: self.texts["zone"]), critical("disk", lambda: self.texts["disk"])]
        )

    def at(self, now: float) -> list[tuple[str, str, float]]:
        return [(each.code, each.text, each.since) for each in self.list.at(now)]


def counts(of: WarningList) -> Mapping[tuple[str, ...], object]:
    [metric] = of.metrics()
    found = metric.read()
    assert isinstance(found, Mapping)
    return found


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    found = [(fields_of(each), each.levelno) for each in caplog.records]
    return [(str(fields["event"]), str(fields["code"]), level) for fields, level in found]


def test_a_warning_keeps_since_when_it_holds_though_its_text_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house = House()
    assert house.at(1) == []
    house.texts["zone"] = {"a": "1 bad"}
    assert house.at(2) == [("zone", "1 bad", 2)]
    house.texts["zone"] = {"a": "2 bad"}
    assert house.at(3) == [("zone", "2 bad", 2)]
    house.texts["zone"] = {}
    assert house.at(4) == []
    assert lines(caplog) == [("warning.began", "zone", logging.WARNING), ("warning.ended", "zone", logging.INFO)]
    assert caplog.records[0].getMessage() == "1 bad (discovery/docs/troubleshooting.md#zone)"
    assert caplog.records[1].getMessage() == "over after 2 s: 1 bad; at last: 2 bad"


def test_critical_ones_come_first_then_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.texts["zone"] = {"b": "b"}
    house.at(1)
    house.texts = {"zone": {"a": "a", "b": "b"}, "disk": {"": "full"}}
    assert house.at(2) == [("disk", "full", 2), ("zone", "b", 1), ("zone", "a", 2)]
    assert lines(caplog)[-1] == ("warning.began", "disk", logging.ERROR)
    assert counts(house.list) == {("zone", "warning"): 2, ("disk", "critical"): 1}


def test_of_very_many_some_are_named_and_stay_the_same_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.texts["zone"] = each(map(str, range(1000)))
    named = house.at(1)
    assert len(named) == MOST
    assert {each.total for each in house.list.at(1)} == {1000}
    house.texts["zone"] = each(map(str, reversed(range(1000))))
    assert sorted(house.at(2)) == sorted(named)
    assert len(caplog.records) == MOST


def test_readers_ask_as_often_as_they_like_and_the_parts_are_not() -> None:
    asked = []
    held = WarningList([warning("zone", one(lambda: asked.append(1)))])
    for _ in range(100):
        held.at(1)
    assert len(asked) == 1


def test_a_part_that_cannot_tell_is_a_warning_and_keeps_no_other_from_telling() -> None:
    def broken() -> str:
        raise ValueError("lost")

    held = WarningList([warning("zone", one(broken)), critical("disk", one(lambda: "full"))])
    first, second = held.at(1)
    assert (first.text, second.code) == ("full", "zone")
    assert "ValueError('lost')" in second.text


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=8))
def test_whatever_comes_and_goes_each_holds_since_the_look_from_which_it_has_held(looks: list[Iterable[str]]) -> None:
    now = 0.0
    held = WarningList([Concern("zone", Severity.WARNING, lambda: each(present))])
    since: dict[str, float] = {}
    for present in looks:
        now += 1
        since = {about: since.get(about, now) for about in present}
        assert {each.text: each.since for each in held.at(now)} == since

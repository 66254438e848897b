"""What is kept of an instance's JSON says the same as `views.resolved`, whatever happens to the instance."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from discovery.core.instance import Instance, Registration
from discovery.core.lease import Lease, Term
from discovery.core.status import Status
from discovery.rest.api import views
from discovery.rest.api.answers import Json
from discovery.rest.api.resolving import shown
from discovery.rest.api.resolving.shown import Shown
from discovery.rest.api.times import Times
from discovery.store.service import Entry

TIMES = Times(lambda: 100.0, lambda: 1_800_000_000.25)

FIELDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "metadata that looks like a field": {"metadata": {"a": '","registeredAt":"', "status": ',"status":"', "ü": "\U0001f600"}},
    "long metadata": {"metadata": {"text": "x" * 2_000}},
    "all options": {
        "tags": ["blue"], "ports": {"admin": 9000}, "protocol": "udp", "weight": 1, "priority": 2, "zone": "a", "ttl": 7.5,
        "max_answers": 3, "checks": {"tcp": True},
    },
}  # fmt: skip


def entry(number: int, **fields: Any) -> Entry:
    spec = Registration.of("web", f"10.0.0.{number}", 3000, **fields)
    return Entry(Instance(f"id-{number}", 1_700_000_000.5, spec, None), Lease(Term(10.0), 95.0))


def text(shown: Shown, one: Entry, now: float = 100.0) -> bytes:
    return orjson.dumps(shown.all([one], now))


def expected(one: Entry, now: float = 100.0) -> bytes:
    return orjson.dumps([views.resolved(one, now, TIMES)])


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_it_is_the_same_text_before_and_after_each_change(fields: dict[str, Any]) -> None:
    ours, one = Shown(TIMES), entry(1, **fields)
    for _ in range(2):
        assert text(ours, one) == expected(one)
    one.lease.renewed_at = 98.125
    assert text(ours, one) == expected(one)
    one.instance = one.instance.with_status(Status.SUSPECT)
    assert text(ours, one) == expected(one)
    one.instance = one.instance._replace(spec=Registration.of("web", "10.0.0.1", 3000, metadata={"version": "2"}))
    assert text(ours, one) == expected(one)
    assert text(ours, one, 1_000.0) == expected(one, 1_000.0)


def test_what_is_kept_is_bounded_and_long_metadata_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MAX_KEPT", 3)
    ours = Shown(TIMES)
    made: list[Entry] = []
    resolved = views.resolved

    def counted(one: Entry, now: float, times: Times) -> Json:
        made.append(one)
        return resolved(one, now, times)

    monkeypatch.setattr(views, "resolved", counted)
    for number, times in ((1, 1), (2, 1), (3, 1), (1, 0), (4, 1), (1, 1), (4, 0)):
        made.clear()
        text(ours, entry_of[number])
        assert len(made) == times
    for _ in range(2):
        made.clear()
        text(ours, entry(9, metadata={"text": "x" * 600}))
        assert len(made) == 1


entry_of = {number: entry(number) for number in range(1, 5)}

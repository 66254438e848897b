"""A kind of event is declared once: one that is invented here is in all that stores or shows events, and nobody else has heard of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from discovery.core import codec
from discovery.core.caller import Caller
from discovery.core.event import Commit, ValueEvent, ValueKind
from discovery.core.instance import Key
from discovery.core.kinds import ADDRESS, KINDS, MOMENT, TEXT
from discovery.engines.etcd.difference import difference
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import Change, text
from discovery.engines.etcd.read_all import Found, Reader
from discovery.plugins.audit import line
from discovery.plugins.history import rows
from discovery.rest.api.following import event_view
from discovery.rest.api.following.filters import EventFilter
from discovery.rest.watch.messages import Messages
from discovery.store.change_log import log_commit
from discovery.store.transaction import Transaction
from discovery.store.write import Write
from tests.plugins.journal.house import living
from tests.store.making import WALL, a_registry


class Paint(NamedTuple):
    colour: str
    until: float


class PaintEvent(ValueEvent[Key, Paint]):
    __slots__ = ()
    kind = ValueKind(
        name="paint",
        noun="paint",
        text="paint of {place}",
        verbs=("applied", "applied", "stripped"),
        keys=ADDRESS,
        value=Paint,
        fields={"colour": TEXT, "until": MOMENT},
        shown=("colour", "until"),
        letter="p",
    )


KEY, BLUE, RED = Key("web", "10.0.0.1", 80), Paint("blue", WALL + 60), Paint("red", WALL + 90)
BEGAN, CHANGED, ENDED = (
    PaintEvent(KEY, before, after, "asked") for before, after in ((None, BLUE), (BLUE, RED), (RED, None))
)
BY = Caller("10.0.0.9", "ci")


class Paints(Write[None]):
    action = "paint"

    def __init__(self, event: PaintEvent) -> None:
        self.event = event

    def decide(self, txn: Transaction) -> None:
        txn.add(self.event)


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, PaintEvent.kind.name, PaintEvent)


def commit(*events: PaintEvent) -> Commit:
    return Commit(7, WALL, BY, "paint", events)


def test_it_is_json_and_a_row_of_the_history_and_comes_back() -> None:
    whole = commit(BEGAN, CHANGED, ENDED)
    assert codec.commit_of(codec.of_commit(whole)) == whole
    assert [rows.stored(row).event for row in rows.of_commit(*rows.keyed([whole]))] == [BEGAN, CHANGED, ENDED]
    name, place = rows.EVENT.split(", ").index("kind"), rows.EVENT.split(", ").index("service")
    assert rows.of_commit(*rows.keyed([whole]))[0][name] == "paint-applied"
    assert rows.of_commit(*rows.keyed([whole]))[0][place : place + 2] == ("web", "10.0.0.1")


async def test_the_journal_keeps_it_over_a_restart(tmp_path: Path) -> None:
    async with living(tmp_path) as house:
        await house.engine.submit(Paints(BEGAN))
        await house.engine.submit(Paints(CHANGED))
    async with living(tmp_path) as house:
        assert house.registry.values[PaintEvent].all == {KEY: RED}
        await house.engine.submit(Paints(ENDED))
    async with living(tmp_path) as house:
        assert not house.registry.values[PaintEvent].all


def test_it_has_a_key_in_etcd_and_a_node_that_reads_it_has_the_same_state() -> None:
    layout = Layout("reg/")
    [put, *_] = layout.operations(Decision(commit(BEGAN), ("web",)), 0).values()
    assert put["requestPut"]["key"] == text(b"reg/p/web/10.0.0.1-80")
    reader = Reader(layout, lambda parts, change: None)
    found, registry = Found(), a_registry()
    reader.read(found, ["p", "web", "10.0.0.1-80"], Change(b"", orjson.dumps(PaintEvent.kind.dumps(BLUE)), 1, 1))
    assert not found.unreadable
    assert list(filter(None, difference(layout, registry, found, "asked"))) == [(BEGAN,)]
    registry.change(commit(BEGAN), 0.0)
    assert set(registry.snapshot(0.0, WALL).values) > set(found.snapshot(0).values) == {PaintEvent(KEY, None, BLUE, "")}
    [gone] = filter(None, difference(layout, registry, Found(), "by hand", [b"reg/p/web/10.0.0.1-80"]))
    assert gone == (PaintEvent(KEY, BLUE, None, "by hand"),)


def test_changes_and_streams_show_it_and_know_its_names() -> None:
    shown = orjson.loads(Messages().json(commit(BEGAN), 0, with_actor=True))
    assert (shown["kind"], shown["service"], shown["instance"]) == ("paint-applied", "web", None)
    assert shown["paint"] == {"ip": "10.0.0.1", "port": 80, "colour": "blue", "until": "2023-11-14T22:14:20.000Z"}
    assert EventFilter(kinds=frozenset({"paint-stripped"})).passes(ENDED)
    assert set(event_view.KINDS) >= {
        name for each in KINDS.values() if each is not PaintEvent for name in each.kind.names
    }


def test_the_audit_and_the_log_have_a_line_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    written = line.of_commit(commit(CHANGED))
    assert written is not None
    found = orjson.loads(written)
    assert (found["service"], found["instance"]) == ("web", {"ip": "10.0.0.1", "port": 80})
    assert (found["before"]["colour"], found["after"]["colour"]) == ("blue", "red")
    log_commit(commit(ENDED))
    assert "paint of web 10.0.0.1 port 80 stripped: asked" in caplog.text


def test_the_pages_name_every_kind_that_is_declared() -> None:
    package = Path(codec.__file__).parents[1]
    for page in ("rest/watch/README.md", "plugins/history/README.md"):
        text = (package / page).read_text()
        names = [name for of in KINDS.values() if of is not PaintEvent for name in of.kind.names]
        assert [name for name in names if f"`{name}`" not in text] == [], page

"""An answer that is given again says what one that is made anew says, whatever has happened since it was made."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key
from discovery.core.kinds import RegistrySettings
from discovery.rest.api.answers import Answer
from discovery.rest.api.following.waiting import LongPolls
from discovery.rest.api.requests import Request
from discovery.rest.api.resolving import unchanged
from discovery.rest.api.resolving.resolving import Resolving
from discovery.rest.api.resolving.shown import Shown
from discovery.rest.api.times import Times
from discovery.store.service import NodeStatus
from tests.driven import APART
from tests.examples import examples
from tests.rest.watch.making import NO_ENGINE, Watched
from tests.store.making import START, spec


class _World:
    """A registry, the clocks, and `again`, which has answered before."""

    def __init__(self) -> None:
        watched = Watched()
        self.polls: LongPolls = watched.watch.polls
        self.registry = watched.registry
        self.now, self.apart, self.stale = START, APART, 0
        self.node = NodeStatus("other")
        self.times = Times(lambda: self.now, lambda: self.now + self.apart, lambda: self.stale)
        self.registry.stale_seconds = lambda: self.stale
        self.again = self.resolving()

    def resolving(self) -> Resolving:
        return Resolving(self.registry, NO_ENGINE, lambda: self.now, self.times, Random(1), self.polls)

    def do(self, what: str, port: int) -> None:
        registry, now, wall = self.registry, self.now, self.now + self.apart
        entry = registry.find(Key("web", "10.0.0.1", port))
        if what == "register":
            registry.register(spec("web", port=port, ttl=port or None), now, wall).through = self.node
        elif what == "settings":
            registry.adopt(RegistrySettings(5.0 * port, 10, 1000, 1000))
            registry.staleness_changed()
        elif what == "time":
            self.now += port * 0.7
        elif what == "set the clock":
            self.apart += 0.1 * port
        elif what == "stale":
            self.stale = 7 - self.stale
        elif what == "silence":
            self.node.silent = not self.node.silent
            registry.staleness_changed()
        elif what == "own statuses":
            registry.has_own_statuses = not registry.has_own_statuses
        elif entry is None:
            pass
        elif what == "beat":
            registry.renew(entry.instance.id, now, wall)
        elif what == "say":
            entry.output = f"said at {now}"
        elif what == "drain":
            registry.drain(entry.instance.id, not entry.instance.draining, "a test", now, wall)
        elif what == "clear":
            registry.deregister_service("web", "a test", now, wall)
        elif what == "deregister":
            registry.deregister(entry.instance.id, "a test", now, wall)


def _asked(resolving: Resolving, name: str = "web") -> Answer | tuple[str, object]:
    request = Request("GET", f"/resolve/{name}")
    request.names = {"name": name}
    try:
        answer = resolving.resolve(request)
    except DiscoveryError as error:
        return str(error), getattr(error, "index", None)
    assert isinstance(answer, Answer)
    return answer


_STEPS = st.tuples(
    st.sampled_from((
        "register", "beat", "say", "drain", "deregister", "clear", "settings", "time", "set the clock", "stale", "silence", "own statuses",
    )),
    st.integers(1, 3),
)  # fmt: skip


@settings(max_examples=examples(300))
@given(st.lists(_STEPS, max_size=40))
def test_it_says_what_a_new_one_says(steps: list[tuple[str, int]]) -> None:
    world = _World()
    for port in (1, 2, 3):
        world.do("register", port)
    for what, port in steps:
        for _ in range(3):  # the second is kept, the third is given what was kept
            assert _asked(world.again) == _asked(world.resolving())
        world.do(what, port)
    assert _asked(world.again) == _asked(world.resolving())


def test_a_question_that_comes_again_before_a_heartbeat_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world, made = _World(), 0
    world.do("register", 3)
    everything = Shown.all

    def counted(*args: object) -> object:
        nonlocal made
        made += 1
        return everything(*args)  # type: ignore[arg-type]  # it is handed on as it came

    monkeypatch.setattr(Shown, "all", counted)
    monkeypatch.setattr(unchanged, "MAX_KEPT", 2)
    for names, expected in (("web web web WEB web", 3), ("WEB", 4), ("WEB", 4), ("Web web web web", 7)):
        for name in names.split():
            _asked(world.again, name)
        assert made == expected, names
    world.do("beat", 3)
    world.now += 0.5
    world.do("beat", 3)
    _asked(world.again)
    assert made == 8
    for _ in range(3):
        _asked(world.again, " " * 1000 + "web")  # a name may be as long as a head
    assert made == 11

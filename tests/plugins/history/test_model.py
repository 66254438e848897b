"""Whatever happens, the history says of any instant who was served then, and how each of the others was: what was seen at that instant.

Instances come, beat, fall silent, drain, fail and flap, the brake holds some, windows open and close, the reaper comes late, midnight
passes, the clock is set back, the server is stopped and killed. The live registry has answered before.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.plugins.history import past
from discovery.store.damping import Damping
from discovery.store.errors import NoWindow
from discovery.store.operations import ReloadZones
from tests.examples import examples
from tests.plugins.history.house import Answers, House, explained
from tests.store.making import a_brake, spec

NAMES = st.sampled_from(["web", "web", "web", "api"])
PORTS = st.integers(1, 5)
SECONDS = st.sampled_from([0.0, 0.25, 1.0, 2.5, 9.75, 10.0, 10.25, 30.0, 1800.0])


class HistoryModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.path = tempfile.TemporaryDirectory()

    @initialize(percent=st.sampled_from([0, 30]))
    def start(self, percent: int) -> None:
        self.house = self.runner.run(self._house(percent))
        self.recorded: list[tuple[float, Answers]] = []
        self.down: list[tuple[float, float]] = []

    async def _house(self, percent: int) -> House:
        return House(Path(self.path.name) / "history", brake=a_brake(percent), damping=Damping(3, 60.0))

    def teardown(self) -> None:
        try:
            if hasattr(self, "house"):
                self.runner.run(self._judge())
                self.runner.run(self.house.end())
        finally:
            self.runner.close()
            self.path.cleanup()

    # -- what happens

    @rule(name=NAMES, port=PORTS, ttl=st.sampled_from([None, None, 3.0]), version=st.integers(0, 1))
    def register(self, name: str, port: int, ttl: float | None, version: int) -> None:
        self.house.register(spec(name, port=port, ttl=ttl, metadata={"v": version}))

    def known(self, name: str, port: int) -> Key | None:
        key = Key(name, "10.0.0.1", port)
        return key if self.house.registry.find(key) is not None else None

    @rule(name=NAMES, ports=st.sets(PORTS))
    def beat(self, name: str, ports: set[int]) -> None:
        for port in sorted(ports):
            if (key := self.known(name, port)) is not None:
                self.house.registry.renew(key, self.house.now, self.house.wall())

    @rule(name=NAMES, port=PORTS, what=st.sampled_from(["deregister", "drain", "undrain", "fail", "pass"]))
    def decree(self, name: str, port: int, what: str) -> None:
        registry, now, wall = self.house.registry, self.house.now, self.house.wall()
        if (key := self.known(name, port)) is None:
            return
        if what == "deregister":
            registry.deregister(key, "asked for", now, wall)
        elif what in ("drain", "undrain"):
            registry.drain(key, what == "drain", "asked for", now, wall)
        else:
            registry.checked(registry.at(key).instance.id, "HTTP 503" if what == "fail" else None, now, wall)

    @rule(name=NAMES, port=st.sampled_from([None, 1, 2]), seconds=st.sampled_from([0, 20, 600]))
    def maintain(self, name: str, port: int | None, seconds: int) -> None:
        registry, now, wall = self.house.registry, self.house.now, self.house.wall()
        if registry.service(name) is None or (port is not None and self.known(name, port) is None):
            return
        scope = Scope(name) if port is None else Scope(name, "10.0.0.1", port)
        if seconds:
            registry.maintain(scope, Window("a new disk", wall + seconds), now, wall)
            return
        with contextlib.suppress(NoWindow):
            registry.end_maintenance(scope, "done", now, wall)

    @rule(seconds=SECONDS, reaped=st.booleans())
    def pass_by(self, seconds: float, reaped: bool) -> None:
        while seconds > past.MAX_LATE:  # the reaper is not so late
            self.house.advance(120.0)
            seconds -= 120.0
        self.house.now += seconds
        if reaped:
            self.house.advance(0)
        self.see()

    def see(self) -> None:
        self.recorded.append((self.house.wall(), self.house.served()))
        self.house.now += 0.0625  # what comes next is later

    @precondition(lambda self: len(self.recorded) % 5 == 4)
    @rule(seconds=st.sampled_from([0.5, 40.0]), killed=st.booleans())
    def restart(self, seconds: float, killed: bool) -> None:
        self.house.advance(0)  # what lapsed in the last moment before a kill is never told
        self.see()
        stopped = self.house.wall()
        self.runner.run(self.house.restart(seconds, killed=killed))
        if not killed:
            self.down.append((stopped, self.house.wall()))
        self.see()

    @precondition(lambda self: len(self.recorded) % 7 == 6)
    @rule()
    def set_the_clock_back(self) -> None:
        self.house.advance(0)
        self.house.apart -= 45.0
        wall = self.house.wall()
        self.recorded = [(instant, answers) for instant, answers in self.recorded if instant < wall]
        self.down = [(since, min(until, wall)) for since, until in self.down if since < wall]
        self.house.advance(0)
        self.house.registry.do(
            ReloadZones("a test"), self.house.now, wall
        )  # only what happens shows where the clock stands
        self.see()

    # -- the judgement

    async def _judge(self) -> None:
        for instant, answers in self.recorded:
            for name in ("web", "api"):
                expected = answers.get(name, (frozenset(), {}))
                assert explained(await self.house.service_at(name, instant)) == expected, (instant, name)
        for since, until in self.down:
            found = await self.house.service_at("web", (since + until) / 2)
            assert found.down is not None, (since, until, self.house.folder.files)


TestHistoryModel = HistoryModel.TestCase
# Not shrunk: each step may write files, and a failure names the instant and its answers.
TestHistoryModel.settings = settings(max_examples=examples(150), stateful_step_count=12, phases=(Phase.generate,))

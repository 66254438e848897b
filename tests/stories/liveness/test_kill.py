"""kill -9 at random moments while they write: what was acknowledged is there, and of what was not nothing is half there.

The moments are others in each run. For more of them at once:

    KILLS=1000 .venv/bin/pytest -s --timeout 0 tests/stories/liveness/test_kill.py
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from tests.examples import examples
from tests.stories.liveness.starting import killed_while_starting
from tests.stories.liveness.writers import State, Writer, shown, work
from tests.stories.process import Discovery, running

# Two servers side by side, each killed so often: most of the time they start, which takes one core each.
LANES = 2
ROUNDS = int(os.environ.get("KILLS", examples(40))) // LANES
# Of each server; what they manage in a second is less, as each waits for its answer.
WRITERS, PER_SECOND = 20, 280
# Seconds of writing before the kill: from nothing to some sixty requests.
LONGEST = 0.3
# Every so many rounds everything is cleared, and the kill is aimed at that: it takes about half as many seconds.
CLEAR_EVERY = 5
CLEAR_TAKES = 0.3

SETTINGS: dict[str, Any] = {
    "HEARTBEAT_TIMEOUT_SECONDS": 3600,
    "MAX_INSTANCES_PER_SERVICE": 1000,
    "LOG_LEVEL": "warning",
}


class Lane:
    """One server, killed and started again. `open`: what became of requests that had no answer, and of clears."""

    def __init__(self, data: Path, seed: int) -> None:
        self.random = Random(seed)
        self.writers = [Writer(number, PER_SECOND / WRITERS, Random(self.random.random())) for number in range(WRITERS)]
        self.open: Counter[str] = Counter()
        self.clears: Counter[str] = Counter()
        self.compared = 0
        self.writing = 0.0  # seconds
        self._settings = {**SETTINGS, "DATA_DIR": str(data)}

    def run(self) -> None:
        for number in count():
            if number >= ROUNDS and self.acknowledged and self.open:  # some were under way
                break
            with running(**self._settings) as server:
                self._check(server)
                if number % CLEAR_EVERY == CLEAR_EVERY // 2:
                    self._clear_and_kill(server)
                else:
                    self._write_and_kill(server)
        with running(**self._settings) as server:
            self._check(server)

    @property
    def acknowledged(self) -> Counter[str]:
        return sum((writer.acknowledged for writer in self.writers), Counter[str]())

    def _write_and_kill(self, server: Discovery) -> None:
        stop, began = threading.Event(), time.monotonic()
        threads = work(server.port, self.writers, stop)
        time.sleep(self.random.uniform(0, LONGEST))  # the random moment
        server.process.kill()
        self.writing += time.monotonic() - began
        stop.set()
        for thread in threads:
            thread.join()
        assert not [refused for writer in self.writers for refused in writer.refused]

    def _clear_and_kill(self, server: Discovery) -> None:
        """While nobody else writes."""
        killer = threading.Timer(self.random.uniform(0, CLEAR_TAKES), server.process.kill)
        killer.start()
        try:
            acknowledged = server.request("POST", "/admin/clear").status == 200
        except OSError:
            acknowledged = False
        killer.join()
        self.clears["acknowledged" if acknowledged else "unanswered"] += 1
        for writer in self.writers:
            for place, state in writer.states.items():
                cleared = State(window=state.window)
                if acknowledged:
                    writer.states[place] = cleared
                elif state.id is not None:
                    writer.clearing[place] = cleared

    def _check(self, server: Discovery) -> None:
        seen = shown(
            server.request("GET", "/services").body["services"], server.request("GET", "/maintenance").body["windows"]
        )
        places = {place for writer in self.writers for place in writer.states}
        assert seen.keys() <= places, "nothing that nobody registered"
        for writer in self.writers:
            self.compared += len(writer.states)
            self.open += writer.compare(seen)
        serial = server.ask("svc.local", "SOA").answer[0][0].serial
        assert serial >= max(writer.index for writer in self.writers), "the index has not gone back"


def test_no_acknowledged_write_is_lost_and_none_is_half_there(tmp_path: Path) -> None:
    seed = Random().getrandbits(32)
    print(f"seed {seed}")
    lanes = [Lane(tmp_path / f"data-{number}", seed + number) for number in range(LANES)]
    with ThreadPoolExecutor(LANES) as pool:
        for done in [pool.submit(lane.run) for lane in lanes]:
            done.result()
    acknowledged = sum((lane.acknowledged for lane in lanes), Counter[str]())
    unanswered = sum((lane.open for lane in lanes), Counter[str]())
    print(
        f"{LANES * ROUNDS} kills; {acknowledged.total()} acknowledged, "
        f"{acknowledged.total() / sum(lane.writing for lane in lanes):.0f} a second on each of {LANES} servers: {dict(acknowledged)}; "
        f"without an answer {dict(unanswered)}; clears {dict(sum((lane.clears for lane in lanes), Counter[str]()))}; "
        f"{sum(lane.compared for lane in lanes)} places compared: 0 lost, 0 half there"
    )


def test_a_start_that_is_killed_harms_nothing(tmp_path: Path) -> None:
    """Also in the middle of making the file, and of writing to it for the first time."""
    random, data, kills = Random(), str(tmp_path / "data"), examples(10)
    for _ in range(kills):
        killed_while_starting(random.uniform(0.2, 0.6), DATA_DIR=data)
    with running(DATA_DIR=data) as server:
        before = server.register("kept", "10.0.0.1", 1, ttl=3600)["instance"]
        server.stop(signal.SIGKILL)
    for _ in range(kills):
        killed_while_starting(random.uniform(0.2, 0.6), DATA_DIR=data)
    with running(DATA_DIR=data) as server:
        after = server.request("GET", f"/instances/{before['id']}").body
    assert (after["id"], after["registeredAt"]) == (before["id"], before["registeredAt"])
    print(f"{2 * kills} starts killed, those after them had everything")

"""The server with its event loop watched from inside. A script, run with the code of any checkout (`checkout`).

A callback that comes back every millisecond notes how long it was kept waiting. SIGUSR1 prints the longest gap between two of its
calls since the signal before, and the most CPU time that this thread used in one, in milliseconds, and begins anew.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import time
from typing import Any

import uvloop

from discovery.app import Server
from discovery.cli import logs
from discovery.settings import Settings

EVERY = 0.001


class Watch:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begin()
        self._tick()

    def report(self) -> None:
        self._look()
        print(json.dumps({"gap": self._gap * 1000, "cpu": self._cpu * 1000}), flush=True)
        self._begin()

    def _begin(self) -> None:
        self._gap = self._cpu = 0.0
        self._at, self._used = time.perf_counter(), time.thread_time()

    def _look(self) -> None:
        at, used = time.perf_counter(), time.thread_time()
        self._gap = max(self._gap, at - self._at)
        self._cpu = max(self._cpu, used - self._used)
        self._at, self._used = at, used

    def _tick(self) -> None:
        self._look()
        self._loop.call_later(EVERY, self._tick)


async def _serve() -> None:
    settings = Settings.read()
    logs.configure(settings.log_level, settings.log_format)
    server = Server(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    _tune_collector(server)
    lines = await server.start()
    watch = Watch()
    loop.add_signal_handler(signal.SIGUSR1, watch.report)
    for line in lines:
        print(line, flush=True)
    await stop.wait()
    await server.stop()


def _tune_collector(server: Any) -> None:
    """As `discovery serve` does; before the commits, its room was called otherwise and it followed nothing."""
    if hasattr(server, "followers"):
        gc_tuning = importlib.import_module("discovery.cli.gc_tuning")
        gc_tuning.tune()
        server.followers.append(gc_tuning.EventCollector().follow_commit)
    else:
        importlib.import_module("discovery.cli.collector").tune()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())

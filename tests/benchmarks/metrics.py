"""What it costs to count: queries and heartbeats a second with the plugins `metrics`, `top` and `log`, and without them, in one run.

Each round starts servers of its own, since two that are the same differ by some 3 % for as long as they live, and measures them in
turns, so that a busy moment of the machine meets both; the ratios are medians of the rounds' own. A third server, without them like
the second, shows how much of the ratios is chance. Beside the rate stands what one query or request takes of the server's processor
time: on a busy machine that is the better ratio. Without the plugins nothing is counted.

python -m tests.benchmarks.metrics [rounds]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import dnsperf, http_throughput, report, rivals, wrk
from tests.benchmarks.dns_throughput import processor_seconds
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.http_throughput import INSTANCES, SERVICES
from tests.benchmarks.isolation import enter
from tests.stories.process import ROOT, Discovery, running_command

# Of the rate, and of the processor time.
AT_LEAST = 0.95
SECONDS = 2
ROUNDS = 5
_WITHOUT = """
from discovery import app, cli
from discovery.plugins import log, metrics, top
app.PLUGINS = tuple(make for make in app.PLUGINS if make not in (log.make, metrics.make, top.make))
raise SystemExit(cli.main(["serve"]))
"""
_WITH = "from discovery import cli; raise SystemExit(cli.main(['serve']))"

_SERVERS = {"on": _WITH, "off": _WITHOUT, "off too": _WITHOUT}
Lines = dict[str, Callable[[Discovery], dnsperf.Run | wrk.Run]]


class Figure(NamedTuple):
    rate: float
    micros: float


def cost(rounds: int) -> None:
    """Prints a table for each kind of load."""
    with tempfile.TemporaryDirectory() as name:
        lines = _lines(Path(name))
        figures: dict[str, dict[str, list[Figure]]] = {title: {which: [] for which in _SERVERS} for title in lines}
        for number in range(rounds):
            _round(lines, figures, 1 if number % 2 else -1)
        for title, found in figures.items():
            _tell(title, found)


def _round(lines: Lines, figures: dict[str, dict[str, list[Figure]]], step: int) -> None:
    """`step`: 1 or -1, the order in which the servers get their turns."""
    with ExitStack() as stack:
        servers = {which: stack.enter_context(_server(code)) for which, code in _SERVERS.items()}
        for server in servers.values():
            register(server.port, fleet(SERVICES, INSTANCES))
        for title, run in lines.items():
            for which, server in list(servers.items())[::step]:
                figures[title][which].append(_figure(server, run))


def _server(code: str) -> AbstractContextManager[Discovery]:
    command = ["taskset", "-c", rivals.SERVER_CORE, sys.executable, "-c", code]
    settings: dict[str, str | int | float] = {
        "LOG_LEVEL": "error",
        "REGISTERS_PER_SECOND": 0,
        "MAX_INSTANCES_PER_SERVICE": 100,
    }
    return running_command(command, ROOT, settings)


def _lines(folder: Path) -> Lines:
    """One run of each kind of load."""
    names = [f"s{number}.svc.local" for number in range(SERVICES)]
    files = {
        "DNS, A and SRV, kept answers": [(name, rtype) for name in names for rtype in ("A", "SRV")],
        "DNS, names that do not exist": [(f"no-{name}", "A") for name in names],
    }
    made = {
        title: dnsperf.messages(folder / str(number), each, options=dnsperf.no_options)
        for number, (title, each) in enumerate(files.items())
    }
    script = http_throughput.lua(http_throughput.HEARTBEAT)
    return {
        **{title: partial(_queries, file) for title, file in made.items()},
        "HTTP, POST /heartbeat": lambda server: wrk.wrk(server.port, script, http_throughput.CONNECTIONS, SECONDS),
    }


def _queries(file: Path, server: Discovery) -> dnsperf.Run:
    return dnsperf.run(server.dns_port, file, seconds=SECONDS)


def _figure(server: Discovery, run: Callable[[Discovery], dnsperf.Run | wrk.Run]) -> Figure:
    before = processor_seconds(server.process.pid)
    one = run(server)
    seconds = processor_seconds(server.process.pid) - before
    if isinstance(one, dnsperf.Run):
        return Figure(one.qps, seconds / one.sent * 1e6)
    return Figure(one.a_second, seconds / one.requests * 1e6)


def _tell(title: str, figures: dict[str, list[Figure]]) -> None:
    pairs = list(zip(figures["on"], figures["off"], strict=True))
    chance = statistics.median(
        one.micros / other.micros for one, other in zip(figures["off"], figures["off too"], strict=True)
    )
    for which, found in figures.items():
        rate, micros = (statistics.median(each[number] for each in found) for number in (0, 1))
        report.fact(f"{title}, {which}", rate, "/s", f"{micros:.2f} µs each")
    report.at_least(f"{title}: rate, on of off", statistics.median(on.rate / off.rate for on, off in pairs), AT_LEAST)
    report.at_least(
        f"{title}: processor time, off of on", statistics.median(off.micros / on.micros for on, off in pairs), AT_LEAST
    )
    report.fact(f"{title}: processor time, off of off", chance)


if __name__ == "__main__":
    enter()
    report.machine()
    cost(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)

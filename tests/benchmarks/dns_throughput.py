"""DNS queries a second against a bare C echo loop, each on one core, under the same dnsperf; every line is one kind of query.

All lines are measured once in each round, so that a busy moment of the machine meets all of them; the ratios are medians of the
rounds' own. Beside the rate stands what a query takes of the server's processor time (µs, from /proc): the two ratios agree on a
quiet machine, and on a busy one the second is the better. The registry has IPv4 instances only, so AAAA is always NODATA.

python -m tests.benchmarks.dns_throughput [rounds] [rivals]        # `rivals`: BIND, dnsmasq and Knot too
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks import dnsperf, rivals
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.isolation import enter
from tests.stories.process import Discovery, running

ECHO_PORT, BIND_PORT, KNOT_PORT, DNSMASQ_PORT, UNBOUND_PORT = 5501, 5502, 5503, 5504, 5505
SMALL, LARGE = (200, 3), (10_000, 10)
# Services that are asked about for the first time, three instances each.
COLD = 10_000


class Target(NamedTuple):
    line: str
    of: str
    at_least: float


TARGETS = [
    Target("plain", "echo", 0.65),
    Target("A+AAAA, EDNS", "plain", 0.9),
    Target("A+AAAA, DO", "plain", 0.9),
    Target("A+AAAA, cookie", "plain", 0.9),
    Target("NODATA, EDNS", "plain", 0.85),
    Target("no such name, DO", "echo", 0.5),
    Target("other options", "plain", 0.35),
    Target("TCP", "plain", 0.5),
    Target("wildcard address", "plain", 0.9),
    Target("100,000 instances", "plain", 0.9),
]
COLD_AT_LEAST = 15_000


class Line(NamedTuple):
    """`pid`: of the server whose processor time counts."""

    pid: int
    run: Callable[[], dnsperf.Run]


class Figure(NamedTuple):
    qps: float
    micros: float


def main() -> None:
    enter()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), rounds)
        if "rivals" in sys.argv:
            _measure_rivals(Path(name), rounds)


def _measure(folder: Path, rounds: int) -> None:
    files = _files(folder)
    results: dict[str, list[Figure]] = {}
    with ExitStack() as stack:
        echo = stack.enter_context(rivals.echo(folder, ECHO_PORT))
        small = stack.enter_context(_discovery(*SMALL))
        wild = stack.enter_context(_discovery(*SMALL, DNS_HOST="0.0.0.0", ALLOW_ANONYMOUS="true"))
        large = stack.enter_context(_discovery(*LARGE))
        stack.enter_context(rivals.unbound(folder, UNBOUND_PORT, small.dns_port))
        dnsperf.run(large.dns_port, files["100,000 instances"], seconds=60, n=1)
        for _ in range(rounds):
            for title, line in _lines(files, echo, small, wild, large).items():
                results.setdefault(title, []).append(_figure(title, line))
    for _ in range(rounds):
        with _discovery(COLD, 3) as server:
            line = Line(server.process.pid, lambda: dnsperf.run(server.dns_port, files["cold"], seconds=60, n=1))
            results.setdefault("cold", []).append(_figure("cold", line))
    print("\nratio of rates, of processor time")
    for line_title, of, at_least in TARGETS:
        pairs = list(zip(results[line_title], results[of], strict=True))
        rates = statistics.median(ours.qps / theirs.qps for ours, theirs in pairs)
        times = statistics.median(theirs.micros / ours.micros for ours, theirs in pairs)
        print(f"{rates:6.2f} {times:6.2f}  {line_title}, of {of} (target {at_least:g})")
    cold, unbound = (statistics.median(one.qps for one in results[title]) for title in ("cold", "through unbound"))
    print(f"{cold:10,.0f}  first answers about a name a second (target {COLD_AT_LEAST:,})")
    print(f"{unbound:10,.0f}  through unbound a second (no target)")


def _figure(title: str, line: Line) -> Figure:
    before = processor_seconds(line.pid)
    one = line.run()
    micros = (processor_seconds(line.pid) - before) / one.sent * 1e6
    note = f"lost {one.lost}; {one.rcodes}"
    print(f"{title:20} {one.qps:10,.0f} q/s {micros:8.2f} µs   ({note})", flush=True)
    return Figure(one.qps, micros)


def processor_seconds(pid: int) -> float:
    """User and system time (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lines(
    files: Mapping[str, Path], echo: int, small: Discovery, wild: Discovery, large: Discovery
) -> dict[str, Line]:
    def on(server: Discovery, title: str, mode: str = "udp") -> Line:
        return Line(server.process.pid, lambda: dnsperf.run(server.dns_port, files[title], mode=mode))

    kinds = ("A+AAAA, EDNS", "A+AAAA, DO", "A+AAAA, cookie", "NODATA, EDNS", "no such name, DO", "other options")
    return {
        "echo": Line(echo, lambda: dnsperf.run(ECHO_PORT, files["plain"])),
        "plain": on(small, "plain"),
        **{title: on(small, title) for title in kinds},
        "TCP": on(small, "plain", mode="tcp"),
        "wildcard address": on(wild, "plain"),
        "100,000 instances": on(large, "100,000 instances"),
        "through unbound": Line(small.process.pid, lambda: dnsperf.run(UNBOUND_PORT, files["through unbound"], c=20)),
    }


def _files(folder: Path) -> dict[str, Path]:
    """The queries of each line."""

    def file(
        title: str, queries: Iterable[tuple[str, str]], dnssec: bool = False, options: dnsperf.Options | None = None
    ) -> Path:
        return dnsperf.messages(folder / title, queries, dnssec, options)

    both = _queries(SMALL[0], "A", "AAAA")
    return {
        "plain": file("plain", _queries(SMALL[0], "A", "SRV")),
        "A+AAAA, EDNS": file("edns", both, options=dnsperf.no_options),
        "A+AAAA, DO": file("do", both, dnssec=True),
        "A+AAAA, cookie": file("cookie", both * 50, options=dnsperf.cookie),
        "NODATA, EDNS": file("nodata", _queries(SMALL[0], "AAAA"), options=dnsperf.no_options),
        "no such name, DO": file("unknown", _unknown(20_000), dnssec=True),
        "other options": file("other", both * 50, options=dnsperf.other),
        "100,000 instances": file("large", _queries(LARGE[0], "A", "SRV")),
        "cold": file("cold", _queries(COLD, "A", "SRV")),
        "through unbound": file("unbound", _queries(50, "A", "AAAA"), dnssec=True),
    }


def _measure_rivals(folder: Path, rounds: int) -> None:
    queries = dnsperf.messages(folder / "plain", _queries(SMALL[0], "A", "SRV"))
    for title, make, port, at_least in _RIVALS:
        ratios = []
        with make(folder, port, *SMALL), _discovery(*SMALL) as server:
            for _ in range(rounds):
                ours, theirs = dnsperf.run(server.dns_port, queries).qps, dnsperf.run(port, queries).qps
                ratios.append(ours / theirs)
        print(f"{statistics.median(ratios):6.2f}  plain, of {title} (target {at_least:g})", flush=True)


_RIVALS: list[tuple[str, Callable[..., AbstractContextManager[None]], int, float]] = [
    ("BIND 9 -n 1", rivals.bind9, BIND_PORT, 1.0),
    ("dnsmasq", rivals.dnsmasq, DNSMASQ_PORT, 1.0),
    ("Knot, one UDP worker", rivals.knot, KNOT_PORT, 0.7),
]


@contextmanager
def _discovery(services: int, instances: int, **settings: Any) -> Iterator[Discovery]:
    cores = ["taskset", "-c", rivals.SERVER_CORE]
    with running(prefix=cores, LOG_LEVEL="error", REGISTERS_PER_SECOND=0, **settings) as server:
        register(server.port, fleet(services, instances))
        yield server


def _queries(services: int, *rtypes: str) -> list[tuple[str, str]]:
    queries = [(f"s{number}.svc.local", rtype) for number in range(services) for rtype in rtypes]
    random.Random(1).shuffle(queries)
    return queries


def _unknown(count: int) -> Iterator[tuple[str, str]]:
    draw = random.Random(2)
    return ((f"{draw.randbytes(6).hex()}.svc.local", "A") for _ in range(count))


if __name__ == "__main__":
    main()

"""DNS queries a second against a bare C echo loop, BIND, dnsmasq and Knot, each on one core, under the same dnsperf.

The large set is asked once through before it is measured (and that is shown too); the small ones are warm in a blink.

python -m tests.benchmarks.dns_throughput [rounds]
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.benchmarks import dnsperf, rivals
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.isolation import enter
from tests.stories.process import Discovery, running

ECHO_PORT, BIND_PORT, KNOT_PORT, DNSMASQ_PORT = 5501, 5502, 5503, 5504
SMALL, LARGE = (200, 3), (10_000, 10)


def main() -> None:
    enter()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), rounds)


def _measure(folder: Path, rounds: int) -> None:
    plain = dnsperf.lines(folder / "plain", _queries(*SMALL))
    edns = dnsperf.messages(folder / "edns", [*_queries(*SMALL)] * 50)
    large = dnsperf.lines(folder / "large", _queries(*LARGE))
    unknown = dnsperf.lines(folder / "unknown", _unknown(100_000))
    with rivals.echo(folder, ECHO_PORT):
        echo = _median(rounds, "C echo loop", lambda: dnsperf.run(ECHO_PORT, plain))
    with _discovery(*SMALL) as server:
        first = _median(rounds, "A and SRV, 200 × 3", lambda: dnsperf.run(server.dns_port, plain))
        cookies = _median(
            rounds, "  EDNS, cookies, mixed case", lambda: dnsperf.run(server.dns_port, edns, binary=True)
        )
        before = _memory(server)
        negative = _median(rounds, "  unknown names", lambda: dnsperf.run(server.dns_port, unknown))
        print(f"  memory before and after the unknown names: {before} and {_memory(server)} KiB")
    with _discovery(*LARGE) as server:
        cold = dnsperf.run(server.dns_port, large, seconds=60, n=1)
        print(f"{'  the first time each':32} {cold.qps:10,.0f} q/s", flush=True)
        many = _median(rounds, "A and SRV, 10,000 × 10", lambda: dnsperf.run(server.dns_port, large))
    others = {}
    for title, make, port in _RIVALS:
        with make(folder, port, *SMALL):
            others[title] = _median(rounds, title, lambda port=port: dnsperf.run(port, plain))  # type: ignore[misc]
    print()
    _ratio("of the C echo loop", first, echo, 0.65)
    _ratio("EDNS, cookies, mixed case, of the first line", cookies, first, 0.85)
    _ratio("10,000 × 10, of the first line", many, first, 0.9)
    _ratio("unknown names, of the first line", negative, first, 0.5)
    _ratio("of BIND 9 -n 1", first, others["BIND 9 -n 1"], 1.0)
    _ratio("of dnsmasq", first, others["dnsmasq"], 1.0)
    _ratio("of Knot, one UDP worker", first, others["Knot"], 0.7)


_RIVALS: list[tuple[str, Callable[..., AbstractContextManager[None]], int]] = [
    ("BIND 9 -n 1", rivals.bind9, BIND_PORT),
    ("dnsmasq", rivals.dnsmasq, DNSMASQ_PORT),
    ("Knot", rivals.knot, KNOT_PORT),
]


@contextmanager
def _discovery(services: int, instances: int) -> Iterator[Discovery]:
    with running(prefix=["taskset", "-c", rivals.SERVER_CORE], LOG_LEVEL="error", REGISTERS_PER_SECOND=0) as server:
        register(server.port, fleet(services, instances))
        yield server


def _queries(services: int, instances: int) -> list[tuple[str, str]]:
    queries = [(f"s{number}.svc.local", rtype) for number in range(services) for rtype in ("A", "SRV")]
    random.Random(1).shuffle(queries)
    return queries


def _unknown(count: int) -> Iterator[tuple[str, str]]:
    draw = random.Random(2)
    return ((f"{draw.randbytes(6).hex()}.svc.local", "A") for _ in range(count))


def _median(rounds: int, title: str, measure: Callable[[], dnsperf.Run]) -> float:
    """The median of the rounds, printed with all of them."""
    runs = [measure() for _ in range(rounds)]
    median = statistics.median(run.qps for run in runs)
    each = ", ".join(f"{run.qps:,.0f}" for run in runs)
    lost = sum(run.lost for run in runs)
    print(f"{title:32} {median:10,.0f} q/s   ({each}; lost {lost}; {runs[-1].rcodes})", flush=True)
    return median


def _ratio(title: str, ours: float, theirs: float, target: float) -> None:
    print(f"{ours / theirs:6.2f}  {title} (target {target:g})")


def _memory(server: Discovery) -> int:
    """Resident KiB."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS")))


if __name__ == "__main__":
    main()

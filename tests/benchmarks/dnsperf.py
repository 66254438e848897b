"""One dnsperf run: queries a second, what was lost, the mean and highest latency."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import dns.edns
import dns.message

from tests.benchmarks.isolation import program
from tests.benchmarks.rivals import CLIENT_CORE

SECONDS = 5


class Run(NamedTuple):
    qps: float
    sent: int
    lost: int
    rcodes: str


def run(port: int, queries: Path, seconds: int = SECONDS, binary: bool = False, **options: int) -> Run:
    """`options`: dnsperf's single letters, q (outstanding), c (clients), Q (queries a second)."""
    letters = {"q": 200, "c": 8} | options
    command = ["taskset", "-c", CLIENT_CORE, program("dnsperf"), "-s", "127.0.0.1", "-p", str(port), "-d", str(queries)]
    command += ["-l", str(seconds), "-t", "1", *(["-B"] if binary else [])]
    command += [part for letter, value in letters.items() for part in (f"-{letter}", str(value))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Run(
        qps=float(_find(r"Queries per second:\s+([\d.]+)", output)),
        sent=int(_find(r"Queries sent:\s+(\d+)", output)),
        lost=int(_find(r"Queries lost:\s+(\d+)", output)),
        rcodes=_find(r"Response codes:\s+(.+)", output),
    )


def lines(path: Path, queries: Iterable[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{name} {rtype}\n" for name, rtype in queries))
    return path


def messages(path: Path, queries: Iterable[tuple[str, str]], seed: int = 1) -> Path:
    """The same with EDNS, a new client cookie in each, names in mixed case: dnsperf's binary format."""
    draw = random.Random(seed)
    with path.open("wb") as file:
        for name, rtype in queries:
            mixed = "".join(c.upper() if draw.random() < 0.5 else c for c in name)
            cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, draw.randbytes(8))
            wire = dns.message.make_query(mixed, rtype, use_edns=0, payload=1232, options=[cookie]).to_wire()
            file.write(len(wire).to_bytes(2, "big") + wire)
    return path


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]

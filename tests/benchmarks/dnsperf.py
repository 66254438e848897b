"""One dnsperf run: queries a second, and what was lost. Its queries, as files of messages."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import dns.edns
import dns.message

from tests.benchmarks.isolation import program
from tests.benchmarks.rivals import CLIENT_CORE

SECONDS = 2

Options = Callable[[random.Random], Sequence[dns.edns.Option]]


class Run(NamedTuple):
    qps: float
    sent: int
    lost: int
    rcodes: str


def run(port: int, queries: Path, seconds: int = SECONDS, mode: str = "udp", **options: int) -> Run:
    """`options`: dnsperf's single letters, q (outstanding), c (clients), Q (queries a second), n (times through the file)."""
    letters = {"q": 200, "c": 8} | options
    command = ["taskset", "-c", CLIENT_CORE, program("dnsperf"), "-s", "127.0.0.1", "-p", str(port), "-d", str(queries)]
    command += ["-B", "-l", str(seconds), "-t", "1", "-m", mode]
    command += [part for letter, value in letters.items() for part in (f"-{letter}", str(value))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Run(
        qps=float(_find(r"Queries per second:\s+([\d.]+)", output)),
        sent=int(_find(r"Queries sent:\s+(\d+)", output)),
        lost=int(_find(r"Queries lost:\s+(\d+)", output)),
        rcodes=_find(r"Response codes:\s+(.+)", output),
    )


def messages(
    path: Path, queries: Iterable[tuple[str, str]], dnssec: bool = False, options: Options | None = None
) -> Path:
    """With EDNS when DO is asked for or `options` are given, which may be none and may differ from query to query."""
    draw = random.Random(1)
    with path.open("wb") as file:
        for name, rtype in queries:
            query = dns.message.make_query(name, rtype)
            if dnssec or options is not None:
                query.use_edns(0, 0x8000 if dnssec else 0, 1232, options=list(options(draw)) if options else [])
            wire = query.to_wire()
            file.write(len(wire).to_bytes(2, "big") + wire)
    return path


def no_options(draw: random.Random) -> Sequence[dns.edns.Option]:
    return ()


def cookie(draw: random.Random) -> Sequence[dns.edns.Option]:
    """A new client's in each query."""
    return (dns.edns.GenericOption(dns.edns.OptionType.COOKIE, draw.randbytes(8)),)


def other(draw: random.Random) -> Sequence[dns.edns.Option]:
    """One of what else is met: a client subnet (of 65,536), padding, keepalive, and an option that nobody knows."""
    generic, types = dns.edns.GenericOption, dns.edns.OptionType
    subnet = dns.edns.ECSOption(f"10.{draw.randrange(256)}.{draw.randrange(256)}.0", 24)
    return [
        (subnet,),
        (generic(types.PADDING, bytes(draw.randrange(100))),),
        (generic(types.make(11), b""),),
        (generic(types.make(65001), draw.randbytes(4)),),
    ][draw.randrange(4)]


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]

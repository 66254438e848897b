"""`dig` as a client, and what it printed as values. Its configuration files are not read; it asks once and waits long enough."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.programs import program
from tests.stories.process import LIMIT, Discovery


class Record(NamedTuple):
    name: str
    ttl: int
    type: str
    rdata: str


@dataclass
class Dug:
    """`status` is the rcode, `transport` UDP or TCP, `size` the reply's octets, `edns` the OPT's lines (None without OPT)."""

    status: str
    flags: frozenset[str]
    transport: str
    size: int
    text: str
    question: str = ""
    edns: list[str] | None = None
    answer: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)

    @property
    def rdata(self) -> set[str]:
        return {record.rdata for record in self.answer}

    @property
    def additional_addresses(self) -> set[str]:
        """`NAME ADDRESS`."""
        return {f"{record.name} {record.rdata}" for record in self.additional if record.type in ("A", "AAAA")}


def dig(server: Discovery, *arguments: str, at: str = "127.0.0.1") -> Dug:
    """`arguments` as on the command line; a dig that fails (no reply, a reply from elsewhere) fails the story."""
    command = [program("dig"), "-r", f"@{at}", "-p", str(server.dns_port), "+norecurse", "+tries=1", "+time=50"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return _parse(done.stdout)


def _parse(text: str) -> Dug:
    assert "WARNING: Message parser" not in text, text
    assert "malformed" not in text.lower(), text
    dug = Dug(
        status=_found(r"status: (\w+)", text),
        flags=frozenset(_found(r"^;; flags: ([a-z ]*);", text).split()),
        transport=_found(r"^;; SERVER: .* \((\w+)\)$", text),
        size=int(_found(r"^;; MSG SIZE +rcvd: (\d+)", text)),
        text=text,
    )
    for title, lines in re.findall(r"^;; (\w+) (?:PSEUDO)?SECTION:\n((?:(?!;; ).+\n)*)", text, re.MULTILINE):
        match title:
            case "OPT":
                dug.edns = lines.splitlines()
            case "QUESTION":
                dug.question = lines.removeprefix(";").split()[0]
            case "ANSWER" | "AUTHORITY" | "ADDITIONAL":
                getattr(dug, title.lower()).extend(map(_record, lines.splitlines()))
    return dug


def _record(line: str) -> Record:
    name, ttl, _, rtype, rdata = line.split(None, 4)
    return Record(name, int(ttl), rtype, rdata)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"dig's output has no {pattern}:\n{text}"
    return match[1]

"""What becomes of instances in answers: at most so many, whatever the type; metadata is read only as far as it can be sent."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import dns.flags
import dns.rrset
import pytest

import discovery
from discovery.core import metadata
from discovery.dns.dig import as_text
from discovery.dns.message.names import from_text
from discovery.dns.zones.live import LIVE_TYPES, OF_FORM
from discovery.dns.zones.selector import Form, select
from tests.dns.world import World, data, make_query, outcome, parsed

HOST = "ip-10-0-0-1-p80.web.svc.local."
# Of each type a name that has it, the metadata of the instance at 10.0.0.1:80 or the address of another, and the record's data.
ROWS: dict[str, tuple[str, dict[str, Any] | str, str]] = {
    "A": ("web", {}, "10.0.0.1"),
    "AAAA": ("web", "2001:db8::1", "2001:db8::1"),
    "SRV": ("web", {}, f"10 100 80 {HOST}"),
    "TXT": ("web", {"a": 'x"y\\z é'}, r'"a=x\"y\\z \195\169"'),
    "PTR": ("_web._tcp", {}, "ip-10-0-0-1-p80._web._tcp.svc.local."),
    "SVCB": ("web", {"scheme": "http"}, f'10 {HOST} port="80" ipv4hint="10.0.0.1"'),
    "HTTPS": ("web", {"scheme": "https"}, f'10 {HOST} port="80" ipv4hint="10.0.0.1"'),
    "URI": ("web", {"scheme": "ftp", "path": "/a b?%%20"}, f'10 100 "ftp://{HOST[:-1]}:80/a%20b%3F%25%20"'),
}
FROM_METADATA = [(ROWS[kind.name][0], kind.name) for kind in LIVE_TYPES if kind.parses_metadata]


def test_every_type_has_a_row_here() -> None:
    assert {kind.name for kind in LIVE_TYPES} == set(ROWS)


@pytest.mark.parametrize("rtype", ROWS)
def test_every_type_is_printed_and_what_is_printed_can_be_read_back(rtype: str) -> None:
    world = World()
    name, said, text = ROWS[rtype]
    ip, about = (said, None) if isinstance(said, str) else ("10.0.0.1", said)
    world.add("web", ip, 80, metadata=about)
    reply = world.send(make_query(f"{name}.svc.local", rtype).to_wire())
    answer = parsed(reply).answer
    assert data(answer) == [text]
    owner, ttl, klass, of, words = as_text(reply or b"").partition("; ")[0].split(" ", 4)
    assert [dns.rrset.from_text(owner, int(ttl), klass, of, words)] == answer


def test_the_page_has_the_types_of_each_form_of_name() -> None:
    page = (Path(discovery.__file__).parent / "docs/dns.md").read_text()
    found: defaultdict[Form, set[str]] = defaultdict(set)
    for names, types in re.findall(r"^\| (`.*?) \| ([A-Z, ()0-9]+) \|", page, re.MULTILINE):
        for name in re.findall(r"`([^`]*)\.Z`", names):
            selector = select(from_text(name.replace("_PORT.", "_443.")))
            if selector is not None:
                found[selector.form].update(re.findall(r"\b[A-Z]{1,5}\b(?! \d)", types))
    assert found == {form: {kind.name for kind in kinds.values()} for form, kinds in OF_FORM.items() if kinds}


@pytest.mark.parametrize("rtype", ROWS)
def test_max_answers_limits_every_type_and_all_get_their_turn(rtype: str) -> None:
    world = World(lease=1000.0)
    for number in range(1, 6):
        ip = f"2001:db8::{number}" if rtype == "AAAA" else f"10.0.0.{number}"
        said = {"n": str(number), "scheme": "https"}
        world.add("web", ip, max_answers=2, metadata=said)
    seen: set[str] = set()
    for _ in range(100):
        reply = world.ask(f"{ROWS[rtype][0]}.svc.local", rtype, udp=False)
        assert len(data(reply.answer)) == 2
        assert not reply.flags & dns.flags.TC
        seen.update(data(reply.answer))
    assert len(seen) == 5


def test_a_subtype_is_limited_too() -> None:
    world = World()
    for number in range(1, 6):
        world.add("web", f"10.0.0.{number}", max_answers=2, tags=["blue"])
    assert len(data(world.ask("_blue._sub._web._tcp.svc.local", "PTR", udp=False).answer)) == 2


@cache
def _of_large_metadata(instances: int) -> World:
    world = World(lease=1000.0)
    for number in range(instances):
        pairs = {f"é{key}": 1 for key in range(1450)} | {
            "n": number,
            "not": ["https", "scheme"],
        }  # 16 KiB, and hardly any of it can be sent
        world.add("web", "10.0.0.1", number + 1, metadata=pairs)
    return world


@pytest.mark.parametrize(("name", "rtype"), FROM_METADATA)
def test_the_work_for_metadata_is_bounded_before_any_of_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, name: str, rtype: str
) -> None:
    world = _of_large_metadata(600)
    parsed: list[int] = []
    unpack = metadata.unpack

    def counted(text: bytes) -> dict[str, Any]:
        parsed.append(len(text))
        return unpack(text)

    monkeypatch.setattr(metadata, "unpack", counted)
    reply = world.ask(f"{name}.svc.local", rtype, udp=False)
    assert sum(parsed) <= 2 * 256 * 1024, "once for each record that wants it"
    if rtype in ("TXT", "PTR"):
        assert reply.flags & dns.flags.TC
        later = world.ask(f"{name}.svc.local", rtype, udp=False, now=0.1)
        assert set(data(reply.answer)) != set(data(later.answer)), "the others have their turn"


@pytest.mark.parametrize("rtype", ["TXT", "HTTPS"])
def test_a_service_of_usual_size_is_told_whole_whatever_its_metadata(rtype: str) -> None:
    world = World(lease=1000.0)
    for number in range(10):
        world.add("web", "10.0.0.1", number + 1, metadata={"n": str(number), "scheme": "https", "x": "x" * 16_000})
    reply = world.ask("web.svc.local", rtype, udp=False)
    assert len(data(reply.answer)) == 10
    assert not reply.flags & dns.flags.TC


def test_a_very_large_service_without_records_of_a_type_says_so_whole_and_its_one_record_is_found() -> None:
    """TC would send the client to TCP, which knows no more."""
    world = World(lease=1000.0)
    for number in range(1000):
        world.add("web", "10.0.0.1", number + 1)
        world.add("named", "10.0.0.1", number + 1, ports={"http": 80})
    lacks = [("web", "MX"), ("web", "PTR"), ("web", "HTTPS"), ("web", "SVCB"), ("web", "URI"), ("_web._tcp", "A")]
    for name, rtype in [*lacks, ("_http._tcp.named", "TXT")]:
        for udp in (True, False):
            reply = world.ask(f"{name}.svc.local", rtype, udp=udp)
            assert (outcome(reply), bool(reply.flags & dns.flags.TC)) == ("NODATA", False), (name, rtype)
            assert reply.authority, "the SOA of a negative (RFC 2308 §3)"
    world.add("web", "10.0.0.1", 500, ports={"https": 443})
    for now in (0.0, 0.2, 0.4, 0.6, 0.8):
        for rtype in ("HTTPS", "SVCB"):
            reply = world.ask("web.svc.local", rtype, now=now)
            assert (len(reply.answer), bool(reply.flags & dns.flags.TC)) == (1, False), "at any moment"


def test_a_nodata_from_a_part_of_too_much_metadata_says_so_and_is_not_kept() -> None:
    world = World(lease=1000.0, hot=True)
    for number in range(20):
        said = {"x": "x" * 16_000, "scheme": "ftp" if number else "https", "not": "https"}
        world.add("mute", "10.0.0.2", number + 1, metadata=said)
    replies = [world.ask("mute.svc.local", "HTTPS", edns=1232, now=n / 1000) for n in range(20)]
    assert {outcome(reply) for reply in replies} == {"NODATA", "ANSWER"}, "the one that speaks it has its turn"
    nodata = next(reply for reply in replies if outcome(reply) == "NODATA")
    assert not nodata.flags & dns.flags.TC
    assert [option.text for option in nodata.options] == [
        "16 of 20 instances of mute that may have such a record were looked at, none has one; ask again, and others are looked at"
    ]


def test_where_a_port_is_called_https_no_metadata_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add("web", "10.0.0.1", ports={"https": 443}, metadata={"a": "b"})
    monkeypatch.setattr(metadata, "unpack", lambda text: pytest.fail("parsed"))
    assert len(world.ask("web.svc.local", "HTTPS").answer) == 1


@pytest.mark.parametrize(
    ("fields", "schemes"),
    [
        ({}, []),
        ({"metadata": {"scheme": "ftp", "of": "https"}}, []),
        ({"metadata": {"scheme": "https"}}, ["HTTPS", "SVCB"]),
        ({"metadata": {"protocol": "https"}}, ["HTTPS", "SVCB"]),
        ({"metadata": {"a": 1, "protocol": "http"}}, ["SVCB"]),
        ({"ports": {"http": 80}}, ["SVCB"]),
        ({"ports": {"a": 1, "https": 443}}, ["HTTPS", "SVCB"]),
    ],
)
def test_what_speaks_http_is_found_by_its_ports_and_its_metadata(fields: dict[str, Any], schemes: list[str]) -> None:
    world = World()
    world.add("web", "10.0.0.1", **fields)
    assert [rtype for rtype in ("HTTPS", "SVCB") if world.ask("web.svc.local", rtype).answer] == schemes

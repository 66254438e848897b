"""GET /dns/NAME against what `dig` prints of the same server: line by line, but for ids, cookies, times and the way it was asked."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from discovery.dns.zones.live import LIVE_TYPES
from tests.programs import program
from tests.stories.fleet import register_fleet
from tests.stories.process import LIMIT, Discovery, running

Z = "svc.local"
END = "\n;; To ask it yourself:\n"
# What differs from one question to the next.
PASSING = r"since \d\d:\d\d:\d\dZ"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        register_fleet(server)
        server.register("odd", "10.0.0.3", metadata={"a;b": 'x"y\\z é', "long": "x" * 300})
        server.register("gone", "10.0.0.4")
        server.request("PUT", "/services/gone/maintenance", {"reason": "a \x1b[31mnew\u202e disk", "seconds": 600})
        yield server


def asked(server: Discovery, name: str, rtype: str = "A", klass: str = "IN") -> str:
    query = {"type": rtype} | ({"class": klass} if klass != "IN" else {})
    with urllib.request.urlopen(f"{server.http}/dns/{quote(name, safe='')}?{urlencode(query)}", timeout=LIMIT) as reply:
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert reply.headers["Cache-Control"] == "no-store"
        text: str = reply.read().decode()
    return text


def dig(server: Discovery, *arguments: str) -> str:
    command = [program("dig"), "-r", "@127.0.0.1", "-p", str(server.dns_port), "+noadflag", "+tries=1", "+time=50"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=LIMIT, check=True).stdout


def said(text: str) -> tuple[str, str, set[str], dict[str, list[str]]]:
    """Status, flags, what is explained, and the records of each section, in an order that does not change."""
    status, flags = re.findall(r"status: (\w+)", text)[0], re.findall(r"^;; flags:([a-z ]*);", text, re.MULTILINE)[0]
    explained = re.findall(r"^; EDE: (\d+ \([^)]*\)): \((.*)\)$", re.sub(PASSING, "", text), re.MULTILINE)
    sections = re.findall(r"^;; (\w+) SECTION:\n((?:.+\n)*)", text, re.MULTILINE)
    records = {title: sorted(" ".join(line.split()) for line in lines.splitlines()) for title, lines in sections}
    return status, flags.strip(), set(explained), records


@pytest.mark.parametrize(
    ("name", "rtype", "klass"),
    [
        *((f"user-service.{Z}", rtype, "IN") for rtype in (*(kind.name for kind in LIVE_TYPES), "ANY", "TYPE65534", "MX", "CAA")),
        *((Z, rtype, "IN") for rtype in ("SOA", "NS", "A", "ANY")),
        (f"odd.{Z}", "TXT", "IN"),
        (f"_user-service._tcp.{Z}", "SRV", "IN"),
        (f"_user-service._tcp.{Z}", "PTR", "IN"),
        (f"_metrics._tcp.user-service.{Z}", "SRV", "IN"),
        (f"_services._dns-sd._udp.{Z}", "PTR", "IN"),
        (f"ip-2001-db8--1-p3001.user-service.{Z}", "AAAA", "IN"),
        (f"UsEr-SeRvIcE.{Z}", "A", "IN"),
        (f"user-servce.{Z}", "A", "IN"),
        (f"a\\.b\\(c\\@\\007x.{Z}", "A", "IN"),
        (f"gone.{Z}", "A", "IN"),
        ("1.0.0.10.in-addr.arpa", "PTR", "IN"),
        ("version.bind", "TXT", "CH"),
        ("example.com", "A", "IN"),
        (".", "NS", "IN"),
    ],
)  # fmt: skip
def test_what_it_says_is_what_dig_prints(fleet: Discovery, name: str, rtype: str, klass: str) -> None:
    told, _, _ = asked(fleet, name, rtype, klass).partition(END)
    assert said(told) == said(dig(fleet, "-q", name, "-t", rtype, "-c", klass))


def test_whoever_accepts_json_gets_the_same_as_json(fleet: Discovery) -> None:
    told = asked_for_json(fleet, f"odd.{Z}?type=SRV")
    assert (told["status"], told["flags"], told["explained"], told["wholeName"]) == (
        "NOERROR",
        ["qr", "aa", "rd"],
        [],
        None,
    )
    host = f"ip-10-0-0-3-p3001.odd.{Z}."
    record = {
        "name": f"odd.{Z}.",
        "ttl": 5,
        "class": "IN",
        "type": "SRV",
        "data": f"10 100 3001 {host}",
        "target": host,
    }
    assert told["answer"] == [record]
    assert said(told["text"]) == said(asked(fleet, f"odd.{Z}", "SRV"))
    slip = asked_for_json(fleet, f"user-servce.{Z}")
    assert (slip["status"], slip["authority"][0]["type"]) == ("NXDOMAIN", "SOA")
    assert slip["explained"] == [
        {"code": 0, "meaning": "Other", "text": "no service user-servce; did you mean user-service?"}
    ]


def asked_for_json(server: Discovery, path: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{server.http}/dns/{path}", headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=LIMIT) as reply:
        told: dict[str, Any] = json.load(reply)
    return told


@pytest.mark.parametrize(
    "name", [f"user-service.{Z}", f"-x.{Z}", f"+short.{Z}", f"it's.$(x).{Z}", f"a\\.b/c?d.{Z}", "."]
)
def test_the_commands_at_its_end_ask_the_same(fleet: Discovery, name: str) -> None:
    told = asked(fleet, name, "TXT")
    commands = [line.removeprefix(";; ") for line in told.partition(END)[2].splitlines()]
    assert [command.split()[0] for command in commands] == ["dig", "curl"]
    for command in commands:
        program(shlex.split(command)[0])
        run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=LIMIT, check=True)
        assert said(run.stdout.partition(END)[0]) == said(told.partition(END)[0])


def test_a_service_without_its_zone_is_told_its_whole_name(fleet: Discovery) -> None:
    assert f"If you mean the service, ask for user-service.{Z}\n" in asked(fleet, "user-service")
    assert "If you mean" not in asked(fleet, f"user-service.{Z}")


@pytest.mark.parametrize(
    ("path", "field"), [("a..b", "name"), ("x?type=AXFR", "type"), ("x?type=no+type", "type"), ("x?class=HS", "class")]
)
def test_what_cannot_be_asked_is_a_400_that_says_why(fleet: Discovery, path: str, field: str) -> None:
    reply = fleet.request("GET", f"/dns/{path}")
    assert (reply.status, reply.body["code"], reply.body["field"]) == (400, "INVALID_FIELD", field)


def test_what_a_client_may_not_be_told_over_dns_it_is_not_told_here() -> None:
    """The answer is made for the address of whoever asks, by everything that stands in front of the look-up."""
    with running(DNS_ALLOW="10.0.0.0/8") as server:
        server.register("web", "10.0.0.1")
        told = asked(server, f"web.{Z}")
        assert "status: REFUSED" in told
        assert "10.0.0.1" not in told

"""At most N answers a reply, for clients that sort what they get: asked for by the service, or by the zone; all get their turn."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pycares
import pytest

from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery, running
from tests.stories.standards.clients import failing_start

EVERY = {f"10.0.0.{number}" for number in range(1, 7)}


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    """`few` asks for 2 itself; in the zone `one.example` everybody gets one, in `svc.local` all, elsewhere three."""
    settings: dict[str, Any] = {
        "DNS_DOMAIN": "svc.local,one.example,three.example",
        "DNS_MAX_ANSWERS": "svc.local=100,one.example=1,3",
    }
    with running(HEARTBEAT_TIMEOUT_SECONDS=3600, **settings) as discovery:
        for ip in sorted(EVERY):
            discovery.register("all", ip, 80, metadata={"ip": ip})
            discovery.register("few", ip, 80, maxAnswers=2, metadata={"ip": ip})
            discovery.register("uneven", ip, 80, weight=0 if ip != "10.0.0.1" else 100)
        yield discovery


@pytest.mark.parametrize(
    ("name", "most"),
    [("all.svc.local", 6), ("few.svc.local", 2), ("all.one.example", 1), ("few.one.example", 1), ("all.three.example", 3),
     ("few.three.example", 2)],
)  # fmt: skip
@pytest.mark.parametrize("rtype", ["A", "SRV", "TXT"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_a_reply_has_so_many_answers_and_is_not_called_cut(
    server: Discovery, name: str, most: int, rtype: str, transport: str
) -> None:
    dug = dig(server, name, rtype, transport)
    assert len(dug.answer) == most
    assert "tc" not in dug.flags
    if rtype == "SRV":
        assert len(dug.additional_addresses) == most, "Additional is kept in step"


def test_a_browsers_list_has_no_more(server: Discovery) -> None:
    assert len(dig(server, "_few._tcp.svc.local", "PTR").answer) == 2
    assert len(dig(server, "_all._tcp.one.example", "PTR").answer) == 1
    assert len(dig(server, "_all._tcp.svc.local", "PTR", "+tcp").answer) == 6


@pytest.mark.parametrize(("name", "most"), [("few.svc.local", 2), ("all.one.example", 1)])
def test_over_many_replies_every_instance_gets_its_turn(server: Discovery, name: str, most: int) -> None:
    seen = Counter(str(record) for _ in range(300) for record in server.ask(name).answer[0])
    assert set(seen) == EVERY
    assert sum(seen.values()) == 300 * most
    assert min(seen.values()) > 300 * most / 6 / 3


def test_they_are_picked_by_weight(server: Discovery) -> None:
    seen = Counter(str(server.ask("uneven.one.example").answer[0][0]) for _ in range(200))
    assert seen["10.0.0.1"] > 150


def test_getaddrinfo_of_cares_sees_no_more_though_it_sorts(server: Discovery) -> None:
    seen: set[str] = set()
    for _ in range(60):
        found = _getaddrinfo(server, "few.svc.local")
        assert len(found) == 2
        seen |= found
    assert seen == EVERY


def test_what_is_at_an_address_is_told_whole(server: Discovery) -> None:
    """It is about several services."""
    assert len(dig(server, "-x", "10.0.0.1").answer) == 3


@pytest.mark.parametrize("value", ["0", "-1", "x", "svc.local=", "svc.local=0", "svc.local=x"])
def test_a_bad_number_is_named(value: str) -> None:
    assert "DNS_MAX_ANSWERS" in failing_start(DNS_MAX_ANSWERS=value)


@pytest.mark.parametrize("value", [0, -1, "x", 1.5, 70000])
def test_a_bad_number_at_registration_is_named(server: Discovery, value: object) -> None:
    body = {"name": "bad", "ip": "10.0.0.1", "port": 1, "maxAnswers": value}
    reply = server.request("POST", "/register", body)
    assert reply.status == 400
    assert "maxAnswers" in reply.body["message"]


def _getaddrinfo(server: Discovery, name: str) -> set[str]:
    results: list[tuple[pycares.AddrInfoResult | None, int | None]] = []
    channel = pycares.Channel(servers=[f"127.0.0.1:{server.dns_port}"], lookups="b", domains=[], timeout=LIMIT, tries=1)
    channel.getaddrinfo(
        name, 80, family=socket.AF_INET, type=socket.SOCK_STREAM,
        callback=lambda found, error: results.append((found, error)),
    )  # fmt: skip
    assert channel.wait(LIMIT)
    channel.close()
    [(found, error)] = results
    assert error is None
    assert found is not None
    return {node.addr[0].decode() for node in found.nodes}

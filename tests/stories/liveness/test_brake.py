"""The brake on mass expiry: a part of a service falls silent at once, is suspect for a while, and everybody is told so.

And where it does not hold: one by one, in services of one or two, and where it is switched off.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.stories.dig import dig
from tests.stories.liveness.beating import Clients, beating, crowd
from tests.stories.process import LIMIT, Discovery, running, until

# They beat for a lease that no lack of a core ends; whoever is to fall silent is given a short one then.
NINE = crowd(1, 9, ttl=60)
EVERY = 0.5
TIMEOUT, SWEEP, MOST = 2, 1, 5
SETTINGS: dict[str, Any] = {
    "HEARTBEAT_TIMEOUT_SECONDS": TIMEOUT,
    "CLEANUP_INTERVAL_SECONDS": SWEEP,
    "BRAKE_MAX_SECONDS": MOST,
    "BRAKE_PROBE": "false",  # what a router answers for addresses that nobody has is no finding
}
# SRV's least preferred (RFC 2782).
LAST = 65535


def _addresses(numbers: Iterable[int]) -> set[str]:
    return {NINE[number]["ip"] for number in numbers}


def _by_status(server: Discovery) -> dict[str, int]:
    return {
        status: count for status, count in server.request("GET", "/stats").body["instancesByStatus"].items() if count
    }


def _lines(server: Discovery, kind: str, service: str = "(crowd-0|whole)") -> list[str]:
    return [line for line in server.log if re.search(rf" {kind} {service} ", line)]


def test_it_holds_says_so_everywhere_and_lets_go_of_those_that_beat() -> None:
    """Four of nine; two of a service of two expire as ever meanwhile."""
    four = frozenset({1, 3, 5, 7})
    with running(**SETTINGS | {"BRAKE_MAX_SECONDS": 600}) as server, beating(server.port, NINE, every=EVERY) as clients:
        until(lambda: clients.answered(0) == set(range(9)))
        for number in range(2):
            server.register("pair", f"10.99.0.{number + 1}", 80)
        cut_at = time.monotonic()
        clients.fall_silent(server, four, TIMEOUT)
        until(lambda: _by_status(server).get("suspect") == len(four))
        print(f"4 of 9 cut: suspect {time.monotonic() - cut_at:.2f} s later")
        _http_says_so(server, clients, four)
        _dns_says_so(server, four)
        for line in _lines(server, "suspect"):
            assert re.search(r"silent for \d\.\d s, as \d of 9 are: held by the brake", line)
        assert len(_lines(server, "suspect")) == len(four)
        until(lambda: server.request("GET", "/resolve/pair").status == 404)
        assert not server.ask("pair.svc.local").answer

        clients.cut = frozenset()
        until(lambda: _by_status(server) == {"healthy": 9} or _by_status(server) == {"healthy": 9, "unhealthy": 2})
        assert not clients.refused()
        assert {beat.id for beat in clients.beats if beat.status} == {beat.id for beat in clients.registered.values()}
        assert server.request("GET", "/stats").body["servicesHeldByTheBrake"] == []
        dug = dig(server, "crowd-0.svc.local", "A")
        assert (dug.rdata, "EDE" in dug.text) == (_addresses(range(9)), False)
        until(lambda: len(_lines(server, "healthy")) == len(four))
        assert not _lines(server, "(unhealthy|expired)")


def _http_says_so(server: Discovery, clients: Clients, suspects: frozenset[int]) -> None:
    resolved = server.request("GET", "/resolve/crowd-0").body["instances"]
    assert [one["status"] for one in resolved] == ["healthy"] * 5 + ["suspect"] * 4, "behind the healthy ones"
    assert {one["ip"] for one in resolved[5:]} == _addresses(suspects)
    [service] = [
        value for name, value in server.request("GET", "/services").body["services"].items() if "crowd" in name
    ]
    assert Counter(one["status"] for one in service["instances"]) == {"healthy": 5, "suspect": 4}
    for number, registered in clients.registered.items():
        status = "suspect" if number in suspects else "healthy"
        assert server.request("GET", f"/instances/{registered.id}").body["status"] == status
    stats = server.request("GET", "/stats").body
    assert stats["instancesByStatus"]["suspect"] == 4
    assert stats["servicesHeldByTheBrake"] == ["crowd-0"]


def _dns_says_so(server: Discovery, suspects: frozenset[int]) -> None:
    dug = dig(server, "crowd-0.svc.local", "A")
    assert dug.rdata == _addresses(range(9))
    [line] = [line for line in dug.edns or [] if "EDE" in line]
    assert "EDE: 3 (Stale Answer)" in line
    assert "4 of 9" in line
    print(line)
    assert all(record.ttl <= TIMEOUT for record in dug.answer)
    srv = dig(server, "crowd-0.svc.local", "SRV")
    priorities = {int(rdata.split()[2]) - 8000: int(rdata.split()[0]) for rdata in srv.rdata}
    assert priorities == {number: LAST if number in suspects else 10 for number in range(9)}
    assert "EDE: 3 (Stale Answer)" in srv.text
    assert "EDE" not in dig(server, "crowd-0.svc.local", "A", "+noedns").text


def test_those_that_stay_silent_are_let_go_a_fifth_a_sweep_in_random_order() -> None:
    """Three of nine, which are 33 %, and all of ten; a fifth is one and two."""
    ten = [{"name": "whole", "ip": f"10.1.0.{number + 1}", "port": 80} for number in range(10)]
    with running(**SETTINGS) as server, beating(server.port, NINE + ten, every=EVERY) as clients:
        clients.fall_silent(server, (2, 4, 6, *range(9, 19)), TIMEOUT)
        until(lambda: len(_lines(server, "suspect")) == 3 + 10)
        held_at = time.monotonic()
        assert sorted(server.request("GET", "/stats").body["servicesHeldByTheBrake"]) == ["crowd-0", "whole"]
        assert len(server.ask("whole.svc.local").answer[0]) == 10, "nothing healthy is left: better these than none"
        while len(_lines(server, "unhealthy")) < 3 + 10:
            served = [one["status"] for one in server.request("GET", "/resolve/crowd-0").body["instances"]]
            assert served[:6] == ["healthy"] * 6
            assert served[6:] in ([], ["suspect"], ["suspect"] * 2, ["suspect"] * 3)
            assert time.monotonic() - held_at < LIMIT, "bounded"
            time.sleep(0.03)
        assert all("the brake lets go" in line for line in _lines(server, "unhealthy"))
        _are_a_sweep_apart(server, "crowd-0", 1)
        _are_a_sweep_apart(server, "whole", 2)
        let_go = [match[1] for line in server.log if (match := re.search(r"unhealthy whole ([\d.]+):", line))]
        assert let_go != [spec["ip"] for spec in ten], "one time in 113,400 it is the order of registration by chance"
        assert server.request("GET", "/stats").body["servicesHeldByTheBrake"] == []
        resolved = server.request("GET", "/resolve/crowd-0").body["instances"]
        assert {one["ip"] for one in resolved} == _addresses({0, 1, 3, 5, 7, 8})
        assert "EDE" not in dig(server, "crowd-0.svc.local", "A").text
        assert server.request("GET", "/resolve/whole").status == 404
        until(lambda: len(_lines(server, "expired")) == 3 + 10)


def _are_a_sweep_apart(server: Discovery, service: str, most: int) -> None:
    """At most so many are let go within one sweep, and none before BRAKE_MAX_SECONDS."""
    held = min(map(_time, _lines(server, "suspect", service)))
    after = sorted(_time(line) - held for line in _lines(server, "unhealthy", service))
    print(
        f"{service}: let go after {', '.join(f'{seconds:.2f}' for seconds in after)} s, at most {most} a sweep of {SWEEP} s"
    )
    sweeps = Counter(int((seconds - MOST + 0.05) // SWEEP) for seconds in after)
    assert min(sweeps) >= 0
    assert max(sweeps.values()) <= most


def _time(line: str) -> float:
    return datetime.fromisoformat(line.split()[0]).timestamp()


def test_one_by_one_there_is_no_brake() -> None:
    """Three of nine, each more than a timeout after the one before."""
    with running(**SETTINGS | {"CLEANUP_INTERVAL_SECONDS": 60}) as server:
        with beating(server.port, NINE, every=EVERY) as clients:
            for number in range(3):
                clients.fall_silent(server, [number], TIMEOUT)
                until(lambda: len(_lines(server, "unhealthy")) == number + 1)  # noqa: B023 - called at once
            assert not _lines(server, "suspect")
            assert {one["ip"] for one in server.request("GET", "/resolve/crowd-0").body["instances"]} == _addresses(
                range(3, 9)
            )
        print(f"3 of 9, one by one: {len(_lines(server, 'unhealthy'))} unhealthy, no suspect")


def test_switched_off_nothing_is_served_after_its_lease() -> None:
    """BRAKE_PERCENT=0: promise 1.1 without exception, as seen from the outside: asked after the end, never in the answer."""
    with running(BRAKE_PERCENT=0, **SETTINGS | {"HEARTBEAT_TIMEOUT_SECONDS": 1}) as server:
        for spec in NINE:
            server.register(**spec | {"ttl": 1})
        latest = time.monotonic() + 1
        asked = 0
        while asked < 20:
            sent = time.monotonic()
            answer = server.ask("crowd-0.svc.local").answer
            resolved = server.request("GET", "/resolve/crowd-0").status
            if sent > latest:
                asked += 1
                assert not answer
                assert resolved == 404
        assert not _lines(server, "suspect")
        print(f"BRAKE_PERCENT=0: asked {asked} times after the lease's end, never served")

"""Deregistered is deregistered: no late heartbeat brings it back, whatever it carries, until somebody registers it or it was long ago."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.stories.process import Discovery, Reply, running, until

SPEC: dict[str, Any] = {"name": "shop", "ip": "10.0.0.1", "port": 80}
# Seconds.
LEASE = 2


def _plain(server: Discovery) -> Reply:
    return server.request("POST", "/heartbeat", SPEC)


def _carrying(server: Discovery) -> Reply:
    return server.request("POST", "/heartbeat", SPEC | {"register": True})


def _put(server: Discovery) -> Reply:
    return server.request("PUT", "/instances", SPEC)


def _said(reply: Reply) -> tuple[int, str | None]:
    return reply.status, reply.body.get("code")


def _stays_away(server: Discovery) -> None:
    assert _said(_plain(server)) == (404, "INSTANCE_UNKNOWN")
    for late in (_carrying, _put):
        reply = late(server)
        assert _said(reply) == (404, "INSTANCE_DEREGISTERED")
        assert 0 < reply.body["retryAfterMs"] <= 10_000
        assert "POST /register" in reply.body["message"]
    assert server.request("GET", "/resolve/shop").status == 404
    assert not server.ask("shop.svc.local").answer


def test_late_heartbeats_do_not_bring_it_back_after_kill_9_either_and_register_does(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with running(DATA_DIR=data) as server:
        server.register(**SPEC)
        assert server.request("DELETE", "/services/shop/instances?ip=10.0.0.1&port=80").status == 200
        _stays_away(server)
        server.stop(signal.SIGKILL)
    with running(DATA_DIR=data) as server:
        _stays_away(server)
        again = server.register(**SPEC)["instance"]["id"]
        assert {_said(late(server)) for late in (_plain, _carrying, _put)} == {(200, None)}
        server.stop(signal.SIGKILL)
    with running(DATA_DIR=data) as server:
        assert _put(server).body["instance"]["id"] == again, "and it is there after another one"


@pytest.mark.parametrize("late", [_carrying, _put])
def test_when_it_was_long_ago_the_heartbeat_that_carries_everything_works(server: Discovery, late: Any) -> None:
    """As long as its lease."""
    began = 0.0

    def refused_at_once() -> bool:
        """False: it came too late for that."""
        nonlocal began
        server.register(**SPEC, ttl=LEASE)
        began = time.monotonic()
        assert server.request("DELETE", "/services/shop/instances?ip=10.0.0.1&port=80").status == 200
        said = _said(late(server))
        if time.monotonic() - began >= LEASE:
            return False
        assert said == (404, "INSTANCE_DEREGISTERED")
        return True

    until(refused_at_once)
    until(lambda: late(server).status == 201)
    print(f"away for {time.monotonic() - began:.2f} s after a lease of {LEASE} s")
    assert time.monotonic() - began > LEASE - 1


def test_by_id(server: Discovery) -> None:
    id = server.register(**SPEC)["instance"]["id"]
    reply = server.request("DELETE", f"/instances/{id}")
    assert (reply.status, reply.body["removedInstance"]) == (200, {"id": id, **SPEC})
    _stays_away(server)
    assert _said(server.request("DELETE", f"/instances/{id}")) == (404, "INSTANCE_UNKNOWN")
    assert _said(server.request("GET", f"/instances/{id}")) == (404, "INSTANCE_UNKNOWN")


def test_a_whole_service_and_everything_are_as_final(server: Discovery) -> None:
    for path, method in (("/services/shop", "DELETE"), ("/admin/clear", "POST")):
        server.register(**SPEC)
        assert server.request(method, path).status == 200
        _stays_away(server)

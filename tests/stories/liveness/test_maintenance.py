"""Maintenance: out of answers for a reason and until a time, whatever happens to the instance or the server meanwhile."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.stories.dig import Dug, dig
from tests.stories.process import Discovery, running, until

KEPT, TAKEN = "10.0.0.1", "10.0.0.2"
REASON = "new disks"


def _fill(server: Discovery) -> str:
    """The id of the one that will be taken."""
    server.register("shop", KEPT, 80)
    id: str = server.register("shop", TAKEN, 80)["instance"]["id"]
    return id


def _explained(dug: Dug) -> str:
    [line] = [line for line in dug.edns or [] if "EDE" in line]
    return line


def _put(server: Discovery, path: str, **body: Any) -> Any:
    reply = server.request("PUT", path, {"reason": REASON, **body})
    assert reply.status == 200, reply
    return reply.body


def test_an_instance_by_address_is_out_until_it_is_ended(server: Discovery) -> None:
    id = _fill(server)
    path = f"/services/shop/instances/maintenance?ip={TAKEN}&port=80"
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert _put(server, path, until=soon)["reason"] == REASON
    assert dig(server, "shop.svc.local", "A").rdata == {KEPT}
    assert [one["ip"] for one in server.request("GET", "/resolve/shop").body["instances"]] == [KEPT]
    own = dig(server, f"ip-{TAKEN.replace('.', '-')}-p80.shop.svc.local", "A")
    assert (own.status, own.answer) == ("NOERROR", [])
    assert "maintenance" in _explained(own)
    beat = server.heartbeat("shop", TAKEN, 80)
    assert (beat.status, beat.body["instance"]["status"]) == (200, "maintenance")
    server.register("shop", TAKEN, 80, metadata={"again": 1})
    shown = server.request("GET", f"/instances/{id}").body
    assert (shown["status"], shown["maintenance"]["reason"]) == ("maintenance", REASON)
    assert datetime.fromisoformat(shown["maintenance"]["until"]) - datetime.fromisoformat(soon) < timedelta(seconds=1)
    assert server.request("GET", "/stats").body["instancesByStatus"]["maintenance"] == 1
    assert server.request("DELETE", path).status == 200
    assert dig(server, "shop.svc.local", "A").rdata == {KEPT, TAKEN}
    assert server.request("DELETE", path).body["code"] == "NO_MAINTENANCE"


def test_a_service_is_out_with_those_that_come_later_and_dig_says_why(server: Discovery) -> None:
    _fill(server)
    _put(server, "/services/shop/maintenance", seconds=3600)
    server.register("shop", "10.0.0.3", 80)
    for rtype in ("A", "SRV"):
        dug = dig(server, "shop.svc.local", rtype)
        assert (dug.status, dug.answer) == ("NOERROR", [])
        assert "3 maintenance" in _explained(dug)
    print(_explained(dug))
    reply = server.request("GET", "/resolve/shop")
    assert (reply.status, reply.body["code"]) == (404, "NO_HEALTHY_INSTANCE")
    assert "3 maintenance" in reply.body["message"]
    server.request("DELETE", "/services/shop/instances?ip=10.0.0.3&port=80")
    server.register("shop", "10.0.0.3", 80)
    assert not dig(server, "shop.svc.local", "A").answer, "deregistered and registered anew: still in maintenance"
    assert server.request("DELETE", "/services/shop/maintenance").status == 200
    assert len(dig(server, "shop.svc.local", "A").answer) == 3


def test_it_survives_kill_9_and_ends_by_itself(tmp_path: Path) -> None:
    data, began = str(tmp_path / "data"), time.monotonic()
    with running(DATA_DIR=data, HEARTBEAT_TIMEOUT_SECONDS=3600) as server:
        seconds = 6 + 4 * (time.monotonic() - began)  # the next start is within it, on a busy machine too
        id = _fill(server)
        server.register("bar", "10.0.1.1", 80)
        sent = time.time()
        body = _put(server, f"/instances/{id}/maintenance", seconds=seconds)
        ends = datetime.fromisoformat(body["until"]).timestamp()
        assert sent - 0.01 < ends - seconds < time.time() + 0.01
        _put(server, "/services/bar/maintenance", seconds=3600)
        before = server.request("GET", "/maintenance").body["windows"]
        assert len(before) == 2
        server.stop(signal.SIGKILL)
    with running(DATA_DIR=data, HEARTBEAT_TIMEOUT_SECONDS=3600) as server:
        assert server.request("GET", "/maintenance").body["windows"] == before
        assert dig(server, "shop.svc.local", "A").rdata == {KEPT}
        assert "maintenance" in _explained(dig(server, "bar.svc.local", "A"))
        server.register("shop", TAKEN, 80)
        asked = time.time()
        while dig(server, "shop.svc.local", "A").rdata == {KEPT}:
            assert asked < ends + 0.1, "out, and its window was over when it was asked for"
            time.sleep(0.02)
            asked = time.time()
        late = time.time() - ends
        print(
            f"a window of {seconds:g} s, kill -9 and a new registration in it: over {late * 1000:.0f} ms after its end"
        )
        assert late > -0.1
        until(lambda: any(f"healthy shop {TAKEN}:80: the maintenance window is over" in line for line in server.log))
        assert "bar" in {window["serviceName"] for window in server.request("GET", "/maintenance").body["windows"]}

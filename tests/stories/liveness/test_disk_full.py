"""The disk is full: writes are refused and say why, everything else goes on, and it heals by itself. On a real, small file system."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.stories.dig import dig
from tests.stories.liveness.beating import Clients, beating, crowd
from tests.stories.liveness.volume import Volume, volume
from tests.stories.process import Discovery, Reply, running, until

CLIENTS = 10
SIZE = "size=2m"
# Longer than a client may get no core.
LEASE, EVERY = 6, 0.5
SETTINGS: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": LEASE, "MAX_INSTANCES_PER_SERVICE": 1000}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path, SIZE) as small:
        yield small


def _register(server: Discovery, number: int) -> Reply:
    spec = {"name": "shop", "ip": f"10.9.{number >> 8}.{number & 255}", "port": 80, "ttl": 3600}
    return server.request("POST", "/register", spec)


def _fill_up(server: Discovery, small: Volume, acknowledged: dict[str, str]) -> list[Reply]:
    """Until registrations are refused, and it cannot help itself any more: it may, by giving back what its log takes. The refusals."""
    refused: list[Reply] = []
    numbers = count(len(acknowledged))
    while True:
        small.fill()
        while (reply := _register(server, next(numbers))).status == 201:
            _note(acknowledged, reply)
        refused.append(reply)
        tried_again_until = time.monotonic() + 3
        while not _writable(server):
            if time.monotonic() > tried_again_until:
                return refused
            time.sleep(0.02)


def _writable(server: Discovery) -> bool:
    return bool(server.request("GET", "/stats").body["journal"]["writable"])


def _note(acknowledged: dict[str, str], reply: Reply) -> None:
    acknowledged[reply.body["instance"]["id"]] = reply.body["instance"]["registeredAt"]


def test_writes_are_refused_all_else_goes_on_it_heals_and_nothing_is_lost(small: Volume) -> None:
    data, acknowledged = str(small.folder / "data"), dict[str, str]()
    with running(prefix=small.prefix, DATA_DIR=data, **SETTINGS) as server:
        with beating(server.port, crowd(1, CLIENTS), every=EVERY) as clients:
            for number in range(20):
                _note(acknowledged, _register(server, number))
            refused = _fill_up(server, small, acknowledged)
            full_at = time.monotonic()
            for reply in refused:
                _says_why(reply)
            _every_write_is_refused(server, next(iter(acknowledged)))
            _all_else_goes_on(server, clients, len(acknowledged), full_at)
            small.free()
            freed_at = time.monotonic()
            until(lambda: _writable(server))
            healed = time.monotonic() - freed_at
            for number in range(900, 910):
                _note(acknowledged, _register(server, number))
            assert not clients.refused()
            until(lambda: not {"journal_failing", "history_failing"} & warned(server).keys())
        for file in ("registry.db", "history"):
            until(lambda file=file: any("over after" in line and file in line for line in server.log))  # type: ignore[misc]
        server.stop(signal.SIGKILL)
    with running(prefix=small.prefix, DATA_DIR=data, **SETTINGS) as server:
        instances = server.request("GET", "/services").body["services"]["shop"]["instances"]
        found = {one["id"]: one["registeredAt"] for one in instances}
        assert acknowledged.items() <= found.items()
        extra = len(found) - len(acknowledged)
        assert extra <= len(refused), "at most those that met the full disk first, which were tried again"
        assert not [one for one in instances if one.get("draining") or one.get("maintenance")]
    print(
        f"full after {len(acknowledged) - 10} registrations; healed {healed:.2f} s after there was room; "
        f"{len(acknowledged)} acknowledged, {len(found)} after kill -9"
    )


def _says_why(reply: Reply) -> None:
    assert (reply.status, reply.body["code"]) == (503, "STORAGE_UNAVAILABLE")
    assert "full" in reply.body["reason"]
    assert "full" in reply.body["message"]
    assert int(reply.headers["Retry-After"]) > 0
    print(reply.body["message"])


def _every_write_is_refused(server: Discovery, id: str) -> None:
    before = server.request("GET", "/services").body["totalInstances"]
    window = {"reason": "room", "seconds": 60}
    for method, path, body in (
        ("POST", "/register", {"name": "other", "ip": "10.0.0.9", "port": 80}),
        ("PUT", "/instances", {"name": "other", "ip": "10.0.0.9", "port": 80}),
        ("POST", "/heartbeat", {"name": "other", "ip": "10.0.0.9", "port": 80, "register": True}),
        ("DELETE", f"/instances/{id}", None),
        ("DELETE", "/services/shop/instances?ip=10.9.0.0&port=80", None),
        ("DELETE", "/services/shop", None),
        ("POST", "/admin/clear", None),
        ("PUT", f"/instances/{id}/drain", None),
        ("PUT", f"/instances/{id}/maintenance", window),
        ("PUT", "/services/shop/maintenance", window),
    ):
        _says_why(server.request(method, path, body))
    after = server.request("GET", "/services").body
    assert after["totalInstances"] == before, "what was refused did not happen"
    assert "other" not in after["services"]
    assert server.request("GET", "/maintenance").body["windows"] == []
    assert server.request("GET", f"/instances/{id}").body["status"] == "healthy"


def _all_else_goes_on(server: Discovery, clients: Clients, registered: int, since: float) -> None:
    """For longer than a lease."""
    until(lambda: time.monotonic() > since + LEASE)
    until(lambda: clients.answered(time.monotonic() - 1) or clients.answered(since) == set(range(CLIENTS)))
    assert len(server.request("GET", "/resolve/crowd-0").body["instances"]) == CLIENTS
    assert server.request("GET", "/resolve/shop").body["instanceCount"] >= registered
    assert len(dig(server, "crowd-0.svc.local", "A").answer) == CLIENTS
    assert len(dig(server, "crowd-0.svc.local", "SRV").answer) == CLIENTS
    assert server.request("PUT", "/instances", crowd(1, 1)[0]).status == 200, "a beat that says nothing new is a beat"
    journal = server.request("GET", "/stats").body["journal"]
    assert journal["writable"] is False
    assert "full" in journal["reason"]
    until(lambda: {"journal_failing", "history_failing"} <= warned(server).keys())
    for code, file in (("journal_failing", "registry.db"), ("history_failing", "history")):
        assert f"{Path('data', file)} cannot be written" in warned(server)[code]
        assert "full" in warned(server)[code]
    assert all("full" in line for line in server.log if " ERROR " in line)


def warned(server: Discovery) -> dict[str, str]:
    """Texts by code."""
    return {each["code"]: each["text"] for each in server.request("GET", "/ready").body["warnings"]}

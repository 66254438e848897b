"""An instance that goes and comes too often is held, says so, and is not served where there is something better."""

from __future__ import annotations

import time
from typing import Any

from tests.stories.dig import dig
from tests.stories.liveness.beating import beating
from tests.stories.process import Discovery, running, until

STEADY: dict[str, Any] = {"name": "pair", "ip": "10.0.0.1", "port": 80, "ttl": 60}
FLAPPY: dict[str, Any] = {"name": "pair", "ip": "10.0.0.2", "port": 80, "ttl": 60}
WINDOW = 10
SETTINGS: dict[str, Any] = {
    "CLEANUP_INTERVAL_SECONDS": 60,
    "FLAP_MAX_CHANGES": 2,
    "FLAP_WINDOW_SECONDS": WINDOW,
}


def _status(server: Discovery, id: str) -> str:
    status: str = server.request("GET", f"/instances/{id}").body["status"]
    return status


def _resolved(server: Discovery) -> list[tuple[str, str]]:
    return [(one["ip"], one["status"]) for one in server.request("GET", "/resolve/pair").body["instances"]]


def test_it_flaps_is_held_and_is_healthy_again_after_a_quiet_while() -> None:
    with running(**SETTINGS) as server, beating(server.port, [STEADY, FLAPPY], every=0.3) as clients:
        id = clients.registered[1].id
        came_back = 0.0

        def goes_and_comes() -> str:
            nonlocal came_back
            clients.fall_silent(server, [1], 1)
            until(lambda: _status(server, id) == "unhealthy")
            came_back = time.monotonic()  # not sooner
            clients.cut = frozenset()
            return until(lambda: (status := _status(server, id)) != "unhealthy" and status)  # type: ignore[no-any-return]

        assert goes_and_comes() == "healthy"
        until(lambda: goes_and_comes() == "flapping")  # the second time, where nobody else uses the machine
        server.register(**FLAPPY)
        assert _resolved(server) == [(STEADY["ip"], "healthy")]
        assert dig(server, "pair.svc.local", "A").rdata == {STEADY["ip"]}
        assert server.request("GET", "/stats").body["instancesByStatus"]["flapping"] == 1
        assert any(
            "flapping pair 10.0.0.2:80" in line and f"more than 2 times in {WINDOW} s" in line for line in server.log
        )

        server.request("PUT", "/services/pair/instances/drain?ip=10.0.0.1&port=80")
        assert _resolved(server) == [(FLAPPY["ip"], "flapping")], "alone it is better than nothing"
        dug = dig(server, "pair.svc.local", "A")
        assert dug.rdata == {FLAPPY["ip"]}
        [line] = [line for line in dug.edns or [] if "EDE" in line]
        assert "flapping" in line
        print(line)
        server.request("DELETE", "/services/pair/instances/drain?ip=10.0.0.1&port=80")

        until(lambda: _status(server, id) == "healthy")
        quiet = time.monotonic() - came_back
        print(
            f"more changes than 2: flapping, and healthy again after {quiet:.2f} s of quiet, the window has {WINDOW} s"
        )
        assert quiet > WINDOW - 0.1
        assert not clients.refused()
        assert {beat.id for beat in clients.beats if beat.client == 1 and beat.status} == {id}
        assert dig(server, "pair.svc.local", "A").rdata == {STEADY["ip"], FLAPPY["ip"]}

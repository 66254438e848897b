"""A client that says all of itself with every beat needs nothing else: when the server has lost everything, the next beat is enough."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.stories.liveness.beating import beating, crowd
from tests.stories.process import running, until

CLIENTS = 20
EVERY = 0.5  # seconds between two beats; no lack of a core ends the leases


def _fields(number: int) -> dict[str, Any]:
    return {"metadata": {"number": number}, "tags": ["blue"], "weight": 7, "zone": "eu-1"}


def _specs(**more: Any) -> list[dict[str, Any]]:
    return [spec | _fields(number) | more for number, spec in enumerate(crowd(CLIENTS // 10, 10))]


def test_after_a_loss_of_everything_all_are_back_with_their_next_beat(tmp_path: Path) -> None:
    """PUT /instances by real clients that know no other request."""
    data = tmp_path / "data"
    settings: dict[str, Any] = {
        "DATA_DIR": str(data),
        "HEARTBEAT_TIMEOUT_SECONDS": 600,
        "PORT": free_port(),
        "DNS_PORT": free_port(),
    }
    with running(**settings) as first, beating(first.port, _specs(), upsert=True, every=EVERY) as clients:
        everybody = set(range(CLIENTS))
        until(lambda: clients.answered(0) == everybody)
        first.stop(signal.SIGKILL)
        shutil.rmtree(data)
        killed = time.monotonic()
        with running(**settings) as second:
            ready = time.monotonic()
            until(lambda: {beat.client for beat in clients.beats if beat.sent > killed and beat.status} == everybody)
            back = max(beat.received for beat in _firsts(clients.beats, killed)) - ready
            assert {beat.status for beat in _firsts(clients.beats, killed)} == {201}, "and 201 says that it was new"
            assert not clients.refused()
            services = second.request("GET", "/services").body["services"]
            instances = [one for service in services.values() for one in service["instances"]]
            assert len(instances) == CLIENTS
            for one in instances:
                number = one["metadata"]["number"]
                assert {name: one[name] for name in _fields(number)} == _fields(number), "all of it"
            print(f"{CLIENTS} clients, the server killed and its data gone: all back {back:.2f} s after it was ready")


def _firsts(beats: list[Any], since: float) -> list[Any]:
    """The first answer of each after that."""
    first: dict[int, Any] = {}
    for beat in list(beats):
        if beat.sent > since and beat.status is not None:
            first.setdefault(beat.client, beat)
    return list(first.values())


def test_a_heartbeat_with_register_true_does_the_same_and_a_plain_one_does_not(tmp_path: Path) -> None:
    spec = _specs()[0]
    with running() as server:
        plain = server.heartbeat(spec["name"], spec["ip"], spec["port"])
        assert (plain.status, plain.body["code"]) == (404, "INSTANCE_UNKNOWN")
        assert "register" in plain.body["suggestion"]
        assert server.request("POST", "/heartbeat", spec).body["code"] == "INSTANCE_UNKNOWN", "it does not say register"
        assert server.request("GET", "/services").body["services"] == {}
        first = server.request("POST", "/heartbeat", spec | {"register": True})
        assert first.status == 201
        id = first.body["instance"]["id"]
        shown = server.request("GET", f"/instances/{id}").body
        assert {name: shown[name] for name in _fields(0)} == _fields(0)
        index = first.body["index"]
        for method, path, body in (
            ("POST", "/heartbeat", spec | {"register": True}),
            ("PUT", "/instances", spec),
            ("POST", "/heartbeat", {name: spec[name] for name in ("name", "ip", "port")}),
        ):
            reply = server.request(method, path, body)
            assert (reply.status, reply.body["instance"]["id"], reply.body["index"]) == (200, id, index), "no change"
        changed = server.request("PUT", "/instances", spec | {"metadata": {"number": 1}})
        assert (changed.status, changed.body["instance"]["id"], changed.body["index"]) == (200, id, index + 1)
        assert server.request("GET", f"/instances/{id}").body["metadata"] == {"number": 1}

"""Drain: out of new answers at once, still alive, and the time from which on nobody can hold an answer with it."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.stories.dig import dig
from tests.stories.judges.daemon import dig_through
from tests.stories.judges.unbound import unbound
from tests.stories.process import Discovery, Reply, running

KEPT, DRAINED = "10.0.0.1", "10.0.0.2"


def _fill(server: Discovery, **fields: Any) -> str:
    """The id of the one that will be drained."""
    server.register("shop", KEPT, 80)
    id: str = server.register("shop", DRAINED, 80, **fields)["instance"]["id"]
    return id


def _drain(server: Discovery, method: str = "PUT") -> Reply:
    reply = server.request(method, f"/services/shop/instances/drain?ip={DRAINED}&port=80")
    assert reply.status == 200, reply
    return reply


def _safe_after(reply: Reply) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(reply.body["safeAfter"]).timestamp()


def _ips(server: Discovery) -> tuple[set[str], set[str]]:
    """By HTTP and by DNS."""
    resolved = server.request("GET", "/resolve/shop").body["instances"]
    return {one["ip"] for one in resolved}, dig(server, "shop.svc.local", "A").rdata


def test_it_is_out_of_http_and_dns_at_once_and_beats_on_until_it_is_undone(server: Discovery) -> None:
    id = _fill(server)
    assert _ips(server) == ({KEPT, DRAINED}, {KEPT, DRAINED})
    assert _drain(server).body["instance"]["status"] == "draining"
    assert _ips(server) == ({KEPT}, {KEPT})
    beat = server.heartbeat("shop", DRAINED, 80)
    assert (beat.status, beat.body["instance"]["id"], beat.body["instance"]["status"]) == (200, id, "draining")
    assert _ips(server) == ({KEPT}, {KEPT}), "a heartbeat does not undo it"
    server.register("shop", DRAINED, 80, metadata={"again": True})
    assert _ips(server) == ({KEPT}, {KEPT}), "nor does a registration"
    shown = server.request("GET", f"/instances/{id}").body
    assert (shown["status"], shown["draining"]) == ("draining", True)
    assert server.request("GET", "/stats").body["instancesByStatus"]["draining"] == 1
    _drain(server, "DELETE")
    assert _ips(server) == ({KEPT, DRAINED}, {KEPT, DRAINED})
    assert server.request("PUT", f"/instances/{id}/drain").status == 200, "by id too"
    assert _ips(server) == ({KEPT}, {KEPT})
    assert server.request("DELETE", f"/instances/{id}/drain").status == 200
    assert _ips(server) == ({KEPT, DRAINED}, {KEPT, DRAINED})


def test_it_survives_kill_9_and_so_does_that_it_was_undone(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with running(DATA_DIR=data) as server:
        id = _fill(server)
        _drain(server)
        server.stop(signal.SIGKILL)
    with running(DATA_DIR=data) as server:
        assert _ips(server) == ({KEPT}, {KEPT})
        assert server.heartbeat("shop", DRAINED, 80).body["instance"] | {"lastHeartbeat": ""} == {
            "id": id, "name": "shop", "ip": DRAINED, "port": 80, "status": "draining", "lastHeartbeat": "",
        }  # fmt: skip
        _drain(server, "DELETE")
        server.stop(signal.SIGKILL)
    with running(DATA_DIR=data) as server:
        assert _ips(server) == ({KEPT, DRAINED}, {KEPT, DRAINED})


def test_a_caching_resolver_holds_no_answer_with_it_after_safe_after(tmp_path: Path) -> None:
    ttl = 3
    with (
        running(DNS_TTL_SECONDS=ttl, HEARTBEAT_TIMEOUT_SECONDS=600) as server,
        unbound(server.dns_port, tmp_path) as port,
    ):
        _fill(server)
        assert dig_through(server, port, "shop.svc.local", "A").rdata == {KEPT, DRAINED}
        safe_after = _safe_after(_drain(server))
        assert safe_after - time.time() <= ttl + 1, "and not later than need be"
        with_it: list[float] = []
        asked = 0
        while (sent := time.time()) < safe_after + 1:
            asked += 1
            if DRAINED in dig_through(server, port, "shop.svc.local", "A").rdata:
                with_it.append(sent)
            time.sleep(0.02)
        last = max(with_it, default=0.0)  # none where nothing here ran until then
        print(
            f"unbound was asked {asked} times, had it {len(with_it)} times, last {safe_after - last:.2f} s before safeAfter"
        )
        assert last < safe_after


def test_no_ttl_handed_out_before_reaches_beyond_safe_after(server: Discovery) -> None:
    """An answer was made after it was asked for."""
    _fill(server)
    reaches, asked = 0.0, 50
    for _ in range(asked):
        sent = time.time()
        reaches = max(reaches, sent + server.ask("shop.svc.local").answer[0].ttl)
    safe_after = _safe_after(_drain(server))
    print(f"the last of {asked} answers ends {(safe_after - reaches) * 1000:.1f} ms before safeAfter")
    assert reaches + 1 <= safe_after + 0.001, "a cache may count whole seconds; times are told in milliseconds"

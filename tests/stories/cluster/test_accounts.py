"""A node is cut off from etcd: the account of each instance tells node silence as node silence, on both sides."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.stories.cluster.nodes import FLUSH, TTL, etcd_of, link_to, node, ready, url_of
from tests.stories.process import LIMIT, Discovery, until
from tests.stories.surfaces import agreed, ede, listed


def registers(server: Discovery, body: dict[str, Any]) -> bool:
    """503 while etcd gets no core."""
    return server.request("POST", "/register", body).status == 201


def test_a_node_that_is_cut_off_is_told_by_both_sides_and_is_not_taken_for_the_brake(tmp_path: Path) -> None:
    with (
        etcd_of(tmp_path) as etcd, link_to(etcd) as link,
        node(etcd, NODE_NAME="near", BRAKE_PERCENT=30, DATA_DIR=str(tmp_path / "near")) as near,
        node(etcd, NODE_NAME="far", ENGINE_URL=url_of([link.url]), BRAKE_PERCENT=30) as far,
    ):  # fmt: skip
        keys = [("web", f"10.0.0.{number}", 80) for number in range(1, 4)]
        for key in keys:
            body = {**dict(zip(("name", "ip", "port"), key, strict=True)), "ttl": 60}
            until(partial(registers, far, body))
        until(lambda: all(far.heartbeat(*key).status == 200 for key in keys))
        until(lambda: len(near.request("GET", "/resolve/web").body["instances"]) == 3)
        time.sleep(4 * FLUSH)  # those beats have come to the other node
        link.cut()
        until(lambda: not ready(far))
        until(lambda: {each["status"] for each in near.request("GET", "/resolve/web").body["instances"]} == {"suspect"})
        for each in agreed(near, "web").values():
            assert each["served"]
            assert each["why"].startswith("it may beat at another node, of which this one does not hear")
            assert each["next"] == "it is judged when that node is heard again, or is gone for good"
            assert "brake" not in each["why"]
        assert near.request("GET", "/stats").body["brakeHolds"] == []
        text = ede(near, "web.svc.local")
        assert text.startswith("web: 3 of 3 answers are suspect since ")
        assert "it may beat at another node" in text
        silent, cut = until(lambda: listed(near, "node_silent")), until(lambda: listed(far, "node_cut_off"))
        assert "far" in silent["text"]
        assert cut["severity"] == "critical"
        assert cut["text"]
        stale = far.request("GET", "/resolve/web?explain=1").body
        assert stale["stale"] >= 0
        assert {each["status"] for each in stale["explained"]} == {"healthy"}, "it hears them itself"
        link.heal()
        until(lambda: ready(far), TTL + LIMIT)

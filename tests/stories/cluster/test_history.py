"""Any node can be asked what has happened: each keeps the history of what it has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.stories.cluster.nodes import etcd_of, node, starts_and_fails, url_of
from tests.stories.process import Discovery, until


def _kinds(server: Discovery) -> list[tuple[int, str]]:
    changes: list[dict[str, Any]] = server.request("GET", "/history?service=web").body["events"]
    return [(each["index"], each["kind"]) for each in changes if each["service"]]  # without starts and stops


def test_every_node_tells_the_same_history_and_still_after_its_restart(tmp_path: Path) -> None:
    with etcd_of(tmp_path) as etcd, node(etcd, NODE_NAME="z", DATA_DIR=tmp_path / "z") as other:
        with node(etcd, NODE_NAME="y", DATA_DIR=tmp_path / "y") as first:
            first.register("web", "10.0.0.1", 80)
            other.write("DELETE", "/services/web/instances?ip=10.0.0.1&port=80")
            until(lambda: len(_kinds(first)) == len(_kinds(other)) == 2)
            before = _kinds(first)
            assert [kind for _, kind in before] == ["deregistered", "registered"]
            assert _kinds(other) == before
        with node(etcd, NODE_NAME="y", DATA_DIR=tmp_path / "y") as again:
            assert _kinds(again) == before


def test_two_nodes_do_not_share_a_data_directory(tmp_path: Path) -> None:
    with etcd_of(tmp_path) as etcd, node(etcd, DATA_DIR=tmp_path / "data"):
        status, said = starts_and_fails(ENGINE_URL=url_of(etcd.urls), DATA_DIR=str(tmp_path / "data"))
    assert status == 1
    assert str(tmp_path / "data") in said

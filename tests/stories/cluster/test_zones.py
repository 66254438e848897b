"""Two nodes with other zone files: both are ready, and say what differs and what to do, until it is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.stories.cluster.nodes import engine, etcd_of, metric, node, ready
from tests.stories.process import ROOT, Discovery, until


def warnings(server: Discovery) -> list[str]:
    reply = server.request("GET", "/ready")
    assert reply.status == 200
    return [str(each["text"]) for each in reply.body["warnings"]]


def test_zones_that_differ_are_warnings_of_a_200_at_both_nodes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(ROOT / "zones", tmp_path / name)
    zone = "$ORIGIN example.test.\n@ 60 SOA ns h {serial} 1 1 1 1\n@ 60 NS ns\nns 60 A 10.0.0.1\nwww 60 A 10.0.0.{serial}\n"
    (tmp_path / "a" / "example.test.zone").write_text(zone.format(serial=1))
    with (
        etcd_of(tmp_path) as etcd,
        node(etcd, NODE_NAME="a", ZONES_DIR=str(tmp_path / "a")) as one,
        node(etcd, NODE_NAME="b", ZONES_DIR=str(tmp_path / "b")) as two,
    ):
        until(lambda: ready(one) and ready(two))
        until(lambda: len(warnings(one)) == len(warnings(two)) == 1)
        here, there = engine(one)["node"], engine(two)["node"]
        assert f"this node serves example.test, {there} does not" in warnings(one)[0]
        assert f"{here} serves example.test, this node does not" in warnings(two)[0]
        assert "make ZONES_DIR and DNS_DOMAIN the same on all nodes" in warnings(two)[0]
        assert metric(one, "discovery_engine_zone_differences") == 1
        (tmp_path / "b" / "example.test.zone").write_text(zone.format(serial=2))
        until(lambda: any("example.test is a file with serial 2 and content" in each for each in warnings(one)))
        assert any("make ZONES_DIR and DNS_DOMAIN the same" in line for line in one.log)
        (tmp_path / "b" / "example.test.zone").write_text("; a comment is no difference\n" + zone.format(serial=1))
        until(lambda: not warnings(one) and not warnings(two))

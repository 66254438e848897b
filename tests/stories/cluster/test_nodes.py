"""Three nodes: what one of them takes, all answer, with one index and one serial; and one of them is killed."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cli.live import At
from tests.plugins.eureka.house import sent
from tests.stories.cluster.crowd import beating
from tests.stories.cluster.nodes import (
    FLUSH,
    addresses,
    engine,
    etcd_of,
    index,
    link_to,
    metric,
    node,
    nodes,
    serial,
    url_of,
)  # fmt: skip
from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery, until

# Longer than clients may get no core.
LEASE = 8


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Discovery]]:
    settings = {"CONSUL": "true", "CONSUL_ADVERTISE": "10.9.0.5", "EUREKA": "true", "HEARTBEAT_TIMEOUT_SECONDS": 600}
    with etcd_of(tmp_path_factory.mktemp("etcd"), 3) as etcd, nodes(etcd, 3, **settings) as found:
        yield found


def test_consuls_clients_may_ask_any_node(three: list[Discovery]) -> None:
    a, b, c = three
    body = {"Name": "fleet", "Port": 80, "Check": {"TTL": "60s", "Status": "passing"}}

    def passing(one: Discovery) -> list[str]:
        return sorted(row["Service"]["ID"] for row in one.request("GET", "/v1/health/service/fleet?passing").body)

    def put(one: Discovery, path: str, body: Any = None) -> None:
        assert one.write("PUT", f"/v1/agent/{path}", json.dumps(body).encode()).status == 200

    seen = b.request("GET", "/v1/health/service/fleet").headers["X-Consul-Index"]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(b.request, "GET", f"/v1/health/service/fleet?index={seen}&wait={LIMIT - 1:.0f}s")
        put(a, "service/register", body | {"ID": "one"})
        reply = waiting.result()
    assert int(reply.headers["X-Consul-Index"]) > int(seen)
    assert [row["Service"]["ID"] for row in reply.body] == ["one"]
    put(b, "service/register", body | {"ID": "two"})  # at the same address: they share an instance
    for one in three:
        until(lambda one=one: passing(one) == ["one", "two"])  # type: ignore[misc]
    put(c, "check/fail/service:one")
    for one in three:
        until(lambda one=one: passing(one) == ["two"])  # type: ignore[misc]
    c.register("fleet", "10.9.0.5", 80)
    put(a, "service/deregister/one")
    for one in three:
        until(lambda one=one: passing(one) == ["two"])  # type: ignore[misc]
    put(b, "service/deregister/two")
    for one in three:  # whoever registered it natively has it still
        until(lambda one=one: one.request("GET", "/v1/agent/services").body == {})  # type: ignore[misc]
        assert one.request("GET", "/resolve/fleet").body["instanceCount"] == 1
    a.write("DELETE", "/services/fleet/instances?ip=10.9.0.5&port=80")


def eureka_statuses(one: Discovery, path: str = "apps") -> dict[str, tuple[str, str]]:
    """With what became of each, by id, as XML's clients read it."""
    with urllib.request.urlopen(f"{one.http}/eureka/{path}", timeout=LIMIT) as response:
        instances = ET.fromstring(response.read()).iter("instance")  # noqa: S314 our own server wrote it
    return {
        each.findtext("instanceId", ""): (each.findtext("status", ""), each.findtext("actionType", ""))
        for each in instances
    }


def test_eurekas_clients_may_ask_any_node(three: list[Discovery]) -> None:
    a, b, c = three
    path, left = "/eureka/apps/EUREKAN/e1", {"e2": ("UP", "ADDED")}
    for id in ("e1", "e2"):
        body = sent(id, "EUREKAN", f"10.9.1.{id[1]}", leaseInfo={"durationInSecs": 600})
        assert a.write("POST", "/eureka/apps/EUREKAN", body).status == 204

    def everywhere(statuses: dict[str, tuple[str, str]], path: str = "apps") -> None:
        for one in three:
            until(lambda one=one: statuses.items() <= eureka_statuses(one, path).items())  # type: ignore[misc]

    everywhere({"e1": ("UP", "ADDED")} | left)
    assert b.write("PUT", path).status == 200
    assert c.write("PUT", f"{path}/status?value=OUT_OF_SERVICE").status == 200
    for listed in ("apps", "apps/delta"):
        everywhere({"e1": ("OUT_OF_SERVICE", "MODIFIED")} | left, listed)
    assert b.write("DELETE", path).status == 200
    everywhere({"e1": ("UP", "DELETED")} | left, "apps/delta")
    for one in three:
        assert one.write("PUT", path).status == 404
        assert "e1" not in eureka_statuses(one)
    a.write("DELETE", "/services/eurekan")


def test_what_is_registered_at_one_node_is_dug_at_another(three: list[Discovery]) -> None:
    for number, one in enumerate(three):
        ip = f"10.0.{number}.1"
        one.register("web", ip, 80, metadata={"by": str(number)})
        other = three[number - 1]
        until(lambda other=other, ip=ip: ip in dig(other, "web.svc.local", "A").rdata)  # type: ignore[misc]
    # While a node gets no core the others say last whom they heard through it.
    until(lambda: "10 100 80 ip-10-0-2-1-p80.web.svc.local." in dig(three[1], "web.svc.local", "SRV").rdata)
    three[1].write("DELETE", "/services/web/instances?ip=10.0.2.1&port=80")
    until(lambda: all("10.0.2.1" not in dig(node, "web.svc.local", "A").rdata for node in three))


def test_indexes_and_serials_are_the_same_on_all_nodes_and_each_reply_has_one_that_holds_everywhere(
    three: list[Discovery],
) -> None:
    last = 0
    for number in range(12):
        said = three[number % 3].register("many", f"10.1.0.{number + 1}", 80)
        assert said["index"] > last, "a later write has a higher index, at whatever node"
        last = said["index"]
    three[0].write("PUT", "/services/many/maintenance", {"reason": "a story", "seconds": 60})
    until(lambda: len({index(node) for node in three}) == 1)
    assert {index(node) for node in three} == {serial(node) for node in three}
    assert index(three[0]) >= last


def test_who_waits_at_one_node_is_told_of_a_change_at_another(three: list[Discovery]) -> None:
    three[2].register("waited-for", "10.2.0.1", 80)
    known = three[2].register("waited-for", "10.2.0.2", 80)["index"]
    until(lambda: index(three[0]) >= known)
    three[1].register("waited-for", "10.2.0.3", 80)
    url = f"{three[0].http}/resolve/waited-for?index={known}&wait=10s"
    with urllib.request.urlopen(url, timeout=LIMIT) as reply:
        found: Any = json.loads(reply.read())
    assert {each["ip"] for each in found["instances"]} >= {"10.2.0.3"}


def test_a_node_is_killed_while_dig_loops_at_all_and_nobody_is_lost(tmp_path: Path) -> None:
    ips = [f"10.3.0.{number + 1}" for number in range(8)]
    with (
        etcd_of(tmp_path) as etcd,
        nodes(etcd, 3, EUREKA="true", HEARTBEAT_TIMEOUT_SECONDS=LEASE) as three,
        beating("web", ips, three[:1]) as crowd,
    ):
        assert three[0].write("POST", "/eureka/apps/API", sent("e1", "API", "10.9.1.1")).status == 204
        until(lambda: all(addresses(node, "web") == set(ips) for node in three))
        until(lambda: engine(three[1])["leader"])
        time.sleep(2 * FLUSH)  # until all were heard through the first
        killed, left = three[0], three[1:]
        assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
        assert left[1].write("PUT", "/eureka/apps/API/e1").status == 200, "what it was told there is known here"
        assert eureka_statuses(left[0])["e1"] == ("UP", "ADDED")

        def all_dig_everybody() -> bool:
            for each in left:
                assert dig(each, "web.svc.local", "A").rdata == set(ips), each.log[-3:]
            return True

        # In doubt, since nobody knows whether their node hears them.
        until(lambda: all_dig_everybody() and metric(left[0], "discovery_engine_held_instances") == len(ips))
        assert "suspect" in dig(left[0], "web.svc.local", "A").text
        [silent] = [each for each in engine(left[0])["nodes"] if each["silent"]]
        assert metric(left[0], f'discovery_engine_held_by_node{{node="{silent["node"]}"}}') == len(ips)
        assert metric(left[0], 'discovery_instances{status="suspect"}') == len(ips), "as a reader sees them"
        until(lambda: f"{silent['node']} is silent, and may hear them" in At(left[0].http)("get", "holds").out)
        row = At(left[0].http)("get", "holds").out.splitlines()[1]
        assert row.endswith(f"{len(ips)}  web"), row
        crowd.at = left
        ends = time.monotonic() + LEASE + 2 * FLUSH + 1
        while time.monotonic() < ends:
            all_dig_everybody()
            time.sleep(0.05)
        assert not crowd.forgotten
        for node in left:
            until(lambda node=node: metric(node, 'discovery_engine_other_nodes{state="silent"}') == 1)  # type: ignore[misc]
            # They are heard elsewhere now; the number is the latest look's.
            until(lambda node=node: metric(node, "discovery_engine_held_instances") == 0)  # type: ignore[misc]
        assert sum(metric(node, "discovery_engine_leads") for node in left) == 1
        left[1].register("web", "10.3.1.1")
        until(lambda: "10.3.1.1" in dig(left[0], "web.svc.local", "A").rdata)


def test_get_nodes_and_holds_say_who_is_cut_off_who_is_silent_and_until_when_for_that(tmp_path: Path) -> None:
    with (
        etcd_of(tmp_path) as etcd,
        link_to(etcd) as link,
        node(etcd, ENGINE_URL=url_of([link.url]), NODE_NAME="cut") as cut,
        node(etcd, NODE_NAME="other") as other,
    ):
        until(lambda: all(len(engine(each)["nodes"]) == 1 for each in (cut, other)))
        cut.register("web", "10.0.0.1", 80, ttl=600)
        other.register("shop", "10.0.0.2", 80, ttl=600)
        until(lambda: all(addresses(each, "shop") and addresses(each, "web") for each in (cut, other)))
        link.cut()
        until(lambda: "cut off: it does not hear etcd" in At(cut.http)("get", "nodes").out)
        until(lambda: re.search(r"when etcd is heard +1  shop", At(cut.http)("get", "holds").out))
        assert "what it says is" in At(cut.http)("get", "services").err
        until(lambda: "when its key in etcd ends" in At(other.http)("get", "holds").out)
        [row] = [line for line in At(other.http)("get", "nodes").out.splitlines() if line.startswith("cut-")]
        assert "silent" in row
        assert row.rstrip().endswith("1 of web"), row

"""`discovery cluster` and `discovery get nodes`, against two nodes on a real etcd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from discovery import __version__
from discovery.engines.etcd import membership
from tests.cli.live import At, discovery
from tests.engines.etcd.cluster import EtcdCluster
from tests.ports import free_port
from tests.stories.cluster.nodes import engine, etcd_of, etcdctl, index, nodes, starts_and_fails, url_of
from tests.stories.process import Discovery, running, until


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with etcd_of(tmp_path_factory.mktemp("etcd")) as found:
        yield found


@pytest.fixture(scope="module")
def two(etcd: EtcdCluster) -> Iterator[list[Discovery]]:
    with nodes(etcd, 2, HEARTBEAT_TIMEOUT_SECONDS=30, DNS_TTL_SECONDS=60) as found:
        yield found


@pytest.fixture
def at(etcd: EtcdCluster, two: list[Discovery]) -> At:
    return At(two[0].http, ENGINE_URL=url_of(etcd.urls))


def test_a_change_of_the_timeout_holds_on_all_nodes_and_for_the_leases_of_the_living(
    at: At, two: list[Discovery]
) -> None:
    asked = two[0].register("web", "10.0.0.1", 80)["instance"]["id"]
    two[0].register("own", "10.0.0.1", 80, ttl=100)
    done = at("cluster", "set", "HEARTBEAT_TIMEOUT_SECONDS=500")
    assert done.out.startswith("HEARTBEAT_TIMEOUT_SECONDS was 30.0 and is 500.0 for all nodes, from revision ")
    until(lambda: all(node.request("GET", "/stats").body["heartbeatTimeout"] == "500s" for node in two))
    assert {"setting": "HEARTBEAT_TIMEOUT_SECONDS", "value": 500.0} in rows(at)
    # A TTL is never longer than what is left of the lease: 30 s of one of 30, all 60 where it is 500.
    until(lambda: all(node.ask("web.svc.local").answer[0].ttl == 60 for node in two))
    at("cluster", "set", "heartbeat_timeout_seconds=2", "MAX_INSTANCES_PER_SERVICE=3")
    until(lambda: all(node.request("GET", f"/instances/{asked}").status == 404 for node in two))
    assert all(len(node.request("GET", "/resolve/own").body["instances"]) == 1 for node in two), "it asked for its own"
    at("cluster", "set", "HEARTBEAT_TIMEOUT_SECONDS=30", "MAX_INSTANCES_PER_SERVICE=50")


def rows(at: At) -> list[dict[str, object]]:
    settings = at("cluster", "show", "-o", "json").content["settings"]
    return [{"setting": name, "value": value} for name, value in settings.items()]


def test_a_change_of_a_limit_holds_on_all_nodes(at: At, two: list[Discovery]) -> None:
    assert at("cluster", "set", "MAX_INSTANCES_PER_SERVICE=1").status == 0
    two[0].register("few", "10.0.0.1", 80, ttl=100)
    for node in two:
        reply = node.write("POST", "/register", {"name": "few", "ip": "10.0.0.2", "port": 80})
        assert (reply.status, reply.body["limit"]) == (409, 1)
    assert "is 1 already" in at("cluster", "set", "MAX_INSTANCES_PER_SERVICE=1").out
    at("cluster", "set", "MAX_INSTANCES_PER_SERVICE=50")
    assert two[1].write("POST", "/register", {"name": "few", "ip": "10.0.0.2", "port": 80}).status == 201


def test_show_names_the_cluster_and_who_is_there(at: At) -> None:
    found = at("cluster", "show", "-o", "json").content
    assert len(found["nodes"]) == 2
    assert found["leader"] in found["nodes"]
    assert found["index"] > found["revision"] > 1
    assert "MAX_SERVICES" in at("cluster", "show").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["MAX_SERVICE=3"], "did you mean MAX_SERVICES?"),
        (["PORT=3"], "there are HEARTBEAT_TIMEOUT_SECONDS"),
        (["MAX_SERVICES"], "write NAME=VALUE"),
        (["MAX_SERVICES=many"], "MAX_SERVICES"),
        (["MAX_SERVICES=0"], "greater than or equal to 1"),
        (["ETCD_FLUSH_SECONDS=11"], "less than or equal to 10"),
        (["MAX_SERVICES=7", "MAX_INSTANCES=0"], "MAX_INSTANCES"),
        ([], "NAME=VALUE"),
    ],
)
def test_a_name_or_a_value_that_makes_no_sense_is_2_and_changes_nothing(
    at: At, arguments: list[str], said: str
) -> None:
    before = rows(at)
    done = at("cluster", "set", *arguments)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert rows(at) == before


def test_no_etcd_to_be_asked_is_2_and_one_that_is_away_is_1() -> None:
    assert discovery("cluster", "show", ENGINE_URL="").status == 2
    assert discovery("cluster", "show", ENGINE_URL="etcd://a b").status == 2
    away = discovery("cluster", "set", "MAX_SERVICES=3", ENGINE_URL=f"etcd://127.0.0.1:{free_port()}")
    assert "no etcd member answers" in away.said


def test_an_etcd_without_a_registry_says_so(etcd: EtcdCluster) -> None:
    done = discovery("cluster", "show", ENGINE_URL=url_of(etcd.urls), ETCD_PREFIX="other/")
    assert "the configuration of the registry is not in etcd" in done.said


def test_get_nodes_shows_all_and_who_leads(at: At, two: list[Discovery]) -> None:
    lines = at("get", "nodes").out.splitlines()
    assert lines[0].split() == ["NODE", "VERSION", "STATE", "LEADS", "LAST", "HEARD", "HOLDS", "REVISION"]
    assert sorted(line[:2] for line in lines[1:]) == ["a-", "b-"]
    assert all(" here " in line and " ago" in line for line in lines[1:])
    until(lambda: at("get", "nodes").out.count(__version__) == 2)
    assert "nothing is held" in at("get", "holds").err + at("get", "holds").out
    two[0].register_together([{"name": "old", "ip": "10.0.0.9", "port": 80, "ttl": 1, "hold": 600}])
    until(lambda: "its registration, after its lease" in at("get", "holds").out)
    assert at("get", "holds").out.splitlines()[1].split()[-2:] == ["1", "old"]
    two[0].write("DELETE", "/services/old")
    assert sum(" yes " in line for line in lines[1:]) == 1
    assert len(at("get", "nodes", "-o", "name").out.split()) == 2


def test_get_nodes_of_a_single_one(tmp_path: Path) -> None:
    with running(tmp_path) as alone:
        assert "this one alone" in At(alone.http)("get", "nodes").out


def test_a_node_that_is_asked_with_the_index_of_another_waits_until_it_has_it(two: list[Discovery]) -> None:
    near, far = two
    index, numbers = 0, count()

    def has_it_in_time() -> bool:
        """As each does, where etcd has told both within a second."""
        nonlocal index
        number = next(numbers)
        index = near.register("asked", "10.3.0.1", 80, ttl=100, metadata={"number": number})["index"]
        reply = far.request("GET", f"/resolve/asked?index={index}&wait=100ms")
        if int(reply.headers["X-Registry-Index"]) < index:
            return False
        assert reply.body["instances"][0]["metadata"] == {"number": number}
        return True

    for _ in range(10):
        until(has_it_in_time)
    started = time.monotonic()
    assert far.request("GET", f"/resolve/asked?index={index + 10_000}&wait=10m").status == 200, "not ten minutes"
    assert time.monotonic() - started >= 1, "an index that nobody has given is waited for a second"


def test_begin_says_what_it_would_do_and_refuses_where_there_is_a_registry(
    at: At, etcd: EtcdCluster, tmp_path: Path
) -> None:
    assert "there is no cluster.json" in at("cluster", "begin", "--data-dir", str(tmp_path)).said
    with nodes(etcd, 1, ETCD_PREFIX="gone/", DATA_DIR=tmp_path):
        pass
    kept = membership.read(tmp_path)
    assert kept is not None
    here = At("", ENGINE_URL=url_of(etcd.urls), ETCD_PREFIX="gone/", DATA_DIR=str(tmp_path))
    assert f"has registry {kept.conf.cluster}" in here("cluster", "begin", "--yes").said
    etcdctl(etcd, "del", "--prefix", "gone/")
    status, said = starts_and_fails(ENGINE_URL=url_of(etcd.urls), ETCD_PREFIX="gone/", DATA_DIR=tmp_path)
    assert status == 1
    assert f"below gone/, has no registry, and this node belongs to registry {kept.conf.cluster}" in said
    assert f"with --yes this begins in etcd at {etcd.urls[0]}, below gone/" in here("cluster", "begin").out
    assert etcdctl(etcd, "get", "--prefix", "gone/") == ""
    assert here("cluster", "begin", "--yes").out.startswith("begun in etcd")
    with nodes(etcd, 1, ETCD_PREFIX="gone/", DATA_DIR=tmp_path) as (node,):
        assert index(node) > kept.last
        assert engine(node)["cluster"] == kept.conf.cluster

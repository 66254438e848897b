"""`discovery migrate`: a running single node's registry into etcd and back, with a real etcd and whole processes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from discovery.core.revocation import Revocation
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from tests.cli.live import Done, discovery
from tests.engines.etcd.cluster import EtcdCluster
from tests.stories.cluster.nodes import etcd_of, etcdctl, index, node, serial, url_of
from tests.stories.process import Discovery, running, until

NEW = "http://10.0.0.1:3100"
SETTINGS: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": 600, "MAX_INSTANCES_PER_SERVICE": 1000}
SIZE = 10_000


class Place:
    """A data directory and an etcd."""

    def __init__(self, folder: Path, etcd: EtcdCluster) -> None:
        self.data = folder / "data"
        self.etcd = etcd
        self.settings = {**SETTINGS, "DATA_DIR": str(self.data), "REGISTERS_PER_SECOND": 0}

    @contextmanager
    def single(self) -> Iterator[Discovery]:
        with running(self.data.parent, **self.settings) as server:
            yield server

    @contextmanager
    def node(self) -> Iterator[Discovery]:
        with node(self.etcd, **{**SETTINGS, "HISTORY_DAYS": 0}) as server:
            until(lambda: server.request("GET", "/ready").status == 200)
            yield server

    def migrate(self, to: str, *more: str) -> Done:
        settings = {name: str(value) for name, value in self.settings.items()}
        return discovery("migrate", "--to", to, *more, ENGINE_URL=url_of(self.etcd.urls), **settings)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with etcd_of(tmp_path) as etcd:
        yield Place(tmp_path, etcd)


def instances(server: Discovery) -> dict[str, Any]:
    """What was registered, by id."""
    services = server.request("GET", "/services").body["services"]
    kept = ("id", "name", "ip", "port", "registeredAt", "metadata", "tags", "status")
    return {
        each["id"]: {name: each.get(name) for name in kept}
        for service in services.values()
        for each in service["instances"]
    }


def test_a_running_registry_of_ten_thousand_moves_into_etcd_and_its_writes_stand_still_for_two_seconds_at_most(
    place: Place,
) -> None:
    with place.single() as old:
        for start in range(0, SIZE, 500):
            batch = [
                {"name": f"s{number % 100}", "ip": f"10.1.{number // 250}.{number % 250 + 1}", "port": 80}
                for number in range(start, start + 500)
            ]
            assert old.request("POST", "/registrations", {"instances": batch}).status in (200, 201, 207)
        assert f"{SIZE:,} instances" in place.migrate("etcd", "--dry-run").out
        told: list[dict[str, Any]] = []
        stopped: list[float] = []
        busy = threading.Thread(target=_register, args=(old, told, stopped))
        busy.start()
        until(lambda: len(told) > 20)
        gone = old.request("GET", "/resolve/s7").body["instances"][0]
        done = place.migrate("etcd", NEW)
        assert done.status == 0, done
        assert not busy.is_alive(), "it was refused"
        assert time.monotonic() - stopped[0] <= 2.0
        refused = old.heartbeat("s7", gone["ip"], 80)
        assert (refused.status, refused.body["code"], refused.body["nodes"]) == (503, "MOVED", [NEW])
        assert old.request("GET", "/ready").status == 503
        assert old.request("DELETE", f"/services/s7/instances?ip={gone['ip']}&port=80").status == 503
        before, last = instances(old), index(old)
        assert "there is nothing to do" in place.migrate("etcd", NEW).out
        with place.node() as new:
            assert instances(new) == before
            assert {each["instance"]["id"] for each in told} <= before.keys(), "nothing acknowledged is lost"
            assert index(new) > last
            assert serial(new) > last % 2**32


def _register(server: Discovery, told: list[dict[str, Any]], stopped: list[float]) -> None:
    """Until it is refused: every reply, and when that was."""
    for number in range(100_000):
        reply = server.request(
            "POST", "/register", {"name": "late", "ip": f"10.9.{number // 250}.{number % 250 + 1}", "port": 80}
        )
        if reply.status == 503:
            assert reply.body["code"] == "MOVED"
            stopped.append(time.monotonic())
            return
        if reply.status == 201:
            told.append(reply.body)
        time.sleep(0.005)


def test_an_old_node_that_is_started_again_names_the_new_ones_and_answers_reads(place: Place) -> None:
    with place.single() as old:
        old.register("web", "10.0.0.1", 80)
    assert place.migrate("etcd", NEW, "http://[2001:db8::2]:3100").status == 0
    with place.single() as old:
        assert old.ask("web.svc.local").answer
        for reply in (
            old.request("POST", "/register", {"name": "web", "ip": "10.0.0.2", "port": 80}),
            old.request("POST", "/heartbeats", {"instances": [{"name": "web", "ip": "10.0.0.1", "port": 80}]}),
            old.request("PUT", "/services/web/maintenance", {"reason": "a test", "seconds": 60}),
        ):
            assert (reply.status, reply.body["nodes"]) == (503, [NEW, "http://[2001:db8::2]:3100"])
        assert old.request("GET", "/stats").body["journal"] == {"writable": False, "reason": "the registry has moved"}


def test_everything_goes_there_and_back_and_the_index_never_goes_back(place: Place) -> None:
    with place.single() as old:
        web = old.register(
            "web", "10.0.0.1", 80, tags=["blue"], metadata={"a": 1}, ttl=100, check={"http": "/up", "interval": 3600}
        )
        old.register("web", "10.0.0.2", 80)
        old.register("api", "2001:db8::1", 81)
        old.request("PUT", "/services/api/maintenance", {"reason": "a test", "seconds": 600})
        old.request("PUT", "/services/web/instances/drain?ip=10.0.0.2&port=80")
        before, known = instances(old), index(old)
    assert place.migrate("etcd", NEW).status == 0
    with place.node() as new:
        assert instances(new) == before
        assert index(new) > known
        revoked: dict[str, Any] = {"name": "deploy", "at": 1.5, "by": "boss", "expires": None}
        etcdctl(place.etcd, "put", f"reg/r/{'0a' * 32}", json.dumps(revoked))
        new.register("web", "10.0.0.3", 80)
        new.request("DELETE", f"/services/web/instances?ip={web['instance']['ip']}&port=80")
        dry = place.migrate("journal", "--dry-run")
        assert "3 instances, 1 maintenance windows" in dry.out
        changed = instances(new)
        done = place.migrate("journal", "http://10.0.0.9:3100")
        assert done.status == 0, done
        assert "what was there before is in" in done.out
        assert inspect(place.data / FILE).revoked == [(b"\n" * 32, Revocation(**revoked))]
        until(lambda: new.request("GET", "/ready").status == 503)
        refused = new.request("POST", "/register", {"name": "web", "ip": "10.0.0.4", "port": 80})
        assert (refused.status, refused.body["nodes"]) == (503, ["http://10.0.0.9:3100"])
        assert new.heartbeat("web", "10.0.0.3", 80).body["code"] == "MOVED"
        known = index(new)
        assert "there is nothing to do" in place.migrate("journal", "http://10.0.0.9:3100").out
        with place.single() as old:
            assert instances(old) == changed
            assert old.request("GET", "/maintenance").body["windows"][0]["reason"] == "a test"
            assert index(old) > known
            old.register("web", "10.0.0.5", 80)
            old.request("DELETE", "/services/web/instances?ip=10.0.0.3&port=80")
            changed, known = instances(old), index(old)
            etcdctl(place.etcd, "del", "--prefix", "reg/r/")
            # And into etcd again: what was left there is replaced, and its node takes writes again.
            assert place.migrate("etcd", NEW).status == 0
            until(lambda: new.request("GET", "/ready").status == 200)
            assert instances(new) == changed
            assert index(new) > known
            assert json.loads(etcdctl(place.etcd, "get", "--prefix", "reg/r/", "--print-value-only")) == revoked


def test_what_etcd_has_already_stays_and_what_cannot_be_copied_is_named(place: Place) -> None:
    with place.node() as new:
        there = new.register("web", "10.0.0.1", 80)["instance"]["id"]
        with place.single() as old:
            here = old.register("web", "10.0.0.1", 80)["instance"]["id"]
            old.register("web", "10.0.0.2", 80)
            done = place.migrate("etcd", NEW)
            assert f"1 instances are passed over, since etcd has others at their addresses: {here}" in done.out
        until(lambda: len(instances(new)) == 2)
        assert there in instances(new)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "name the nodes"),
        (["10.0.0.1:3100"], 2, "is no address of a node"),
        ([NEW], 1, "There is no file"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_no_mark(
    place: Place, arguments: list[str], status: int, said: str
) -> None:
    done = place.migrate("etcd", *arguments)
    assert (done.status, said in done.err) == (status, True)
    assert not (place.data / "moved.json").exists()


def test_a_value_in_etcd_that_cannot_be_read_keeps_it_from_being_left_behind(place: Place) -> None:
    with place.node() as new:
        new.register("web", "10.0.0.1", 80)
    etcdctl(place.etcd, "put", "reg/i/web/x", "{}")
    done = place.migrate("journal", NEW)
    assert "reg/i/web/x" in done.said
    etcdctl(place.etcd, "del", "reg/i/web/x")
    assert place.migrate("journal", NEW).status == 0

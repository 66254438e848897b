"""`discovery migrate`: a single node's registry into etcd and back, with a real etcd and whole processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from discovery.core.kinds import Revocation, TokenEvent
from discovery.plugins.journal import moved
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from tests.cli.live import Done, discovery
from tests.engines.etcd.cluster import EtcdCluster
from tests.plugins.journal.making import a_file
from tests.stories.cluster.nodes import etcd_of, etcdctl, index, node, serial, url_of
from tests.stories.process import Discovery, running, until

SETTINGS: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": 600, "MAX_INSTANCES_PER_SERVICE": 1000}
SIZE = 2_000  # forty transactions of etcd and more


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
            assert server.stop() == 0  # it says goodbye: one that was killed would count as running for a while

    def migrate(self, *more: str) -> Done:
        settings = {name: str(value) for name, value in self.settings.items()}
        return discovery("migrate", *more, ENGINE_URL=url_of(self.etcd.urls), **settings)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with etcd_of(tmp_path_factory.mktemp("etcd")) as found:
        yield found


@pytest.fixture
def place(etcd: EtcdCluster, tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path, etcd)
    etcdctl(etcd, "del", "--prefix", "")


def instances(server: Discovery) -> dict[str, Any]:
    """What was registered, by id."""
    services = server.request("GET", "/services").body["services"]
    kept = ("id", "name", "ip", "port", "registeredAt", "metadata", "tags", "status")
    return {
        each["id"]: {name: each.get(name) for name in kept}
        for service in services.values()
        for each in service["instances"]
    }


def says_moved(server: Discovery) -> Any:
    """What it refuses a registration with, once it has come so far: at first etcd may be late."""

    def refused() -> Any:
        reply = server.request("POST", "/register", {"name": "web", "ip": "10.0.0.4", "port": 80})
        assert reply.status == 503
        return reply.body["code"] == "MOVED" and reply.body

    return until(refused)


def test_thousands_are_in_etcd_and_the_folder_is_no_registry_any_more(place: Place) -> None:
    a_file(place.data, SIZE)
    assert f"{SIZE:,} instances" in place.migrate("--dry-run").out
    done = place.migrate()
    assert done.status == 0, done
    assert f"{SIZE:,} instances, 0 maintenance windows, 0 drains and 2 revoked tokens are in etcd" in done.out
    assert "there is nothing to do" in place.migrate().out
    with place.node() as new:
        assert len(instances(new)) == SIZE
    failed = discovery("serve", "--port", "0", "--dns-port", "0", DATA_DIR=str(place.data))
    assert failed.status == 1
    assert "has moved to etcd (cluster " in failed.err
    assert "`discovery migrate --back`" in failed.err


def test_everything_goes_there_and_back_and_the_index_never_goes_back(place: Place) -> None:
    with place.single() as old:
        web = old.register(
            "web", "10.0.0.1", 80, tags=["blue"], metadata={"a": 1}, ttl=100, check={"http": "/up", "interval": 3600}
        )
        old.register("web", "10.0.0.2", 80)
        old.register("api", "2001:db8::1", 81)
        old.request("PUT", "/services/api/maintenance", {"reason": "a test", "seconds": 600})
        old.request("PUT", "/services/web/instances/drain?ip=10.0.0.2&port=80")
        assert "is in use by the process" in place.migrate().err, "the server is stopped first"
        before, known = instances(old), index(old)
    assert place.migrate().status == 0
    with place.node() as new:
        assert instances(new) == before
        assert index(new) > known
        assert serial(new) > known % 2**32
        revoked: dict[str, Any] = {"name": "deploy", "at": 1.5, "by": "boss", "expires": None}
        etcdctl(place.etcd, "put", f"reg/r/{'0a' * 32}", json.dumps(revoked))
        new.register("web", "10.0.0.3", 80)
        new.write("DELETE", f"/services/web/instances?ip={web['instance']['ip']}&port=80")
        assert "stop them first" in place.migrate("--back").err
        changed, known = instances(new), index(new)
    assert "3 instances, 1 maintenance windows" in place.migrate("--back", "--dry-run").out
    done = place.migrate("--back")
    assert done.status == 0, done
    assert "what was there before is in" in done.out
    assert inspect(place.data / FILE).values[-1] == TokenEvent(b"\n" * 32, None, Revocation(**revoked), "")
    assert "there is nothing to do" in place.migrate("--back").out
    with node(place.etcd, **{**SETTINGS, "HISTORY_DAYS": 0}) as late:
        assert str(place.data) in says_moved(late)["nodes"][0]
        assert late.heartbeat("web", "10.0.0.3", 80).body["code"] == "MOVED"
        late.stop()
    with place.single() as old:
        assert instances(old) == changed
        assert old.request("GET", "/maintenance").body["windows"][0]["reason"] == "a test"
        assert index(old) > known
        old.register("web", "10.0.0.5", 80)
        old.request("DELETE", "/services/web/instances?ip=10.0.0.3&port=80")
        changed, known = instances(old), index(old)
    # And into etcd again: what was left there is replaced.
    assert place.migrate().status == 0
    with place.node() as new:
        assert instances(new) == changed
        assert index(new) > known
        assert json.loads(etcdctl(place.etcd, "get", "--prefix", "reg/r/", "--print-value-only")) == revoked


def test_one_that_was_cut_off_half_way_is_done_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(place.data, 100)

    def cut(folder: Path, mark: moved.Mark) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moved, "write", cut)
        assert place.migrate().status == 130
    with node(place.etcd, **{**SETTINGS, "HISTORY_DAYS": 0}) as early:
        says_moved(early)
        early.stop()
    assert place.migrate().status == 0
    with place.node() as new:
        assert len(instances(new)) == 100


def test_an_etcd_that_has_a_registry_already_is_left_as_it_is(place: Place) -> None:
    with place.node() as new:
        new.register("web", "10.0.0.1", 80)
    a_file(place.data, 3)
    done = place.migrate()
    assert (done.status, "already, with 1 instances" in done.err) == (1, True)
    with place.node() as new:
        assert len(instances(new)) == 1
    with place.single() as old:
        assert len(instances(old)) == 3


def test_what_cannot_be_done_is_said_and_leaves_no_mark(place: Place) -> None:
    assert "there is no such file" in place.migrate().err
    assert "etcd has no registry" in place.migrate("--back").err
    assert not (place.data / moved.FILE).exists()
    assert not (place.data / FILE).exists()


def test_a_value_in_etcd_that_cannot_be_read_keeps_it_from_being_left_behind(place: Place) -> None:
    with place.node() as new:
        new.register("web", "10.0.0.1", 80)
    etcdctl(place.etcd, "put", "reg/i/web/x", "{}")
    done = place.migrate("--back")
    assert "reg/i/web/x" in done.said
    etcdctl(place.etcd, "del", "reg/i/web/x")
    assert place.migrate("--back").status == 0

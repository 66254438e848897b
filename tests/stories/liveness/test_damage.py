"""Damaged files: never a silent fresh start. The file is named and left as it is, and a backup brings everything back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stories.liveness.starting import discovery, refused
from tests.stories.process import Discovery, running

MANY = 200
SETTINGS: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": 3600, "MAX_INSTANCES_PER_SERVICE": MANY}


def _listed(server: Discovery) -> dict[str, Any]:
    services = server.request("GET", "/services").body["services"]
    shown = ("id", "registeredAt", "metadata", "ip", "port")
    return {
        one["id"]: {name: one[name] for name in shown} for service in services.values() for one in service["instances"]
    }


def _contents(folder: Path) -> dict[str, bytes]:
    """What is kept there, the history too: an empty log is none."""
    files = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in ("lock", "registry.db-shm")
    }
    return {name: octets for name, octets in files.items() if octets or name == "registry.db"}


def test_a_damaged_file_is_named_and_left_as_it_is_and_a_backup_brings_everything_back(tmp_path: Path) -> None:
    """A bit of a row; plugins/journal has every damage without a process."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    with running(DATA_DIR=str(data), **SETTINGS) as server:
        for number in range(MANY):
            server.register("shop", f"10.0.0.{number + 1}", 80, metadata={"text": f"a-mark-to-find-{number:03d}"})
        before = _listed(server)
        discovery("backup", str(backup), DATA_DIR=str(data))
        server.stop()
    file = data / "registry.db"
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"a-mark-to-find-100") + 5] ^= 0x10
    file.write_bytes(damaged)
    contents = _contents(data)
    said = refused(DATA_DIR=str(data), **SETTINGS)
    assert all(text in said for text in (str(file), "damaged", "`discovery restore FILE`")), said
    assert _contents(data) == contents, "left as it is"
    restored = discovery("restore", str(backup), DATA_DIR=str(data)).stdout
    assert f"{MANY} instances" in restored
    [away] = [file for file in data.glob("registry.db.before-*") if file.suffix[-4:] not in ("-wal", "-shm")]
    assert str(away) in restored
    assert away.read_bytes() == damaged, "for who wants to look"
    with running(DATA_DIR=str(data), **SETTINGS) as server:
        assert _listed(server) == before


def test_a_backup_of_a_server_that_is_written_to_is_one_moment_of_it(tmp_path: Path) -> None:
    """A service of two goes by one request, again and again: a backup has both of them, one that is back, or none."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    with running(DATA_DIR=str(data), **SETTINGS) as server:
        for number in range(2):
            server.register("stays", f"10.0.0.{number + 1}", 80)
        with _coming_and_going(server):
            for _ in range(2):
                said = discovery("backup", str(backup), DATA_DIR=str(data)).stdout
        server.request("POST", "/admin/clear")
    with running(DATA_DIR=str(data), **SETTINGS) as server:
        assert server.request("GET", "/services").body["services"] == {}
    discovery("restore", str(backup), DATA_DIR=str(data))
    with running(DATA_DIR=str(data), **SETTINGS) as server:
        services = server.request("GET", "/services").body["services"]
    assert sum(service["instanceCount"] for service in services.values()) == int(said.split()[1])
    assert services.pop("stays")["instanceCount"] == 2
    going = {one["ip"] for service in services.values() for one in service["instances"]}
    assert going in (set(), {"10.0.0.1"}, {"10.0.0.1", "10.0.0.2"})


@contextmanager
def _coming_and_going(server: Discovery) -> Iterator[None]:
    stop, rounds = threading.Event(), 0

    def work() -> None:
        nonlocal rounds
        while not stop.is_set():
            for number in range(2):
                server.register("goes", f"10.0.0.{number + 1}", 80)
            assert server.request("DELETE", "/services/goes").body["instancesRemoved"] == 2
            rounds += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert rounds > 0
    print(f"{rounds} times gone and come while it was backed up")

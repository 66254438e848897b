"""Damaged files: never a silent fresh start. The file is named and left as it is, and a backup brings everything back."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.stories.liveness.starting import discovery, refused
from tests.stories.process import Discovery, running

MANY = 200
SETTINGS: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": 3600, "MAX_INSTANCES_PER_SERVICE": MANY}
# What stands in the file in the middle of a row.
MARK = b"a-mark-to-find-100"


class Kept:
    """A data directory: `stopped` after a SIGTERM (all in one file), `killed` (much in the write-ahead log), and a backup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup = folder / "backup"
        self.instances: dict[str, Any] = {}


def _listed(server: Discovery) -> dict[str, Any]:
    services = server.request("GET", "/services").body["services"]
    shown = ("id", "registeredAt", "metadata", "ip", "port")
    return {
        one["id"]: {name: one[name] for name in shown} for service in services.values() for one in service["instances"]
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    kept = Kept(tmp_path_factory.mktemp("kept"))
    for name, signum in (("stopped", signal.SIGTERM), ("killed", signal.SIGKILL)):
        with running(DATA_DIR=str(kept.folder / name), **SETTINGS) as server:
            for number in range(MANY):
                server.register("shop", f"10.0.0.{number + 1}", 80, metadata={"text": f"a-mark-to-find-{number:03d}"})
            if name == "stopped":
                kept.instances = _listed(server)
                print(discovery("backup", str(kept.backup), DATA_DIR=str(kept.folder / name)).stdout)
            server.stop(signum)
    assert {file.name for file in (kept.folder / "stopped").iterdir()} == {"registry.db", "lock", "history"}
    return kept


def _flip(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 0x10]) + octets[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda octets: octets[: len(octets) // 2],
    "cut by a page": lambda octets: octets[:-4096],
    "empty": lambda octets: b"",
    "a bit of the header": lambda octets: _flip(octets, 17),
    "a bit of a page's structure": lambda octets: _flip(octets, 4096 * 3 + 3),
    "a bit of a row": lambda octets: _flip(octets, octets.index(MARK) + 5),
    "another program's": lambda octets: b"Not a registry. " * 512,
}


def _copy(kept: Kept, name: str, folder: Path) -> Path:
    data = folder / "data"
    shutil.copytree(kept.folder / name, data)
    return data


def _contents(folder: Path) -> dict[str, bytes]:
    """What is kept there, the history too: an empty log is none."""
    files = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in ("lock", "registry.db-shm")
    }
    return {name: octets for name, octets in files.items() if octets or name == "registry.db"}


def _is_refused(data: Path) -> None:
    before = _contents(data)
    said = refused(DATA_DIR=str(data), **SETTINGS)
    print(said)
    assert str(data / "registry.db") in said
    assert "damaged" in said
    assert "`discovery restore FILE`" in said
    assert _contents(data) == before, "left as it is"


@pytest.mark.with_all  # plugins/journal has each of them without a process; what follows has one of them
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_left_as_it_is(kept: Kept, tmp_path: Path, damage: str) -> None:
    data = _copy(kept, "stopped", tmp_path)
    file = data / "registry.db"
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    _is_refused(data)


def test_a_backup_brings_everything_back_and_the_damaged_file_is_kept(kept: Kept, tmp_path: Path) -> None:
    data = _copy(kept, "stopped", tmp_path)
    file = data / "registry.db"
    damaged = DAMAGES["a bit of a row"](file.read_bytes())
    file.write_bytes(damaged)
    _is_refused(data)
    restored = discovery("restore", str(kept.backup), DATA_DIR=str(data))
    print(restored.stdout)
    assert f"{MANY} instances" in restored.stdout
    [away] = [file for file in data.glob("registry.db.before-*") if file.suffix[-4:] not in ("-wal", "-shm")]
    assert str(away) in restored.stdout
    assert away.read_bytes() == damaged, "for who wants to look"
    with running(DATA_DIR=str(data), **SETTINGS) as server:
        assert _listed(server) == kept.instances


def test_a_damaged_write_ahead_log_is_no_shorter_one(kept: Kept, tmp_path: Path) -> None:
    """SQLite would stop at the first frame that is broken and say nothing of those behind."""
    data = _copy(kept, "killed", tmp_path)
    log = data / "registry.db-wal"
    log.write_bytes(_flip(log.read_bytes(), log.stat().st_size // 2))
    _is_refused(data)


@pytest.mark.with_all  # plugins/journal/test_damage.py without a process
def test_wherever_a_bit_is_flipped_all_is_there_or_it_does_not_start(kept: Kept, tmp_path: Path) -> None:
    seed = Random().getrandbits(32)
    random, refusals, flips = Random(seed), 0, 5
    data = _copy(kept, "stopped", tmp_path)
    file = data / "registry.db"
    whole = file.read_bytes()
    for _ in range(flips):
        at = random.randrange(len(whole))
        print(f"seed {seed}, octet {at} of {len(whole)}")
        file.write_bytes(_flip(whole, at))
        with ExitStack() as stack:
            try:
                server = stack.enter_context(running(DATA_DIR=str(data), **SETTINGS))
            except AssertionError:  # it is not ready, so it must say why
                _is_refused(data)
                refusals += 1
            else:
                assert _listed(server) == kept.instances
    print(f"{refusals} refused, {flips - refusals} had everything")


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

"""`discovery backup FILE` and `discovery restore FILE`, called with a server running and without: what they say and their status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from discovery import cli
from discovery.plugins.journal.files import FILE
from discovery.settings import Settings
from tests.cli.live import process
from tests.plugins.journal.making import VALUES, a_file, an_old_file, content, octets
from tests.stories.process import running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DATA_DIR, not made yet; the working folder is empty and no other setting is set."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "NODE_ENV"):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


Captured = pytest.CaptureFixture[str]


def failed(capsys: Captured, arguments: list[str], status: int, *texts: object) -> None:
    """With that exit status and one line that holds the texts."""
    assert cli.main(arguments) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("discovery: ")
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 1
    for text in texts:
        assert str(text) in said.err


def test_a_backup_of_a_stopped_registry_and_back(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    a_file(folder, 1234)
    assert cli.main(["backup", "saved"]) == 0
    assert capsys.readouterr().out == "saved: 1,234 instances, 2 maintenance windows\n"
    saved = content(tmp_path / "saved")
    assert (len(saved.instances), saved.values) == (1234, VALUES)
    (folder / FILE).unlink()
    assert cli.main(["restore", "saved"]) == 0
    said = capsys.readouterr().out
    assert said == f"{folder / FILE}: 1,234 instances, 2 maintenance windows, from saved\n"
    assert content(folder / FILE) == saved


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_of_a_node_on_etcd_it_says_what_to_do_instead(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: str
) -> None:
    monkeypatch.setenv("ENGINE_URL", "etcds://10.0.0.1:2379,10.0.0.2:2379")
    failed(capsys, [command, "saved"], 2, "ETCDCTL_ENDPOINTS=https://10.0.0.1:2379 etcdctl snapshot save", "restore")
    a_file(folder, 3)  # of a single node, from before
    assert cli.main(["backup", "saved", "--data-dir", str(folder)]) == 0


def test_a_restore_over_a_damaged_file_says_where_that_is_now(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    file = a_file(folder, 20)
    assert cli.main(["backup", "saved"]) == 0
    file.write_bytes(b"damaged")
    capsys.readouterr()
    failed(capsys, ["backup", "other"], 1, file, "damaged", "discovery restore")
    assert not (tmp_path / "other").exists()
    assert cli.main(["restore", "saved"]) == 0
    aside = re.search(r"^what was there before is in (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert aside is not None
    assert Path(aside[1]).read_bytes() == b"damaged"
    assert Path(aside[1]).parent == folder
    assert len(content(file).instances) == 20


def test_a_restore_of_an_older_format(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    old = an_old_file(tmp_path / "old", 30)
    assert cli.main(["restore", str(old)]) == 0
    assert "30 instances" in capsys.readouterr().out
    assert len(content(folder / FILE).instances) == 30


def test_a_damaged_backup_is_refused_and_nothing_changed(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    a_file(folder, 20)
    assert cli.main(["backup", "saved"]) == 0
    saved = tmp_path / "saved"
    saved.write_bytes(saved.read_bytes()[:-4096])
    before = octets(folder)
    capsys.readouterr()
    failed(capsys, ["restore", "saved"], 1, "damaged")
    after = octets(folder)
    assert {name: after[name] for name in before} == before


def test_what_is_missing_is_named(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    failed(capsys, ["backup", "saved"], 1, folder / FILE)
    failed(capsys, ["restore", "saved"], 1, "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_cannot_be_written_is_told(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    a_file(folder, 5)
    failed(capsys, ["backup", str(tmp_path / "missing" / "saved")], 1, tmp_path / "missing" / "saved")
    failed(capsys, ["backup", str(folder)], 1, folder)
    failed(capsys, ["backup", "/proc/saved"], 1, "/proc/saved")


@pytest.mark.parametrize("source", [".", "/", "/proc/self/mem"])
def test_what_is_no_file_is_not_restored(folder: Path, source: str, capsys: Captured) -> None:
    a_file(folder, 5)
    before = octets(folder)
    failed(capsys, ["restore", source], 1)
    after = octets(folder)
    assert {name: after[name] for name in before} == before


def test_a_restore_into_what_is_no_folder_is_told(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    a_file(tmp_path / "other", 5)
    folder.write_text("")
    failed(capsys, ["restore", str(tmp_path / "other" / FILE)], 1, "DATA_DIR", folder)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_without_a_data_directory_there_is_nothing_to_do(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_DIR", "")
    failed(capsys, [command, "saved"], 2, "DATA_DIR", "memory")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize("more", [[], ["a", "b"]])
def test_it_takes_one_file(command: str, more: list[str], capsys: Captured) -> None:
    assert cli.main([command, *more]) == 2
    assert "discovery" in capsys.readouterr().err


def test_a_running_server_is_backed_up_and_not_restored(folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    with running(DATA_DIR=str(folder)) as server:
        ids = [server.register("web", port=port)["instance"]["id"] for port in range(3001, 3008)]
        done = process("backup", str(saved), DATA_DIR=str(folder))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{saved}: 7 instances, 0 maintenance windows\n"
        refused = process("restore", str(saved), DATA_DIR=str(folder))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert re.search(rf"pid {server.process.pid}\b", refused.stderr)
        server.request("DELETE", "/services/web")
        assert server.stop() == 0
    assert [instance.id for instance in content(saved).instances] == ids
    assert not content(folder / FILE).instances
    done = process("restore", str(saved), DATA_DIR=str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    with running(DATA_DIR=str(folder)) as server:
        found = [server.request("GET", f"/instances/{id}").status for id in ids]
    assert found == [200] * 7


def test_a_second_server_on_the_folder_is_refused(folder: Path) -> None:
    with running(DATA_DIR=str(folder)) as server:
        second = process("serve", DATA_DIR=str(folder))
        assert second.returncode == 1
        assert re.search(rf"pid {server.process.pid}\b", second.stderr)
        assert "ready" not in second.stdout
        assert "Traceback" not in second.stderr
        assert server.register("web")


def test_a_server_does_not_start_on_a_damaged_file(folder: Path) -> None:
    file = a_file(folder, 20)
    file.write_bytes(file.read_bytes()[:-4096])
    done = process("serve", DATA_DIR=str(folder))
    assert done.returncode == 1
    assert "ready" not in done.stdout
    assert str(file) in done.stderr
    assert "discovery restore" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.exists()


def test_a_damaged_file_that_is_moved_away_makes_room_for_a_new_one(folder: Path) -> None:
    """As the message says. Here one character of a row is another one, which SQLite does not see."""
    file = a_file(folder, 20)
    octets = bytearray(file.read_bytes())
    octets[octets.rindex(b"service-3")] ^= 1
    file.write_bytes(octets)
    done = process("serve", DATA_DIR=str(folder))
    assert done.returncode == 1
    assert "move it" in done.stderr
    file.rename(folder / "away")
    with running(DATA_DIR=str(folder)) as server:
        assert server.register("web")

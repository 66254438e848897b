"""Where `backup`, `restore` and `audit` find the files of a server that runs elsewhere: `--env-file`, and the installed unit."""

from __future__ import annotations

from pathlib import Path

import pytest

import discovery
from discovery import cli
from discovery.cli import installed
from discovery.plugins.journal.files import FILE
from tests.cli.test_audit import NEW, line
from tests.plugins.journal.making import a_file

UNIT = Path(discovery.__file__).parent / "deploy" / "discovery.service"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's: what stands for /var/lib, /var/log and /etc is below. The working folder is another, and empty."""
    for name in ("DATA_DIR", "AUDIT_FILE"):
        monkeypatch.delenv(name, raising=False)
    here, etc = tmp_path / "here", tmp_path / "etc"
    here.mkdir()
    etc.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(installed, "UNIT", etc / "discovery.service")
    monkeypatch.setattr(installed, "_SPECIFIERS", {"%S": f"{tmp_path}/lib", "%L": f"{tmp_path}/log", "%%": "%"})
    return tmp_path


def install(root: Path) -> None:
    """The unit as `discovery unit` prints it, but for the place of its EnvironmentFile."""
    text = UNIT.read_text().replace("/etc/discovery.env", f"{root}/etc/discovery.env")
    (root / "etc" / "discovery.service").write_text(text)


def an_audit_log(file: Path) -> None:
    from discovery.plugins.audit.line import octets_of

    file.parent.mkdir(parents=True)
    file.write_bytes(octets_of(line(after=NEW)))


def test_those_of_the_unit_are_found_from_any_folder_and_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    a_file(root / "lib" / "discovery", 20)
    an_audit_log(root / "log" / "discovery" / "audit.jsonl")
    assert cli.main(["backup", "saved"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("saved: 20 instances")
    assert said.err == f"discovery: DATA_DIR is {root}/lib/discovery, as {root}/etc/discovery.service has it\n"
    assert cli.main(["restore", "saved"]) == 0
    assert capsys.readouterr().out.startswith(f"{root}/lib/discovery/{FILE}: 20 instances")
    assert cli.main(["audit"]) == 0
    said = capsys.readouterr()
    assert "ci at 10.0.0.9 register web" in said.out
    assert f"AUDIT_FILE is {root}/log/discovery/audit.jsonl" in said.err


def test_what_etc_discovery_env_and_drop_ins_say_wins_over_the_unit(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(root)
    (root / "etc" / "discovery.env").write_text('# ours\nDATA_DIR="state"\n')
    (root / "etc" / "discovery.service.d").mkdir()
    (root / "etc" / "discovery.service.d" / "override.conf").write_text(
        f"[Service]\nEnvironment=AUDIT_FILE={root}/other%%.jsonl \\\n  X=1\n"
    )
    a_file(root / "lib" / "discovery" / "state", 3)  # relative to the unit's WorkingDirectory
    (root / "other%.jsonl").write_bytes(b"")
    assert cli.main(["backup", "saved"]) == 0
    assert cli.main(["audit"]) == 0
    assert capsys.readouterr().out.startswith("saved: 3 instances")


@pytest.mark.parametrize("nearer", ["environment", ".env", "data"])
def test_what_is_nearer_wins_over_the_unit(root: Path, monkeypatch: pytest.MonkeyPatch, nearer: str) -> None:
    install(root)
    a_file(root / "lib" / "discovery", 20)
    a_file(root / "here" / "data", 1)
    if nearer == "environment":
        monkeypatch.setenv("DATA_DIR", "other")
    elif nearer == ".env":
        Path(".env").write_text("DATA_DIR=other\n")
    assert installed.given("DATA_DIR", None, "data") is None


def test_an_env_file_wins_and_its_paths_are_those_of_its_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    srv = root / "srv"
    a_file(srv / "data", 7)
    (srv / "server.env").write_text("PORT=3100\n")
    assert cli.main(["backup", "saved", "--env-file", f"{srv}/server.env"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("saved: 7 instances, 2 maintenance windows\n", "")
    assert cli.main(["audit", "--env-file", f"{srv}/server.env"]) == 2
    assert "AUDIT_FILE: is not set" in capsys.readouterr().err
    (srv / "server.env").write_text("DATA_DIR=\n")
    assert cli.main(["backup", "saved", "--env-file", f"{srv}/server.env"]) == 2
    assert "DATA_DIR: is empty" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["backup", "saved", "--env-file", "missing.env"]) == 2
    assert "missing.env: cannot be read: No such file" in capsys.readouterr().err


def test_without_a_unit_it_is_read_as_the_server_does(root: Path) -> None:
    assert installed.given("DATA_DIR", None, "data") is None
    assert installed.given("AUDIT_FILE", None) is None

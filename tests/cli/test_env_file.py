"""Where commands that read a server's files find its settings: `--env-file`, and /etc/discovery.env."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from discovery import cli
from discovery.cli import env_file
from tests.cli.test_audit import NEW, line
from tests.plugins.journal.making import a_file


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /etc/discovery.env. The working folder is another, and empty; the environment is as it was afterwards."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k not in ("DATA_DIR", "AUDIT_FILE")})
    file = tmp_path / "discovery.env"
    monkeypatch.setattr(env_file, "INSTALLED", file)
    a_file(tmp_path / "lib", 20)
    file.write_text(f'# ours\nDATA_DIR="{tmp_path}/lib"\nAUDIT_FILE={tmp_path}/audit.jsonl\n')
    return file


def test_the_files_of_an_installed_server_are_found_from_any_folder_and_the_file_is_named(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from discovery.plugins.audit.line import octets_of

    (installed.parent / "audit.jsonl").write_bytes(octets_of(line(after=NEW)))
    assert cli.main(["backup", "saved"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("saved: 20 instances")
    assert said.err == f"discovery: the settings of {installed} are used\n"
    assert cli.main(["audit"]) == 0
    assert "ci at 10.0.0.9 register web" in capsys.readouterr().out


@pytest.mark.parametrize("nearer", ["environment", ".env"])
def test_what_is_nearer_wins_over_the_installed_one(
    installed: Path, capsys: pytest.CaptureFixture[str], nearer: str
) -> None:
    a_file(Path("other"), 3)
    if nearer == "environment":
        os.environ["DATA_DIR"] = "other"
    else:
        Path(".env").write_text("DATA_DIR=other\n")
    assert cli.main(["backup", "saved"]) == 0
    assert capsys.readouterr().out.startswith("saved: 3 instances")


def test_a_file_that_is_named_wins_over_all(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.environ["DATA_DIR"] = "other"
    named = installed.parent / "server.env"
    named.write_text(f"DATA_DIR={installed.parent}/lib\n")
    assert cli.main(["backup", "saved", "--env-file", str(named)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "saved: 20 instances, 2 maintenance windows\n",
        f"discovery: the settings of {named} are used\n",
    )
    named.write_text("DATA_DIR=\n")
    assert cli.main(["backup", "saved", "--env-file", str(named)]) == 2
    assert "DATA_DIR: is empty" in capsys.readouterr().err


def test_a_named_file_that_cannot_be_read_is_an_error_and_a_missing_installation_is_none(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["backup", "saved", "--env-file", "missing.env"]) == 2
    assert "missing.env: cannot be read: No such file" in capsys.readouterr().err
    installed.unlink()
    a_file(Path("data"), 1)
    assert cli.main(["backup", "saved"]) == 0
    assert capsys.readouterr().err == ""


def test_serve_never_reads_it(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed.write_text("PORT=no-port\n")
    assert cli.main(["settings"]) == 0
    assert "no-port" not in capsys.readouterr().out

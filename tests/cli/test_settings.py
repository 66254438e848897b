"""`discovery settings`, and the flags that `serve` shares with it: what holds, and where it came from."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from discovery import cli
from discovery.cli.setting_list import names
from tests.cli.live import process
from tests.stories.process import running, running_command

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder: empty. No setting is set; what flags put into the environment goes with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {name: text for name, text in os.environ.items() if name.upper() not in names()})
    return tmp_path


def shown(capsys: Captured, *arguments: str) -> dict[str, dict[str, Any]]:
    assert cli.main(["settings", "-o", "json", *arguments]) == 0
    return {row["setting"]: row for row in json.loads(capsys.readouterr().out)}


def of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["value"], row["from"], row["default"]


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: Captured
) -> None:
    (folder / ".env").write_text("PORT=1\nDNS_PORT=2\nMAX_SERVICES=3\nLOG_LEVEL=\n")
    monkeypatch.setitem(os.environ, "PORT", "4")
    monkeypatch.setitem(os.environ, "DNS_PORT", "5")
    found = shown(capsys, "--port", "6", "--set", "max_instances=7")
    assert of(found["PORT"]) == ("6", "flag", "3100")
    assert of(found["DNS_PORT"]) == ("5", "environment", "8600")
    assert of(found["MAX_SERVICES"]) == ("3", ".env", "10000")
    assert of(found["MAX_INSTANCES"]) == ("7", "flag", "1000000")
    assert of(found["LOG_LEVEL"]) == ("info", "default", "info")


def test_each_flag_is_its_setting(capsys: Captured) -> None:
    found = shown(capsys, "--port", "1", "--dns-port", "2", "--data-dir", "", "--zones", "z", "--set", "NODE_ENV=x=y")
    values = {name: row["value"] for name, row in found.items() if row["from"] == "flag"}
    assert values == {"PORT": "1", "DNS_PORT": "2", "DATA_DIR": "", "ZONES_DIR": "z", "ENVIRONMENT": "x=y"}


def test_a_plugins_setting_says_whose_it_is(capsys: Captured) -> None:
    found = shown(capsys)
    assert (found["PORT"]["of"], found["FORWARD_TO"]["of"]) == ("server", "plugin forward")
    assert "Upstream" in found["FORWARD_TO"]["description"]


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml"])
def test_a_secret_is_only_set_or_not_set(monkeypatch: pytest.MonkeyPatch, capsys: Captured, output: str) -> None:
    assert of(shown(capsys)["API_TOKEN"]) == ("not set", "default", "not set")
    monkeypatch.setitem(os.environ, "API_TOKEN", "a secret of some length")
    assert of(shown(capsys)["API_TOKEN"]) == ("set", "environment", "not set")
    assert cli.main(["settings", "-o", output]) == 0
    assert "a secret" not in capsys.readouterr().out


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_password_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: Captured, output: str) -> None:
    monkeypatch.setitem(os.environ, "ENGINE_URL", "etcd://root:swordfish@10.0.0.1:2379")
    assert cli.main(["settings", "-o", output]) == 0
    out = capsys.readouterr().out
    assert "swordfish" not in out
    assert "10.0.0.1:2379" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "PRT=1"], "there is no setting PRT; did you mean PORT?"),
        (["--set", "zzzzzz=1"], "`discovery settings` lists them"),
        (["--set", "PORT"], "write NAME=VALUE"),
        (["--set", "PORT="], "PORT: has no value"),
        (["--port", "70000"], "PORT: "),
        (["--set", "LOG_LEVEL=loud"], "LOG_LEVEL: "),
    ],
)
@pytest.mark.parametrize("command", ["settings", "serve"])
def test_what_is_no_setting_or_no_value_ends_it_with_2(
    capsys: Captured, command: str, arguments: list[str], said: str
) -> None:
    assert cli.main([command, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_the_forms_hold_the_same(capsys: Captured) -> None:
    found = list(shown(capsys).values())
    assert cli.main(["settings", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == found
    assert cli.main(["settings", "-o", "name"]) == 0
    assert capsys.readouterr().out.split() == [row["setting"] for row in found]
    assert cli.main(["settings"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["SETTING", "FROM", "DEFAULT", "VALUE"]
    assert [line.split()[0] for line in lines] == [row["setting"] for row in found]


def test_the_server_serves_with_its_flags(tmp_path: Path) -> None:
    arguments = ["serve", "--port", "0", "--data-dir", str(tmp_path / "kept"), "--set", "DNS_DOMAIN=legacy.example"]
    with running_command(
        [sys.executable, "-m", "discovery", *arguments], tmp_path, {"PORT": 1, "DNS_DOMAIN": "svc.local"}
    ) as server:
        server.register("web")
        assert server.port != 1
        assert len(server.ask("web.legacy.example").answer) == 1
        assert (tmp_path / "kept" / "registry.db").exists()


def test_a_port_in_use_is_1_with_who_has_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        second = process("serve", "--port", str(server.port))
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.splitlines()[-1].startswith(f"discovery: Cannot listen on 127.0.0.1:{server.port}: ")
    assert f"in use by pid {server.process.pid} (" in second.stderr
    assert "Traceback" not in second.stderr

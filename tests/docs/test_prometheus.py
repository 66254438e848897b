"""docs/prometheus.md: its commands, run as they stand there, on the configuration that stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deploy.rules import ALERTS
from tests.programs import program

PAGE = (ALERTS.parents[1] / "docs" / "prometheus.md").read_text()


def commands(start: str) -> list[str]:
    return re.findall(rf"^\$ ({start} .*)$", PAGE, re.M)


def run(command: str, folder: Path) -> str:
    path = f"{Path(program('promtool')).parent}:{Path(sys.executable).parent}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env={"PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_configuration_and_the_rules(tmp_path: Path) -> None:
    [config] = re.findall(r"```yaml\n# prometheus\.yml\n(.*?)```", PAGE, re.S)
    (tmp_path / "prometheus.yml").write_text(config)
    (tmp_path / "discovery.token").write_text("secret")
    shutil.copy(ALERTS, tmp_path)
    assert len(commands("promtool")) == 2
    for command in commands("promtool"):
        assert "SUCCESS" in run(command, tmp_path)


def test_the_files_are_those_of_the_package(tmp_path: Path) -> None:
    assert len(commands("discovery")) == 2
    for command in commands("discovery"):
        run(command, tmp_path)
    for name in ("alerts.yml", "grafana.json"):
        assert (tmp_path / name).read_text() == ALERTS.with_name(name).read_text()

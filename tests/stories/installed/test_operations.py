"""A wheel of ours, installed with the commands of docs/operations.md, as they stand there, into an empty environment on a machine that
has nothing of us; run from folders far from the checkout, as its unit says, backed up, restored and upgraded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery.cli.deploy import FOLDER
from tests.stories.installed.machine import Machine, blocks, machine
from tests.stories.process import ROOT

PAGE = (FOLDER.parent / "docs" / "operations.md").read_text()
INSTALL, BEYOND = blocks(PAGE, "systemd")
BACKUP = blocks(PAGE, "Backup and restore")[0]
[UPGRADE] = blocks(PAGE, "Upgrade")
FAR_AWAY = Path("/")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        made.bash(INSTALL)
        yield made


def test_everything_is_in_the_wheel(installed: Machine) -> None:
    where = "import discovery, pathlib; print(pathlib.Path(discovery.__file__).parent)"
    package = installed.bash(f"/opt/discovery/bin/python -c {where!r}", FAR_AWAY).strip()
    assert package.startswith("/opt/discovery/lib/")
    files = installed.bash("find . -type f -not -path '*/__pycache__/*'", Path(package)).split()
    package_here = ROOT / "discovery"
    here = {path.relative_to(package_here) for path in package_here.rglob("*") if path.is_file()}
    assert set(map(Path, files)) == {path for path in here if "__pycache__" not in path.parts}
    assert Path("py.typed") in here


def test_its_commands_need_no_checkout(installed: Machine) -> None:
    assert "A service registry with two faces" in installed.bash("discovery --help", FAR_AWAY)
    assert installed.bash("discovery settings --example", FAR_AWAY) == (ROOT / ".env.example").read_text()
    assert installed.bash("discovery deploy kubernetes.yaml", FAR_AWAY) == (FOLDER / "kubernetes.yaml").read_text()


def test_it_serves_is_told_of_tokens_backed_up_restored_and_upgraded(installed: Machine) -> None:
    assert json.loads(installed.bash("curl -sf http://127.0.0.1:3100/health", FAR_AWAY))["status"] == "healthy"
    [secret] = re.findall(r"dsc_\S+", installed.bash(BEYOND, FAR_AWAY))
    assert "listening http://0.0.0.0:3100" in installed.log

    def register(name: str) -> None:
        body = json.dumps({"name": name, "ip": "10.0.0.1", "port": 80, "ttl": 600})
        head = f"-H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json'"
        installed.bash(f"curl -sSf {head} -d '{body}' http://10.0.0.1:3100/register", FAR_AWAY)

    def is_there(name: str) -> bool:
        return installed.bash(f"dig @10.0.0.1 -p 8600 +short {name}.svc.local", FAR_AWAY) == "10.0.0.1\n"

    register("web")
    said = installed.bash(BACKUP, FAR_AWAY)
    assert "/var/backups/discovery.db: 1 instances" in said
    assert "what was there before is in /var/lib/discovery/" in said
    assert is_there("web")
    register("api")
    assert "2 instances" in installed.bash(UPGRADE)
    assert is_there("web")
    assert is_there("api")
    assert "Traceback" not in installed.log

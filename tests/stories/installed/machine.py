"""A machine on which nobody has installed us: /etc, /opt and /var as they are, but what is written there is gone with the story.

Its network is its own, so that the default ports are free. pip is told to take the packages that we need from the tests' own, by
PYTHONPATH; nothing else of them is there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import program
from tests.stories.judges.namespace import isolated
from tests.stories.process import LIMIT, ROOT

_OVERLAY = """
set -e
for place in etc opt var; do
  mkdir -p $place/new $place/work
  mount -t overlay overlay -o lowerdir=/$place,upperdir=$PWD/$place/new,workdir=$PWD/$place/work /$place
done
mkdir -p /etc/systemd/system /var/lib /var/log /var/backups
"""


class Machine:
    """`log`: what the service wrote."""

    def __init__(self, folder: Path, prefix: list[str]) -> None:
        self.prefix = prefix
        self._folder = folder
        packages = sysconfig.get_path("purelib")
        programs = {Path(program(name)).parent: None for name in ("bash", "curl", "dig", "openssl")}
        self._environment = {
            "PATH": os.pathsep.join([f"{folder}/bin", "/opt/discovery/bin", *map(str, programs)]),
            "PYTHONPATH": packages,
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        (folder / "bin").mkdir()
        (folder / "bin" / "python3").symlink_to(os.path.realpath(sys.executable))
        command = [sys.executable, str(Path(__file__).with_name("systemctl.py")), str(folder)]
        (folder / "bin" / "systemctl").write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (folder / "bin" / "systemctl").chmod(0o755)

    def bash(self, commands: str, at: Path = ROOT, **environment: str) -> str:
        """What they print; they must succeed, each of them."""
        done = subprocess.run(
            [*self.prefix, program("bash"), "-euc", f"cd {shlex.quote(str(at))}\n{commands}"],
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=6 * LIMIT,
        )
        assert done.returncode == 0, (commands, done.stdout, done.stderr, self.log)
        return done.stdout

    @property
    def log(self) -> str:
        log = self._folder / "log"
        return log.read_text() if log.exists() else ""


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    with isolated(folder) as prefix:
        subprocess.run([*prefix, "sh", "-c", f"cd {shlex.quote(str(folder))}\n{_OVERLAY}"], check=True, timeout=LIMIT)
        made = Machine(folder, prefix)
        try:
            yield made
        finally:
            if (folder / "pid").exists():
                made.bash("systemctl stop discovery")


def blocks(page: str, heading: str) -> list[str]:
    """The shell commands below a heading of a page, block by block."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)

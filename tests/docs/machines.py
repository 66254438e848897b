"""Three machines in one network of their own, 10.0.0.1 to 10.0.0.3, for pages whose commands are run as they stand there, as root.

Linux namespaces: one network with nothing but `lo`, which has the three addresses, and a mount namespace for each machine, with an
/etc, a /var/lib, a /var/log and a /run of its own. `systemctl` is systemctl.py beside this file; `ssh ADDRESS COMMAND` runs it on
that machine. Nothing in there can reach the world, and nothing of the real machine is changed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.programs import program
from tests.stories.judges.namespace import isolated
from tests.stories.process import ROOT

ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
# Seconds that a block of a page may take on a busy machine.
LIMIT = 60.0
# What programs read there; all else of the real /etc is not shown.
_ETC = (
    "passwd", "group", "hosts", "services", "protocols", "ld.so.cache", "alternatives", "ssl/openssl.cnf", "resolv.conf",
)  # fmt: skip
_SETUP = """
set -e
mount --bind etc /etc
mount --bind lib /var/lib
mount --bind log /var/log
mount --bind run /run
echo ready
exec sleep infinity
"""


class Machine:
    """`enter`: a command before it runs there. `folder`: what is below it here."""

    def __init__(self, name: str, folder: Path, enter: list[str], path: str) -> None:
        self.name = name
        self.address = ADDRESSES[name]
        self.folder = folder
        self._enter = enter
        patient = {"ETCDCTL_COMMAND_TIMEOUT": "30s", "ETCDCTL_DIAL_TIMEOUT": "30s"}
        self._environment = {"PATH": path, "HOME": "/run", "LC_ALL": "C.UTF-8", **patient}

    def __call__(self, script: str, *, limit: float = LIMIT) -> str:
        """What it prints. The whole script must succeed, each command of it (`set -e`)."""
        done = subprocess.run(self.command("bash", "-ec", script), **self._how, timeout=limit, check=False)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}\n{self.logs}"
        return str(done.stdout)

    def start(self, script: str) -> subprocess.Popen[str]:
        """Goes on behind; whoever starts it ends it."""
        process: subprocess.Popen[str] = subprocess.Popen(
            self.command("bash", "-c", script), **self._how, start_new_session=True
        )  # type: ignore[call-overload]
        return process

    def command(self, *words: str) -> list[str]:
        return [*self._enter, *words]

    @property
    def _how(self) -> dict[str, object]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return {"env": self._environment, "text": True, **pipes}

    def log(self, service: str) -> str:
        file = self.folder / "log" / f"{service}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def logs(self) -> str:
        return "\n".join(f"{self.name} {name}: {self.log(name)[-1500:]}" for name in ("etcd", "discovery"))


@contextmanager
def three_machines(folder: Path) -> Iterator[dict[str, Machine]]:
    """By name. All that runs on them ends with this."""
    programs = _programs(folder / "bin")
    with isolated(folder) as network, ExitStack() as stack:
        more = "; ".join(f"ip address add {address}/32 dev lo" for address in list(ADDRESSES.values())[1:])
        subprocess.run([*network, "sh", "-c", f"PATH=$PATH:/usr/sbin:/sbin; {more}"], check=True)
        found = {}
        for name in ADDRESSES:
            own = folder / name
            _files(own)
            enter = stack.enter_context(_mounted(network, own))
            found[name] = Machine(name, own, enter, programs)
        (folder / "bin" / "ssh").write_text(_ssh(found))
        (folder / "bin" / "ssh").chmod(0o755)
        try:
            yield found
        finally:
            for machine in found.values():
                machine("systemctl kill discovery etcd")


def _programs(folder: Path) -> str:
    """A PATH with our `systemctl` before the real one, and every program that pages use."""
    folder.mkdir()
    (folder / "systemctl").write_text(
        f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("systemctl.py")} "$@"\n'
    )
    (folder / "systemctl").chmod(0o755)
    (folder / "runuser").write_text(
        '#!/bin/sh\nshift 3\nexec "$@"\n'
    )  # `runuser -u USER -- COMMAND`, where all is root's
    (folder / "runuser").chmod(0o755)
    if os.geteuid() != 0:  # in a user namespace there is no other group
        (folder / "chgrp").symlink_to("/bin/true")
    needed = ("bash", "curl", "dig", "etcd", "etcdctl", "openssl", "systemd-analyze")
    found = [str(folder), str(Path(sys.executable).parent), *(str(Path(program(name)).parent) for name in needed)]
    return os.pathsep.join(dict.fromkeys([*found, *os.environ["PATH"].split(os.pathsep), "/usr/sbin", "/sbin"]))


def _files(own: Path) -> None:
    for name in ("etc/default", "etc/systemd/system", "etc/ssl", "lib", "log", "run"):
        (own / name).mkdir(parents=True)
    for name in _ETC:
        real = Path("/etc") / name
        if real.is_dir():
            shutil.copytree(real, own / "etc" / name, symlinks=True)
        elif real.exists():
            shutil.copy(real, own / "etc" / name)


@contextmanager
def _mounted(network: list[str], own: Path) -> Iterator[list[str]]:
    """The prefix of commands on that machine. They begin in the checkout."""
    process = subprocess.Popen(
        [*network, "unshare", "--mount", "sh", "-c", f"cd {shlex.quote(str(own))}\n{_SETUP}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
            yield [program("nsenter"), "--target", str(process.pid), "--net", "--mount", f"--wd={ROOT}", *user]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _ssh(machines: dict[str, Machine]) -> str:
    """From one machine to another: in the same network, as the same user, it enters the other's mounts."""
    cases = []
    for machine in machines.values():
        target, pid = machine.command()[1:3]
        enter = shlex.join([program("nsenter"), target, pid, "--mount", f"--wd={ROOT}"])
        cases.append(f'{machine.address}) exec {enter} sh -c "$*";;')
    return "\n".join(["#!/bin/sh", "address=$1", "shift", "case $address in", *cases, "esac", ""])


def block(page: Path, heading: str, number: int = 0) -> str:
    """A ```bash block below that heading of the page."""
    section = re.split(r"^#{2,3} ", page.read_text(), flags=re.M)
    [text] = [each for each in section if each.partition("\n")[0] == heading]
    blocks: list[str] = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    return blocks[number]

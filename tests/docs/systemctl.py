"""`systemctl` of the machines of tests/docs/machines.py, where no systemd runs: start, stop, restart and kill of what the unit files say.

It reads what matters for that from the real units and their drop-ins (ExecStart, Environment, EnvironmentFile, LoadCredential,
StateDirectory, LogsDirectory, WorkingDirectory, Type=notify) with systemd's precedence; users, sandboxes and Restart= are
systemd's own, and `systemd-analyze verify` judges the files. Run with Python, by the name `systemctl` first in PATH.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

FOLDERS = [Path("/etc/systemd/system"), Path("/usr/lib/systemd/system")]
RUN, LOG = Path("/run"), Path("/var/log")
# Seconds until a unit with Type=notify must be ready.
LIMIT = 60.0


def main(verb: str, *arguments: str) -> None:
    names = [name.removesuffix(".service") for name in arguments if not name.startswith("-")]
    for name in names:
        if verb in ("stop", "restart") or (verb == "disable" and "--now" in arguments):
            end(name, signal.SIGTERM)
        if verb == "kill":
            end(name, signal.SIGKILL)
        if verb in ("start", "restart") or (verb == "enable" and "--now" in arguments):
            start(name, waits="--no-block" not in arguments)


def end(name: str, number: signal.Signals) -> None:
    file = RUN / f"{name}.pid"
    if not file.exists():
        return
    pid = int(file.read_text())
    file.unlink()
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + LIMIT
    while alive(pid):
        if time.monotonic() > deadline:
            sys.exit(f"{name} does not end")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """A zombie, whose parent has not asked for it, is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(name: str, *, waits: bool) -> None:
    unit = read(name)
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    for line in unit["Environment"]:
        environment |= dict(pair.split("=", 1) for pair in shlex.split(filled(line, name)))
    for path in unit["EnvironmentFile"]:
        environment |= variables(path)
    for line in unit["LoadCredential"]:
        id, _, path = line.partition(":")
        (RUN / "credentials" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, RUN / "credentials" / name / id)
    for directive, base in (("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")):
        for directory in unit[directive]:
            Path(base, directory).mkdir(parents=True, exist_ok=True)
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = RUN / f"{name}.notify"
    address.unlink(missing_ok=True)
    notices.bind(str(address))
    if waits and unit["Type"][-1:] == ["notify"]:
        environment["NOTIFY_SOCKET"] = str(address)
    with (LOG / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            shlex.split(filled(unit["ExecStart"][-1], name)), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=filled((unit["WorkingDirectory"] or ["/"])[-1], name), start_new_session=True,
        )  # fmt: skip
    (RUN / f"{name}.pid").write_text(str(process.pid))
    if "NOTIFY_SOCKET" in environment:
        until_ready(name, process, notices)


def until_ready(name: str, process: subprocess.Popen[bytes], notices: socket.socket) -> None:
    notices.settimeout(0.1)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{name} has ended with {process.returncode}:\n{(LOG / f'{name}.log').read_text()}")
        try:
            if b"READY=1" in notices.recv(4096):
                return
        except TimeoutError:
            pass
    sys.exit(f"{name} is not ready within {LIMIT:g} s")


def read(name: str) -> defaultdict[str, list[str]]:
    """The directives of [Service], drop-ins last."""
    file = next(folder / f"{name}.service" for folder in FOLDERS if (folder / f"{name}.service").exists())
    found = defaultdict[str, list[str]](list)
    for each in (file, *sorted((FOLDERS[0] / f"{name}.service.d").glob("*.conf"))):
        service = re.split(r"^\[(\w+)\]$", each.read_text(), flags=re.M)
        for section, text in zip(service[1::2], service[2::2], strict=True):
            if section == "Service":
                for directive, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
                    found[directive].append(value)
    return found


def variables(path: str) -> dict[str, str]:
    """systemd.exec(5), EnvironmentFile=: `-` before it when it may be missing."""
    file = Path(path.removeprefix("-"))
    if path.startswith("-") and not file.exists():
        return {}
    lines = (line.strip() for line in file.read_text().splitlines())
    return {
        name: "".join(shlex.split(value))
        for name, _, value in (line.partition("=") for line in lines if line and line[0] not in "#;")
    }


def filled(text: str, name: str) -> str:
    """systemd.unit(5), Specifiers."""
    known = {"S": "/var/lib", "L": "/var/log", "d": f"/run/credentials/{name}", "p": name, "%": "%"}
    return re.sub("%(.)", lambda found: known[found[1]], text)


if __name__ == "__main__":
    main(*sys.argv[1:])

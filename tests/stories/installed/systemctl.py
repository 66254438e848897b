"""What the pages ask of systemctl, without systemd: one service, started as its unit says, in this user's name.

`systemctl.py FOLDER COMMAND [--now] [discovery]`. FOLDER keeps the service's pid and its log. As with Type=notify, a start is over when the
service says that it is ready. What the unit forbids is another test's: tests/cli/test_deploy.py.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNIT = Path("/etc/systemd/system/discovery.service")
SPECIFIERS = {"%S": "/var/lib", "%L": "/var/log", "%d": "/run/credentials", "%%": "%"}
SOCKET = "tests/systemctl"  # of this network namespace
LIMIT = 60.0


def value(name: str) -> str:
    [text] = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)
    return re.sub("%[SLd%]", lambda found: SPECIFIERS[found[0]], text)


def environment() -> dict[str, str]:
    """The unit's, and what the tests' packages need."""
    pairs = shlex.split(value("Environment"))
    file = Path(value("EnvironmentFile").removeprefix("-"))
    if file.exists():
        pairs += [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH")} | dict(pair.split("=", 1) for pair in pairs)


def start(folder: Path) -> None:
    for name, parent in (("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")):
        Path(parent, value(name)).mkdir(mode=int(value(f"{name}Mode"), 8), exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, (folder / "log").open("a") as log:
        notified.bind(f"\0{SOCKET}")
        notified.settimeout(LIMIT)
        process = subprocess.Popen(
            shlex.split(value("ExecStart")),
            cwd=value("WorkingDirectory"),
            env=environment() | {"NOTIFY_SOCKET": f"@{SOCKET}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        assert notified.recv(4096) == b"READY=1"
    (folder / "pid").write_text(str(process.pid))


def stop(folder: Path) -> None:
    """The service is nobody's child here, so it is gone when its directory in /proc is, or when it is a zombie."""
    pid = int((folder / "pid").read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + LIMIT
    while runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def main(folder: Path, command: str) -> None:
    match command:
        case "daemon-reload":
            pass
        case "enable" | "start":
            start(folder)
        case "stop":
            stop(folder)
        case "restart":
            stop(folder)
            start(folder)
        case "reload":
            os.kill(int((folder / "pid").read_text()), signal.SIGHUP)
        case _:
            sys.exit(f"systemctl {command}: the pages do not have that")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

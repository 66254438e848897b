"""`discovery deploy`: every file of discovery/deploy as it lies there. `discovery unit`: a unit that systemd accepts and calls safe, with
the paths of this installation, and a server that works like that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery import cli
from discovery.cli.deploy import FILES, FOLDER, filled_in
from tests.cli.confined import NOBODY, STATE, confined
from tests.programs import program
from tests.stories.judges.namespace import Namespace
from tests.stories.process import LIMIT

TEMPLATE = (FOLDER / "discovery.service").read_text()
# systemd's own scale is 0 to 10; what is left is the network, which is what the program is for.
MAX_EXPOSURE = 1.5


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["unit"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in FILES if name != "discovery.service"])
def test_a_file_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy", name]) == 0
    assert capsys.readouterr().out == (FOLDER / name).read_text()


def test_the_unit_is_the_one_of_this_installation(printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy", "discovery.service"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("name", ["nothing", "../settings.py", ""])
def test_another_name_is_a_wrong_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy", name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "it is one of Dockerfile, " in said.err


def directives(text: str) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found[name].append(value)
    return found


def test_it_runs_this_installation(printed: str) -> None:
    found = directives(printed)
    assert found["ExecStart"] == [f"{sys.prefix}/bin/discovery serve"]
    assert "@" not in re.sub(r"@(system-service|privileged|resources)\b", "", printed)


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/opt/discovery", "/opt/discovery/bin/discovery serve"),
        ("/opt/my registry", '"/opt/my registry/bin/discovery" serve'),
        ('/opt/100%$"', '"/opt/100%%$$\\"/bin/discovery" serve'),
    ],
)
def test_no_path_breaks_the_command_line(prefix: str, command: str) -> None:
    assert directives(filled_in(TEMPLATE, Path(prefix)))["ExecStart"] == [command]


def test_an_installation_in_a_home_directory_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/zoe/discovery")
    assert cli.main(["unit"]) == 0
    captured = capsys.readouterr()
    assert "/home/zoe/discovery/bin/discovery serve" in captured.out
    assert "/home/zoe/discovery is in a home directory" in captured.err


def test_systemd_finds_nothing_wrong_with_it(printed: str, tmp_path: Path) -> None:
    file = tmp_path / "discovery.service"
    file.write_text(printed)
    done = analyze("verify", "--man=no", str(file))
    assert [line for line in done.stderr.splitlines() if "discovery.service" in line] == []
    assert done.returncode == 0


def test_systemd_calls_it_safe(printed: str, tmp_path: Path) -> None:
    file = tmp_path / "discovery.service"
    file.write_text(printed)
    threshold = f"--threshold={MAX_EXPOSURE * 10:g}"
    # Older ones count what the unit takes away in another way: 252 says 1.6.
    done = analyze("security", "--offline=yes", "--no-pager", threshold, str(file), at_least="257")
    level = re.search(r"Overall exposure level for discovery.service: ([0-9.]+)", done.stdout)
    assert level, done
    assert float(level[1]) <= MAX_EXPOSURE
    assert done.returncode == 0


def analyze(*arguments: str, at_least: str = "") -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze", at_least), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


def allowed_calls(text: str) -> set[str]:
    """What the unit's SystemCallFilter= lines leave, by systemd's own sets."""
    sets: dict[str, list[str]] = {}
    for line in analyze("syscall-filter", "--no-pager").stdout.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())

    def calls(name: str) -> set[str]:
        return {call for member in sets[name] for call in calls(member)} if name.startswith("@") else {name}

    allowed = calls("@default")
    for value in directives(text)["SystemCallFilter"]:
        named = {call for name in value.removeprefix("~").split() for call in calls(name)}
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    data, audit = f"{STATE}/data", f"{STATE}/audit.jsonl"
    folder, calls = tmp_path_factory.mktemp("unit"), "\n".join(sorted(allowed_calls(TEMPLATE)))
    with confined(folder, calls, PORT=80, DNS_PORT=53, DNS_HOST="localhost", DATA_DIR=data, AUDIT_FILE=audit) as inside:
        yield inside


def test_the_calls_are_restricted_as_the_unit_says() -> None:
    allowed = allowed_calls(TEMPLATE)
    assert {"read", "socket", "futex", "execve"} <= allowed
    assert allowed.isdisjoint({"mount", "ptrace", "reboot", "chroot", "setuid", "bpf", "init_module", "setpriority"})


def test_it_is_nobody_and_may_do_nothing_but_take_low_ports(inside: Namespace) -> None:
    status = Path(f"/proc/{inside.server.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    low_ports = f"{1 << 10:016x}"  # CAP_NET_BIND_SERVICE
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {low_ports}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert fields["Uid"].split() == [str(os.geteuid() or NOBODY)] * 4


@pytest.mark.parametrize("server", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_it_answers_on_port_53(inside: Namespace, server: str, transport: str) -> None:
    inside.register("web", "10.0.0.1", 3001)
    assert inside.run("dig", f"@{server}", transport, "+short", "web.svc.local").stdout == "10.0.0.1\n"


def test_it_answers_on_port_80_and_writes_what_it_must(inside: Namespace) -> None:
    inside.register("api", "10.0.0.2", 3002)
    assert inside.server.http == "http://127.0.0.1:80"
    assert inside.fetch("http://127.0.0.1/resolve/api")["instanceCount"] == 1
    state = inside.fetch("http://127.0.0.1/stats")
    assert state["journal"]["writable"]
    assert state["audit"]["writable"]
    log = "\n".join(inside.server.log)
    assert "Traceback" not in log
    assert "Permission" not in log
    assert "not permitted" not in log


# What the unit forbids, tried; each must fail with that error.
FORBIDDEN = """
import ctypes, errno, mmap, os, socket

def refused(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, (call, error)
    else:
        raise AssertionError(call)

refused(errno.EPERM, mmap.mmap, -1, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
refused(errno.EAFNOSUPPORT, socket.socket, 16, socket.SOCK_RAW)
refused(errno.EPERM, os.chroot, "/")
refused(errno.EPERM, os.setuid, 0)
refused(errno.EPERM, os.setpriority, os.PRIO_PROCESS, 0, 5)
refused(errno.EACCES, open, "/etc/shadow")
refused(errno.EACCES, open, "/etc/new", "w")
"""


def test_the_cage_it_works_in_is_one(inside: Namespace) -> None:
    process = inside.server.process
    assert isinstance(process, subprocess.Popen)
    command = process.args
    assert isinstance(command, list)
    cage = command[: command.index(sys.executable, command.index(sys.executable) + 1)]
    done = subprocess.run(
        [*cage, sys.executable, "-c", FORBIDDEN], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

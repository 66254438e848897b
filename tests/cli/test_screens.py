"""What a person sees: commands on a terminal of 80 and of 200 columns, and the same off a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from tests.cli.live import At, process
from tests.ports import free_port
from tests.stories.process import LIMIT, ROOT, Discovery, environment, running, until

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

# CSI sequences (ECMA-48), and what rich sends besides.
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
NASTY = "\x1b[2J\u202e[red]x[/red]:smile:"


class Screen(NamedTuple):
    raw: str
    status: int

    @property
    def lines(self) -> list[str]:
        return SEQUENCE.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n").splitlines()


class Terminal:
    """A command on a terminal of that size; `raw` is what it has sent so far. `program`: Python's arguments before the command's."""

    def __init__(
        self,
        columns: int,
        url: str,
        *arguments: str,
        program: Sequence[str] = ("-m", "discovery"),
        **more: str,
    ) -> None:
        self._main, side = os.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        env = {**environment(DISCOVERY_URL=url), "TERM": "xterm-256color", **more}
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=ROOT, env=env, stdin=side, stdout=side, stderr=side, start_new_session=True,
        )  # fmt: skip
        os.close(side)
        self.raw = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                octets = os.read(self._main, 65536)
            except OSError:  # nobody has the other side any more
                return
            if not octets:
                return
            self.raw += octets.decode(errors="replace")

    def end(self) -> Screen:
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        os.close(self._main)
        return Screen(self.raw, status)


def screen(columns: int, server: Discovery, *arguments: str, **more: str) -> Screen:
    return Terminal(columns, server.http, *arguments, **more).end()


# Commands one after the other in one process: to start takes far longer than they do.
_ALL_OF = """
import json, sys
from discovery import cli
for command in json.loads(sys.argv[1]):
    status = cli.main(command)
    print(f"== {status}", flush=True)
"""


def screens(columns: int, server: Discovery, commands: Sequence[Sequence[str]]) -> list[Screen]:
    """What each shows."""
    shown = Terminal(columns, server.http, json.dumps(commands), program=("-c", _ALL_OF)).end()
    assert shown.status == 0, shown.raw
    parts = re.split(r"== ([0-9]+)\r\n", shown.raw)
    return [Screen(raw, int(status)) for raw, status in zip(parts[0:-1:2], parts[1::2], strict=True)]


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, DNS_TTL_SECONDS=1) as server:
        server.register("user-service", ip="10.0.0.1", tags=["blue", "v2"], zone="eu-central", metadata={NASTY: NASTY})
        server.register("billing-and-invoices", ip="2001:db8:1:2::3", port=65535)
        server.register("drained", id="d1")
        server.request("PUT", "/instances/d1/drain")
        yield server


COMMANDS = [
    ["--help"],
    ["serve", "--help"],
    ["token", "new", "--help"],
    ["get", "services"],
    ["get", "instances"],
    ["get", "hosts"],
    ["get", "instance", "d1"],
    ["resolve", "user-service"],
    ["explain", "drained"],
    ["settings"],
    ["doctor", "--port", "0", "--dns-port", "0", "--zones", str(ROOT / "zones")],
]


def test_it_fits_80_columns_and_nothing_is_cut(server: Discovery) -> None:
    for command, shown in zip(COMMANDS, screens(80, server, COMMANDS), strict=True):
        assert shown.status == 0, (command, shown.raw)
        assert max(map(len, shown.lines)) <= 80, (command, shown.raw)
        assert "…" not in shown.raw, command


def test_long_lines_run_over_rather_than_lose_an_address(server: Discovery) -> None:
    shown = screen(80, server, "get", "instances", "-o", "wide")
    text = "".join(shown.lines)
    assert "[2001:db8:1:2::3]:65535" in text
    [found] = At(server.http)("get", "service", "billing-and-invoices", "-o", "name").out.split()
    assert found in text
    assert "…" not in text
    wide = screen(200, server, "get", "instances", "-o", "wide")
    assert max(map(len, wide.lines)) <= 200


def test_states_have_colours_on_a_terminal_alone(server: Discovery) -> None:
    shown = screen(80, server, "get", "instances")
    assert "\x1b[36mdraining" in shown.raw
    assert "\x1b[32mhealthy" in shown.raw
    assert "\x1b[32m" not in screen(80, server, "get", "instances", NO_COLOR="1").raw
    assert "\x1b" not in At(server.http)("get", "instances").out


def test_strangers_texts_are_text_on_a_terminal_too(server: Discovery) -> None:
    for shown in screens(200, server, [["get", "instances", "-o", output] for output in ("wide", "json", "yaml")]):
        text = re.sub(r"\s", "", "".join(shown.lines))
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x1b[2J" not in shown.raw
        assert "[red]x[/red]:smile:" in text


def test_a_drain_shows_a_bar_and_clears_it(server: Discovery) -> None:
    server.request("DELETE", "/instances/d1/drain")
    shown = screen(80, server, "drain", "d1")
    assert shown.status == 0
    assert "waiting for caches" in shown.raw
    assert "\x1b[2K" in shown.raw
    off = At(server.http)("drain", "d1")
    assert off.err == ""
    assert off.out.splitlines()[-1] == "safe to stop: no cache holds it any more"


def test_top_is_drawn_anew_until_ctrl_c_which_is_130(server: Discovery) -> None:
    terminal = Terminal(80, server.http, "top", "--every", "0.5")
    until(lambda: terminal.raw.count("the last 10 minutes") >= 2)
    terminal.process.send_signal(signal.SIGINT)
    shown = terminal.end()
    assert shown.status == 130
    assert "Traceback" not in shown.raw
    assert "\x1b[?1049l" in shown.raw, "the screen that was there before is back"
    assert "CHANGES" in shown.raw


def test_a_program_under_run_finds_no_input_on_a_terminal_instead_of_being_stopped_by_it(server: Discovery) -> None:
    port = str(free_port())
    reads = [sys.executable, "-c", "import sys; sys.exit(7 + len(sys.stdin.read()))"]
    shown = screen(80, server, "run", "--name", "reads", "--port", port, "--", *reads)
    assert shown.status == 7, shown.raw


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has it")
def test_an_output_that_cannot_be_written_is_1_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = process("settings", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "discovery: the output cannot be written: No space left on device\n"


def test_a_time_is_not_broken_in_the_middle_of_its_digits(server: Discovery) -> None:
    shown = screen(80, server, "explain", "user-service")
    assert len(re.findall(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b", shown.raw)) == 2, shown.raw
    assert len(re.findall(r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", shown.raw)) == 2, shown.raw

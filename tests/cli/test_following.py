"""`discovery events`, `watch` and `wait`: what they hear, when they end, and what they do while the server is away."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cli.live import At, Done
from tests.cli.test_screens import Terminal
from tests.client.servers import nobody
from tests.ports import free_port
from tests.stories.process import LIMIT, ROOT, Discovery, environment, running, until

NASTY = "\x1b[2J\u202e[red]x"


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        yield server


@pytest.fixture
def at(server: Discovery) -> Iterator[At]:
    """An empty registry."""
    yield At(server.http)
    server.request("POST", "/admin/clear")


class Background:
    """A command of this process, in a thread: what it has done when it has ended."""

    def __init__(self, at: At, *arguments: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "discovery", *arguments],
            cwd=ROOT, env=environment(**at.environment, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.err: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.err.extend(self.process.stderr)

    def said(self, text: str) -> bool:
        return text in "".join(self.err)

    def end(self) -> Done:
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return Done(status, out, "".join(self.err))


def index(server: Discovery) -> str:
    return server.request("GET", "/services").headers["X-Registry-Index"]


# -- events


def test_events_are_lines_as_they_happen(at: At, server: Discovery) -> None:
    listening = Background(at, "events", "-n", "3")
    until(lambda: listening.said("connected"))
    one = server.register("web", ip="2001:db8::1", port=80)["instance"]["id"]
    server.request("PUT", f"/instances/{one}/drain")
    server.request("DELETE", f"/instances/{one}")
    done = listening.end()
    assert done.status == 0
    forms = [re.sub(r"^20[0-9T:.-]+Z ", "", line) for line in done.out.splitlines()]
    assert [form.split(":")[0] for form in forms] == [
        "registered   web [2001", "draining     web [2001", "deregistered web [2001",
    ]  # fmt: skip
    assert "asked for by 127.0.0.1" in forms[1]


def test_events_of_the_past_come_first_in_every_form(at: At, server: Discovery) -> None:
    since = index(server)
    server.register("web", tags=["a", "b"], metadata={NASTY: NASTY})
    server.register("billing")
    events = ["events", "--since", since]
    assert [json.loads(line)["service"] for line in at(*events, "-n", "2", "-o", "json").out.splitlines()] == [
        "web",
        "billing",
    ]
    assert at(*events, "-n", "2", "-o", "name").out == "web\nbilling\n"
    assert at(*events, "-n", "1", "--service", "BILLING", "-o", "name").out == "billing\n"
    assert at(*events, "-n", "1", "--tag", "a", "--tag", "b", "-o", "name").out == "web\n"
    assert at(*events, "-n", "1", "--kind", "registered,expired", "-o", "yaml").out.startswith("---\nindex: ")
    assert re.search(r"\[id [0-9a-f-]{36}, index [0-9]+\]$", at(*events, "-n", "1", "-o", "wide").out)
    for output in ("table", "json", "yaml"):
        assert at(*events, "-n", "1", "-o", output).out.replace("\n", "").isprintable()


def test_of_a_past_that_is_forgotten_events_begin_with_what_is_still_known(at: At, server: Discovery) -> None:
    server.register("web")
    done = at("events", "--since", "1", "-n", "1", "-o", "name")
    assert (done.status, done.out.count("\n")) == (0, 1)
    assert "some of it is missing here: what is still known begins after index " in done.err


def test_a_filter_that_is_none_is_1(at: At) -> None:
    assert "kind" in at("events", "--kind", "nonsense").err
    assert at("events", "--kind", "nonsense").status == 1


def test_ctrl_c_ends_events_with_130_and_quietly(at: At) -> None:
    listening = Background(at, "events")
    until(lambda: listening.said("connected"))
    listening.process.send_signal(signal.SIGINT)
    done = listening.end()
    assert (done.status, done.out) == (130, "")
    assert done.err.count("\n") == 1


def test_events_go_on_after_a_restart() -> None:
    port = free_port()
    with running(PORT=port) as first:
        listening = Background(At(first.http), "events", "-n", "1")
        until(lambda: listening.said("connected"))
    until(lambda: listening.said("disconnected: "))
    with running(PORT=port) as second:
        until(lambda: "".join(listening.err).count("connected to") >= 2)
        second.register("web")
        done = listening.end()
    assert (done.status, len(done.out.splitlines())) == (0, 1)


# -- wait


def test_wait_returns_when_there_are_enough(at: At, server: Discovery) -> None:
    server.register("web", port=1)
    assert at("wait", "web") == (0, "web has 1 healthy instance\n", "")
    waiting = Background(at, "wait", "web", "--healthy", "2", "--timeout", "60s")
    time.sleep(0.3)  # not for a race: it should be found waiting
    assert waiting.process.poll() is None
    server.register("web", port=2)
    assert waiting.end() == (0, "web has 2 healthy instances\n", "")


def test_wait_waits_for_a_service_that_nobody_knows_yet(at: At, server: Discovery) -> None:
    waiting = Background(at, "wait", "new", "--timeout", "60s")
    time.sleep(0.3)
    server.register("new")
    assert waiting.end() == (0, "new has 1 healthy instance\n", "")


def test_wait_gives_up_with_1_when_its_time_is_over(at: At, server: Discovery) -> None:
    server.register("web", id="w")
    server.request("PUT", "/instances/w/drain")
    began = time.monotonic()
    assert at("wait", "web", "--timeout", "1500ms").said == "web has 0 of 1 healthy instances after 1.5 s"
    assert time.monotonic() - began > 1.4
    assert "0 of 3" in at("wait", "nix", "--healthy", "3", "--timeout", "0s").said


def test_only_those_that_the_filter_means_count(at: At, server: Discovery) -> None:
    server.register("web", tags=["blue"])
    assert at("wait", "web", "--tag", "blue", "--timeout", "60s").status == 0
    assert at("wait", "web", "--tag", "green", "--tag", "blue", "--timeout", "0.1s").status == 1
    assert at("wait", "web", "--tag", "green", "--timeout", "0.1s").status == 1


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    port = free_port()
    at = At(f"http://127.0.0.1:{port}")
    done = at("wait", "web", "--timeout", "0.2s")
    assert (done.status, done.out) == (1, "")
    assert "no registry answers" in done.err
    waiting = Background(at, "wait", "web", "--timeout", "60s")
    until(lambda: waiting.said("It is tried again"))
    with running(PORT=port) as second:
        second.register("web")
        assert waiting.end().status == 0


@pytest.mark.parametrize("arguments", [["--healthy", "0"], ["--timeout", "soon"], ["--timeout", "-1s"], []])
def test_wrong_arguments_of_wait_are_2(at: At, arguments: list[str]) -> None:
    assert at("wait", *(["web", *arguments] if arguments else [])).status == 2


# -- watch


def test_watch_prints_once_off_a_terminal(at: At, server: Discovery) -> None:
    server.register("web", port=1, tags=["a"])
    server.register("billing", port=2)
    assert [line.split()[0] for line in at("watch").out.splitlines()] == ["SERVICE", "billing", "web"]
    assert "127.0.0.1:1" in at("watch", "web").out
    assert at("watch", "web", "-o", "json").content["instances"][0]["port"] == 1
    assert [each["name"] for each in at("watch", "--tag", "a", "-o", "json").content] == ["web"]
    assert "no service nix" in at("watch", "nix").said


def test_watch_shows_changes_as_they_happen(at: At, server: Discovery) -> None:
    terminal = Terminal(80, server.http, "watch", "web")
    until(lambda: "connected to" in terminal.raw)
    one = server.register("web", port=1, metadata={NASTY: NASTY})["instance"]["id"]
    until(lambda: "127.0.0.1:1" in terminal.raw)
    server.request("PUT", "/services/web/maintenance", {"reason": NASTY, "seconds": 60})
    until(lambda: "maintenance: \\x1b[2J" in terminal.raw)
    server.request("DELETE", "/services/web/maintenance")
    server.request("DELETE", f"/instances/{one}")
    until(lambda: "deregistered web" in terminal.raw)
    terminal.process.send_signal(signal.SIGINT)
    shown = terminal.end()
    assert shown.status == 130
    assert "\u202e" not in shown.raw
    assert "Traceback" not in shown.raw


def test_watch_keeps_what_it_knows_while_the_server_is_away() -> None:
    with running() as server:
        server.register("web")
        terminal = Terminal(200, server.http, "watch")
        until(lambda: "connected to" in terminal.raw and "web" in terminal.raw)
    until(lambda: "disconnected: " in terminal.raw)
    until(lambda: "1 of 1" in terminal.raw[terminal.raw.index("disconnected: ") :])
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end().status == 130


def test_watch_ends_with_1_where_nobody_answers() -> None:
    shown = Terminal(80, nobody(), "watch").end()
    assert shown.status == 1
    assert "no registry answers" in "".join(shown.lines)

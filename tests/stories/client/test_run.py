"""`discovery run`: a legacy program that is killed in every way, and the registry that has to know it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from tests.ports import free_port
from tests.stories.process import LIMIT, ROOT, Discovery, environment, running, until

LEGACY = Path(__file__).with_name("legacy.py")
TOKEN = "a-token-of-the-tests"  # noqa: S105
# Short-lived DNS answers, which is what a drain waits for. Leases are long: who gets no core for seconds stays registered.
SHORT: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": 60, "DNS_TTL_SECONDS": 1, "BRAKE_PERCENT": 0}


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(**SHORT) as discovery:
        yield discovery


@pytest.fixture(scope="module")
def patient() -> Iterator[Discovery]:
    """DNS caches may keep its answers for an hour."""
    with running(DNS_TTL_SECONDS=3600) as discovery:
        yield discovery


class Run:
    """`discovery run` with a legacy program: the service is called `legacy-PORT`."""

    def __init__(self, url: str, mode: str = "plain", *options: str, port: int | None = None, **variables: str) -> None:
        self._is_anothers = port is not None
        self.port = port or free_port()
        self.name = f"legacy-{self.port}"
        command = [sys.executable, str(LEGACY), str(self.port), mode]
        self._said = TemporaryFile("w+")  # noqa: SIM115 - not a pipe, which a daemon would keep open
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "discovery",
                "run",
                "--name",
                self.name,
                "--port",
                str(self.port),
                *options,
                "--",
                *command,
            ],
            cwd=ROOT,
            env=environment(DISCOVERY_URL=url, **variables),
            stderr=self._said,
        )

    def get(self, path: str = "/") -> str | None:
        """What the program answers; None: nobody is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=LIMIT) as response:
                return str(response.read().decode())
        except (urllib.error.URLError, ConnectionError):
            return None

    @property
    def program(self) -> int:
        """The process that serves."""
        return int(until(self.get).split()[1])

    def ended(self) -> tuple[int, str]:
        """The exit status and what was said."""
        status = self.process.wait(LIMIT)
        return status, self.said

    @property
    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def close(self) -> None:
        """Nothing of it is left; what serves at another's port is that one's."""
        self.process.kill()
        self.process.wait(LIMIT)
        while not self._is_anothers and (answer := self.get()) is not None:
            os.kill(int(answer.split()[1]), signal.SIGKILL)
        self._said.close()

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)


@contextmanager
def run(server: Discovery | str, mode: str = "plain", *options: str, **more: Any) -> Iterator[Run]:
    started = Run(server if isinstance(server, str) else server.http, mode, *options, **more)
    try:
        yield started
    finally:
        started.close()


def resolved(server: Discovery, name: str) -> list[tuple[str, int]]:
    reply = server.request("GET", f"/resolve/{name}")
    return [(each["ip"], each["port"]) for each in reply.body.get("instances", ())]


def listed(server: Discovery, name: str) -> list[str]:
    """The status of each of its instances, served or not."""
    service = server.request("GET", "/services").body["services"].get(name, {"instances": []})
    return [each["status"] for each in service["instances"]]


def serving(server: Discovery, started: Run) -> None:
    until(lambda: resolved(server, started.name) == [("127.0.0.1", started.port)])


def test_sigterm_drains_then_ends_the_program_then_deregisters() -> None:
    """It drains for so long that it is seen to."""
    with running(**SHORT | {"DNS_TTL_SECONDS": 6}) as server, run(server) as started:
        serving(server, started)
        started.send(signal.SIGTERM)
        until(lambda: any(f" draining {started.name} " in line for line in server.log))
        assert started.get() is not None, "those who still have its address are served"
        status, said = started.ended()
        assert (status, started.get(), listed(server, started.name)) == (128 + signal.SIGTERM, None, [])
    steps = (
        "started",
        "is registered at 127.0.0.1",
        "told to end by SIGTERM: drained",
        "ended with status 143",
        "is deregistered",
    )
    assert all(step in line for step, line in zip(steps, said.splitlines(), strict=True)), said


def test_sigint_is_passed_on_as_sigint(server: Discovery) -> None:
    with run(server, "deaf") as started:
        serving(server, started)
        started.send(signal.SIGINT)
        status, said = started.ended()
    assert status == 128 + signal.SIGINT
    assert "told to end by SIGINT: drained" in said
    assert listed(server, started.name) == []


def test_a_program_that_is_killed_is_deregistered_at_once(server: Discovery) -> None:
    with run(server) as started:
        serving(server, started)
        os.kill(started.program, signal.SIGKILL)
        assert started.ended()[0] == 128 + signal.SIGKILL
    assert listed(server, started.name) == []


def test_a_program_that_ends_by_itself_gives_its_status(server: Discovery) -> None:
    with run(server) as started:
        serving(server, started)
        started.get("/exit")
        status, said = started.ended()
    assert (status, listed(server, started.name)) == (7, [])
    assert "ended by itself with status 7" in said


def test_when_run_itself_is_killed_the_lease_ends() -> None:
    with running(**SHORT | {"HEARTBEAT_TIMEOUT_SECONDS": 1}) as server, run(server) as started:
        serving(server, started)
        started.send(signal.SIGKILL)
        started.ended()
        assert started.get() is not None, "the program lives on, and nobody beats for it"
        until(lambda: resolved(server, started.name) == [])


def test_a_second_signal_ends_the_drain(patient: Discovery) -> None:
    with run(patient) as started:
        serving(patient, started)
        started.send(signal.SIGTERM)
        until(lambda: listed(patient, started.name) == ["draining"])
        started.send(signal.SIGTERM)
        assert started.ended()[0] == 128 + signal.SIGTERM


def test_the_drain_is_bounded(patient: Discovery) -> None:
    with run(patient, "plain", "--drain", "200ms") as started:
        serving(patient, started)
        started.send(signal.SIGTERM)
        assert started.ended()[0] == 128 + signal.SIGTERM


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(server: Discovery) -> None:
    with run(server, "deaf", "--drain", "0", "--grace", "200ms") as started:
        serving(server, started)
        started.send(signal.SIGTERM)
        status, said = started.ended()
        assert (status, started.get(), listed(server, started.name)) == (128 + signal.SIGKILL, None, [])
    assert "it is killed with all of its process group" in said


def test_other_signals_reach_the_program(server: Discovery) -> None:
    with run(server) as started:
        serving(server, started)
        started.send(signal.SIGHUP)
        until(lambda: "again" in (started.get() or ""))
        assert resolved(server, started.name) != []


def test_a_program_that_never_opens_its_port_is_not_registered_and_is_ended_after_the_timeout(
    server: Discovery,
) -> None:
    with run(server, "never", "--start-timeout", "500ms") as started:
        status, said = started.ended()
    assert status == 1
    assert f"port {started.port} did not answer within 0.5 s" in said
    assert "is registered at" not in said


def test_a_program_that_never_opens_its_port_ends_when_it_is_told_to(server: Discovery) -> None:
    with run(server, "never") as started:
        until(lambda: "started" in started.said)
        started.send(signal.SIGTERM)
        assert started.ended()[0] == 128 + signal.SIGTERM


def test_a_program_that_forks_into_the_background_is_ended_and_that_is_said(server: Discovery) -> None:
    with run(server, "forks") as started:
        status, said = started.ended()
        assert (status, started.get(), listed(server, started.name)) == (1, None, [])
    assert "gone into the background" in said
    assert "left processes behind" in said


def test_a_daemon_cannot_be_followed_and_that_is_said(server: Discovery) -> None:
    with run(server, "daemon") as started:
        status, said = started.ended()
        assert started.get() is not None, "it left our process group and session"
    assert (status, listed(server, started.name)) == (1, [])
    assert "gone into the background" in said


def test_a_port_that_somebody_has_already_is_an_error_before_anything_starts(server: Discovery) -> None:
    with run(server) as first:
        serving(server, first)
        with run(server, port=first.port) as second:
            status, said = second.ended()
        assert (status, "pid" in said) == (1, False)
        assert f"port {first.port} already answers" in said
        assert first.get() is not None, "the first serves on"
        assert resolved(server, first.name) != [], "the first is still registered"
        first.send(signal.SIGTERM)
        first.ended()


def test_a_registry_that_refuses_ends_it(server: Discovery) -> None:
    with running(API_TOKEN=TOKEN) as strict:
        with run(strict) as started:
            status, said = started.ended()
            assert (status, started.get()) == (1, None)
        with run(strict, DISCOVERY_TOKEN=TOKEN) as started:
            serving(strict, started)
    assert "DISCOVERY_TOKEN" in said


def test_an_address_that_is_given_is_registered_and_one_for_udp_at_once(server: Discovery) -> None:
    with run(server, "plain", "--ip", "192.0.2.7", "--probe", "127.0.0.1", "--tag", "blue", "--meta", "v=1") as started:
        until(lambda: resolved(server, started.name) == [("192.0.2.7", started.port)])
        instance = server.request("GET", f"/resolve/{started.name}").body["instances"][0]
        assert (instance["tags"], instance["metadata"]) == (["blue"], {"v": "1"})
    with run(server, "never", "--probe", "none", "--drain", "0") as started:
        serving(server, started)
        started.send(signal.SIGTERM)
        started.ended()


def test_it_survives_a_registry_that_is_away_at_first_and_one_that_starts_again_without_its_memory() -> None:
    port = free_port()
    with run(f"http://127.0.0.1:{port}") as started:
        assert started.program, "the program runs without a registry"
        for _ in range(2):
            with running(PORT=port, **SHORT) as registry:
                serving(registry, started)
        started.send(signal.SIGTERM)
        status, said = started.ended()
    assert status == 128 + signal.SIGTERM, said
    assert "not drained" in said
    assert "its lease ends by itself" in said


def test_what_cannot_be_started_is_127_or_126_as_from_a_shell(server: Discovery) -> None:
    for command, status in (("/nowhere/\x1b[2J", 127), (str(LEGACY), 126)):
        done = subprocess.run(
            [sys.executable, "-m", "discovery", "run", "--name", "none", "--port", str(free_port()), "--", command],
            cwd=ROOT, env=environment(DISCOVERY_URL=server.http), capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "cannot be started" in done.stderr
        assert "\x1b" not in done.stderr

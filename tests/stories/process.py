"""A `discovery serve` process for a story, and how to speak to it. Every wait is for a condition, with a limit."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dns.message
import dns.query
import dns.rdatatype

from tests.stories.nursery import Fork

ROOT = Path(__file__).parents[2]
# Seconds that anything may take before a story fails; far above what it does take.
LIMIT = 60.0


Process = subprocess.Popen[str] | Fork


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Discovery:
    """A running server. `output` is what it printed, `log` what it wrote to its log, both so far.

    `token`: the bearer token of all requests, where the server wants one.
    """

    token = ""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.output: list[str] = []
        self.log: list[str] = []
        self._readers = [_follow(process.stdout, self.output), _follow(process.stderr, self.log)]

    # -- where it listens

    @property
    def http(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._listening("http")

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self._listening("http")).port or 0

    @property
    def dns_port(self) -> int:
        return urllib.parse.urlsplit(self._listening("dns")).port or 0

    def _listening(self, scheme: str) -> str:
        return next(line.split()[1] for line in self.output if line.startswith(f"listening {scheme}://"))

    # -- speaking to it

    def request(self, method: str, path: str, body: Any = None) -> Reply:
        """An HTTP request with a JSON body (bytes are sent as they are)."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        request = urllib.request.Request(self.http + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as response:
                return Reply(response.status, json.loads(response.read() or b"null"), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, json.loads(error.read() or b"null"), dict(error.headers))

    def write(self, method: str, path: str, body: Any = None) -> Reply:
        """As `request`, and again while it is a 503: as every client does where an etcd that gets no core is late."""
        return until(lambda: (reply := self.request(method, path, body)).status != 503 and reply)  # type: ignore[no-any-return]

    def register(self, name: str, ip: str = "127.0.0.1", port: int = 3001, **fields: Any) -> Any:
        """The reply's body; the registration must succeed."""
        reply = self.write("POST", "/register", {"name": name, "ip": ip, "port": port, **fields})
        assert reply.status == 201, reply
        return reply.body

    def register_together(self, specs: Sequence[Mapping[str, Any]]) -> None:
        """Their leases begin at one instant, however slow the machine: whom the brake is to hold must fall silent together."""
        reply = self.request("POST", "/registrations", {"instances": specs})
        assert {each["status"] for each in reply.body["results"]} <= {200, 201}, reply

    def heartbeat(self, name: str, ip: str = "127.0.0.1", port: int = 3001) -> Reply:
        return self.request("POST", "/heartbeat", {"name": name, "ip": ip, "port": port})

    def ask(self, name: str, rtype: str = "A", **options: Any) -> dns.message.Message:
        """One query over UDP by dnspython; `options` are make_query's."""
        query = dns.message.make_query(name, dns.rdatatype.from_text(rtype), **options)
        return dns.query.udp(query, "127.0.0.1", port=self.dns_port, timeout=LIMIT)

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """The exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        status = self.process.wait(LIMIT)
        for reader in self._readers:
            reader.join(LIMIT)
        return status


@contextmanager
def running(cwd: Path = ROOT, prefix: Sequence[str] = (), **settings: str | int | float) -> Iterator[Discovery]:
    """The server with these settings (and none of the caller's environment) on free ports; it has printed `ready`.

    `prefix`: a command that starts it, such as `taskset -c 0`.
    """
    if prefix:
        with running_command([*prefix, sys.executable, "-m", "discovery"], cwd, settings) as server:
            yield server
    else:
        with _ready(Fork(cwd, environment(**settings))) as server:
            yield server


@contextmanager
def running_command(
    command: Sequence[str], cwd: Path, settings: Mapping[str, str | int | float]
) -> Iterator[Discovery]:
    """As `running`, for a command that starts another checkout's server, or serves in another way."""
    out: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with _ready(subprocess.Popen(command, cwd=cwd, env=environment(**settings), **out)) as server:
        yield server


@contextmanager
def _ready(process: Process) -> Iterator[Discovery]:
    server = Discovery(process)
    try:
        until(lambda: "ready" in server.output or process.poll() is not None)
        assert "ready" in server.output, "\n".join([*server.output, *server.log])
        yield server
    finally:
        if process.poll() is None:
            server.stop(signal.SIGKILL)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def environment(**settings: str | int | float) -> dict[str, str]:
    """For a server of the tests: free ports, the given settings, nothing else but what Python needs."""
    own = {
        "PORT": 0,
        "DNS_PORT": 0,
        "ZONES_DIR": str(ROOT / "zones"),
        "DATA_DIR": "",
        "PYTHONWARNINGS": "error",
        **settings,
    }
    kept = {name: value for name, value in os.environ.items() if re.match("PATH$|HOME$|LANG|LC_|PYTHON", name)}
    return kept | {name: str(value) for name, value in own.items()}


def until(condition: Callable[[], Any], limit: float = LIMIT) -> Any:
    """Waits until the condition is true and returns what it gave; fails after `limit` seconds. To ask takes half of the time at most: what
    is asked by a program would keep a core busy; and who has waited for long is not asked a hundred times a second.
    """
    began = asked = time.monotonic()
    deadline = began + limit
    while not (result := condition()):
        now = time.monotonic()
        assert now < deadline, "the condition did not come true in time"
        time.sleep(max(0.01, now - asked, min(0.1, (now - began) / 20)))
        asked = time.monotonic()
    return result


def _follow(pipe: Any, lines: list[str]) -> threading.Thread:
    def read() -> None:
        lines.extend(line.rstrip("\n") for line in pipe)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread

"""Caddy with the configuration of docs/proxies.md: upstreams from SRV, whose names it looks up at our server too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import discovery
from tests.ports import free_port
from tests.stories.judges.backends import backend, get
from tests.stories.judges.daemon import Daemon, answers_tcp, daemon
from tests.stories.process import Discovery, running

PAGE = (Path(discovery.__file__).parent / "docs" / "proxies.md").read_text()
# It neither answers administrators nor writes to the home directory.
_OPTIONS = "{{\n  admin off\n  auto_https off\n  storage file_system {folder}/storage\n}}\n"
FIRST, SECOND = "127.0.0.2", "127.0.0.3"


class Caddy:
    """`ports`: of the services behind it, by address."""

    def __init__(self, server: Discovery, running: Daemon, url: str, ports: dict[str, int]) -> None:
        self.server = server
        self.ports = ports
        self._running = running
        self._url = url

    def leads_to(self, *ips: str) -> None:
        """In time."""
        expected = {(200, f"{ip}:{self.ports[ip]}") for ip in ips} or {(503, "")}
        self._running.until(lambda: {get(self._url) for _ in range(12)} == expected)


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[Caddy]:
    """With the page's configuration, but that it asks every second."""
    [config] = re.findall(r"```caddyfile\n(.*?)```", PAGE, re.S)
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, CLEANUP_INTERVAL_SECONDS=60) as server, ExitStack() as stack:
        ports = {ip: stack.enter_context(backend(ip)) for ip in (FIRST, SECOND)}
        front = free_port()
        assert config.count("refresh 5s") == 1
        config = config.replace("refresh 5s", "refresh 1s")
        config = config.replace(":8600", f":{server.dns_port}").replace(":8080", f":{front}")
        (tmp_path / "Caddyfile").write_text(_OPTIONS.format(folder=tmp_path) + config)
        arguments = ("run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile"))
        process = stack.enter_context(daemon("caddy", *arguments, folder=tmp_path))
        process.until(lambda: answers_tcp(front))
        yield Caddy(server, process, f"http://127.0.0.1:{front}/", ports)


def test_caddy_follows_registrations_deregistrations_and_deaths(caddy: Caddy) -> None:
    caddy.leads_to()
    caddy.server.register("user-service", FIRST, caddy.ports[FIRST])
    caddy.leads_to(FIRST)
    caddy.server.register("user-service", SECOND, caddy.ports[SECOND])
    caddy.leads_to(FIRST, SECOND)
    caddy.server.register("user-service", SECOND, caddy.ports[SECOND], ttl=1)
    caddy.leads_to(FIRST)
    gone = f"/services/user-service/instances?ip={FIRST}&port={caddy.ports[FIRST]}"
    assert caddy.server.request("DELETE", gone).status == 200
    caddy.leads_to()

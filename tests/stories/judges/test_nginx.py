"""nginx with `resolver` and a `proxy_pass` of a variable: it asks us at run time and follows what we answer.

It knows A and AAAA; the port stands in its configuration. SRV (`server NAME service=http resolve` in an upstream) came to the
open-source nginx with 1.27.3; Debian 13 has 1.26.3, which refuses that line, so there is no story of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.stories.judges.backends import backend, get
from tests.stories.judges.daemon import Daemon, answers_tcp, daemon
from tests.stories.process import Discovery, running

_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  resolver 127.0.0.1:{dns}{valid};
  resolver_timeout 5s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      set $up user-service.svc.local;
      proxy_pass http://$up:{backend};
    }}
    location /port/ {{
      set $up p{backend}.user-service.svc.local;
      proxy_pass http://$up:{backend};
    }}
    location /consul/ {{
      set $up user-service.service.consul;
      proxy_pass http://$up:{backend};
    }}
  }}
}}
"""
# The same port on each, as nginx's configuration has it. The last one is taken; none of the services is there.
FIRST, SECOND, ELSEWHERE = "127.0.0.2", "127.0.0.3", "127.0.0.4"


class Nginx:
    """`backend`: the port of the services behind it."""

    def __init__(self, server: Discovery, running: Daemon, port: int, backend: int) -> None:
        self.server = server
        self.backend = backend
        self._running = running
        self._url = f"http://127.0.0.1:{port}"

    def register(self, ip: str, **fields: Any) -> None:
        self.server.register("user-service", ip, self.backend, **fields)

    def leads_to(self, *ips: str, path: str = "/") -> None:
        """In time, and then it stays so."""
        expected = {(200, f"{ip}:{self.backend}") for ip in ips} or {(502, "")}
        self._running.until(lambda: {get(self._url + path) for _ in range(12)} == expected)


@pytest.fixture(params=[pytest.param(" valid=1s", id="valid=1s"), pytest.param("", id="our TTL")])
def nginx(request: Any, tmp_path: Path) -> Iterator[Nginx]:
    """`valid` set, it asks again after that long; else when our TTL is over."""
    with (
        running(HEARTBEAT_TIMEOUT_SECONDS=600, CLEANUP_INTERVAL_SECONDS=60, DNS_TTL_SECONDS=1, CONSUL="true") as server,
        ExitStack() as stack,
    ):
        services = stack.enter_context(backend(FIRST))
        stack.enter_context(backend(SECOND, services))
        port = free_port()
        config = tmp_path / "nginx.conf"
        config.write_text(
            _CONFIG.format(folder=tmp_path, dns=server.dns_port, valid=request.param, port=port, backend=services)
        )
        arguments = ("-p", str(tmp_path), "-e", "stderr", "-c", str(config))
        process = stack.enter_context(daemon("nginx", *arguments, folder=tmp_path))
        process.until(lambda: answers_tcp(port))
        yield Nginx(server, process, port, services)


def test_nginx_follows_registrations_deregistrations_and_deaths(nginx: Nginx) -> None:
    nginx.leads_to()
    nginx.register(FIRST)
    nginx.leads_to(FIRST)
    nginx.register(SECOND)
    nginx.leads_to(FIRST, SECOND)
    nginx.register(SECOND, ttl=1)
    nginx.leads_to(FIRST)
    nginx.leads_to(FIRST, path="/consul/")
    removed = nginx.server.request("DELETE", f"/services/user-service/instances?ip={FIRST}&port={nginx.backend}")
    assert removed.status == 200
    nginx.leads_to()


def test_the_name_of_a_port_keeps_nginx_from_instances_at_other_ports(nginx: Nginx) -> None:
    nginx.register(FIRST)
    nginx.server.register("user-service", ELSEWHERE, nginx.backend - 1)
    nginx.leads_to(FIRST, path="/port/")

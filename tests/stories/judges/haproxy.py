"""HAProxy whose backend is filled from our SRV records, and which checks the registry itself; what it thinks of each server is read
from its statistics page.
"""

from __future__ import annotations

import csv
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stories.judges.daemon import Daemon, answers_tcp, daemon, free_port
from tests.stories.process import LIMIT

_CONFIG = """
global
  nbthread 1
  stats timeout 5s
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
resolvers discovery
  nameserver us 127.0.0.1:{dns}
  accepted_payload_size 1232
  resolve_retries 2
  timeout resolve 200ms
  timeout retry 1s
  hold valid 200ms
  hold obsolete 0s
  hold nx 0s
  hold other 0s
  hold refused 10s
  hold timeout 10s
frontend in
  bind 127.0.0.1:{port}
  stats enable
  stats uri /haproxy-stats
  stats show-legends
  default_backend web
backend web
  balance roundrobin
  server-template srv {slots} _web._tcp.svc.local resolvers discovery resolve-prefer ipv4 init-addr none
backend registry
  option httpchk
  server bare 127.0.0.1:{http} check inter 100ms
"""
SLOTS = 5


class HAProxy:
    def __init__(self, running: Daemon, port: int) -> None:
        self.running = running
        self.url = f"http://127.0.0.1:{port}/"

    def checked(self) -> str:
        """What its check of the registry itself, a bare `option httpchk`, came to: `L7OK 200`, if all is well."""
        [row] = [row for row in self._rows() if (row["pxname"], row["svname"]) == ("registry", "bare")]
        return f"{row['check_status'].lstrip('* ')} {row['check_code']}"

    def _rows(self) -> list[dict[str, str]]:
        with urllib.request.urlopen(f"{self.url}haproxy-stats;csv", timeout=LIMIT) as response:
            return list(csv.DictReader(response.read().decode().removeprefix("# ").splitlines()))

    def up(self) -> set[str]:
        """`IP:PORT` of the servers that it sends requests to."""
        servers = [row for row in self._rows() if row["pxname"] == "web" and row["svname"].startswith("srv")]
        assert len(servers) == SLOTS
        return {row["addr"] for row in servers if not row["status"].startswith("MAINT")}


@contextmanager
def haproxy(dns: int, http: int, folder: Path) -> Iterator[HAProxy]:
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_CONFIG.format(dns=dns, http=http, port=port, slots=SLOTS))
    with daemon("haproxy", "-db", "-f", str(config), folder=folder) as running:
        running.until(lambda: answers_tcp(port))
        yield HAProxy(running, port)

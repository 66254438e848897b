"""HAProxy whose backend is filled from our SRV records by the lines of docs/proxies.md, and which checks the registry itself; what it
thinks of each server is read from its statistics page.
"""

from __future__ import annotations

import csv
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import discovery
from tests.ports import free_port
from tests.stories.judges.daemon import Daemon, answers_tcp, daemon
from tests.stories.process import LIMIT

PAGE = Path(discovery.__file__).parent / "docs" / "proxies.md"
# Its statistics, and a check of the registry itself, beside what the page says.
_MORE = """
  stats enable
  stats uri /haproxy-stats
  stats show-legends
"""
_REGISTRY = """
backend registry
  option httpchk
  server bare 127.0.0.1:{http} check inter 100ms
"""
TCP, UDP = "tcp@", ""


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
        servers = [row for row in self._rows() if row["pxname"] == "users" and row["svname"].startswith("user")]
        return {row["addr"] for row in servers if not row["status"].startswith("MAINT")}


@contextmanager
def haproxy(
    dns: int, http: int, folder: Path, way: str = TCP, names: str = "._tcp.svc.local", size: int = 1232
) -> Iterator[HAProxy]:
    """With the page's lines; over UDP with `size` as the largest answer. `names`: how those of services end."""
    port = free_port()
    lines = PAGE.read_text().partition("```haproxy\n")[2].partition("```")[0]
    for theirs, ours in {
        "tcp@127.0.0.1:8600": f"{way}127.0.0.1:{dns}",
        "65535": "65535" if way == TCP else str(size),
        "bind 127.0.0.1:8080\n": f"bind 127.0.0.1:{port}{_MORE}",
        "user 30 _user-service._tcp.svc.local": f"user 100 _web{names}",
    }.items():
        assert theirs in lines
        lines = lines.replace(theirs, ours)
    config = folder / "haproxy.cfg"
    config.write_text(lines + _REGISTRY.format(http=http))
    with daemon("haproxy", "-db", "-f", str(config), folder=folder) as running:
        running.until(lambda: answers_tcp(port))
        yield HAProxy(running, port)

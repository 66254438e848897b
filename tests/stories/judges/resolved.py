"""systemd-resolved with the lines of docs/legacy-hosts.md, in a network of its own, as the resolver that /etc/resolv.conf names."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import UNPACKED
from tests.stories.judges.daemon import daemon
from tests.stories.judges.namespace import Namespace, isolated
from tests.stories.process import LIMIT, ROOT, running

# It asks nobody while no link but lo is up. Its user is not there where it is not installed, and neither is its configuration.
_SETUP = """
set -e
ip link add uplink type veth peer name far
ip address add 192.0.2.2/24 dev uplink
ip link set uplink up
ip link set far up
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/netif/links
number=$(ip -oneline link show uplink | cut -d: -f1)
printf 'ADMIN_STATE=configured\nOPER_STATE=routable\nDNS=192.0.2.2\n' >/run/systemd/netif/links/$number
mount -t tmpfs tmpfs /etc/systemd
mkdir /etc/systemd/resolved.conf.d
cp resolved.conf /etc/systemd/resolved.conf.d/discovery.conf
grep -v ^systemd-resolve: /etc/passwd >passwd
echo systemd-resolve:x:996:996::/:/usr/sbin/nologin >>passwd
mount --bind passwd /etc/passwd
"""
STUB = "127.0.0.53"
# The name server that the uplink came with, as by DHCP, knows one name.
ELSEWHERE = "192.0.2.80"
_DNSMASQ = (
    *(
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=",
        "--no-resolv",
        "--no-hosts",
        "--port=53",
    ),
    *("--bind-interfaces", "--listen-address=192.0.2.2", f"--address=/example.com/{ELSEWHERE}"),
)


@contextmanager
def resolved(folder: Path, lines: str) -> Iterator[Namespace]:
    """`lines`: its configuration. The server is at the ports of its own defaults."""
    with isolated(folder) as prefix, running(ROOT, prefix, PORT=3100, DNS_PORT=8600) as server:
        (folder / "resolved.conf").write_text(lines)
        (folder / "resolv.conf").write_text(f"nameserver {STUB}\n")  # what is mounted over /etc/resolv.conf
        setup = [*prefix, "sh", "-c", f"cd {shlex.quote(str(folder))}\n{_SETUP}"]
        path = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        subprocess.run(setup, check=True, timeout=LIMIT, env={**os.environ, **path})
        inside = Namespace(prefix, server)
        libraries = ["env", f"LD_LIBRARY_PATH={UNPACKED}/usr/lib/x86_64-linux-gnu/systemd"]
        with (
            daemon("dnsmasq", *_DNSMASQ, folder=folder, prefix=prefix),
            daemon("systemd-resolved", folder=folder, prefix=[*prefix, *libraries]) as running_one,
        ):
            ask = ("dig", f"@{STUB}", "+tries=1", "+time=1", "localhost")
            running_one.until(lambda: inside.run(*ask, check=False).returncode == 0)
            yield inside

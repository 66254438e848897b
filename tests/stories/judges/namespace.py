"""A network of its own, with our server at 127.0.0.1:53 as its only resolver, for programs that ask whom /etc/resolv.conf names.

Linux namespaces: a network with nothing but `lo`, and a mount where /etc/resolv.conf and /etc/nsswitch.conf are the story's.
Nothing in it can reach the world. Root may make one; others by way of a user namespace, where the machine allows that.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program
from tests.stories.process import LIMIT, ROOT, Discovery, running

# More than loopback addresses: getaddrinfo's AI_ADDRCONFIG leaves out a family of which the machine has no other (RFC 3493 §6.1).
_SETUP = """
set -e
ip link set lo up
ip address add 10.0.0.1/32 dev lo
ip address add 2001:db8::1/128 dev lo
mount --bind resolv.conf /etc/resolv.conf
mount --bind nsswitch.conf /etc/nsswitch.conf
echo ready
exec sleep infinity
"""
_RESOLV_CONF = "nameserver 127.0.0.1\nsearch svc.local\noptions ndots:1 timeout:5 attempts:1\n"
_NSSWITCH_CONF = "hosts: files dns\n"  # mdns, where it stands before dns, would keep all of .local for itself


class Namespace:
    """`prefix`: a command before it runs in the namespace. `server`: the server in there, at 127.0.0.1:53 (HTTP at `http`)."""

    def __init__(self, prefix: list[str], server: Discovery) -> None:
        self.prefix = prefix
        self.server = server

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs it to its end in there; `command[0]` stands in programs.tsv."""
        path = program(command[0])
        done = subprocess.run(
            [*self.prefix, path, *command[1:]], capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert done.returncode == 0 or not check, (command, done)
        return done

    def fetch(self, url: str, *options: str) -> Any:
        """The JSON that is there; the status must be 2xx or 3xx, if need be at another try: an etcd that gets no core is late."""
        return json.loads(self.run("curl", "-sSf", "--retry", "30", "--retry-delay", "1", *options, url).stdout)

    def register(self, name: str, ip: str, port: int, **fields: Any) -> None:
        body = json.dumps({"name": name, "ip": ip, "port": port, **fields})
        self.fetch(f"{self.server.http}/register", "-H", "Content-Type: application/json", "-d", body)

    def deregister(self, name: str, ip: str, port: int) -> None:
        self.fetch(f"{self.server.http}/services/{name}/instances?ip={ip}&port={port}", "-X", "DELETE")


@contextmanager
def namespace(folder: Path, **settings: int) -> Iterator[Namespace]:
    """With a server of these settings in it."""
    with isolated(folder) as prefix, running(ROOT, prefix, DNS_PORT=53, **settings) as server:
        yield Namespace(prefix, server)


@contextmanager
def isolated(folder: Path) -> Iterator[list[str]]:
    """An empty one: the prefix of commands that run in it."""
    (folder / "resolv.conf").write_text(_RESOLV_CONF)
    (folder / "nsswitch.conf").write_text(_NSSWITCH_CONF)
    root = os.geteuid() == 0
    program("ip")
    process = subprocess.Popen(
        [program("unshare"), "--net", "--mount", *([] if root else ["--map-root-user"]), "sh", "-c", _SETUP],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                _cannot(process.communicate(timeout=LIMIT)[1])
            entry = ["--target", str(process.pid), "--net", "--mount", f"--wd={ROOT}"]
            yield [program("nsenter"), *entry, *([] if root else ["--user", "--preserve-credentials"])]
        finally:
            process.kill()


def _cannot(why: str) -> None:
    """Like a program that is missing: fails in CI, skips elsewhere."""
    text = (
        f"no network namespace can be made here: {why.strip()}; run as root, or let others make user namespaces "
        "(Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
    )
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)

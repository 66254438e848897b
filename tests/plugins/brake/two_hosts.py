"""Two hosts in networks of their own with a cable between: the registry's, and one whose firewall does with each address what a test says.

Linux namespaces, as in `judges.namespace`; nothing in there can reach the world.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import program
from tests.stories.judges.namespace import isolated

HERE, THERE = "10.1.0.1", "10.1.0.2"
HERE6, THERE6 = "fd01::1", "fd01::2"
# More of the other host's.
_MORE = tuple(f"10.1.0.{number}" for number in range(3, 10))
_MORE6 = tuple(f"fd01::{number}" for number in range(3, 10))


class Hosts:
    """`here`, `there`: a command before it runs on that host."""

    def __init__(self, here: list[str], there: list[str]) -> None:
        self.here = here
        self.there = there

    def firewall(self, *rule: str) -> None:
        """What iptables takes, of the other host."""
        name = "ip6tables" if any("fd01:" in word for word in rule) else "iptables"
        _run([*self.there, program(name), *rule])


@contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    with isolated(folder) as here:
        process = subprocess.Popen(
            [*here, program("unshare"), "--net", "sh", "-c", "echo ready; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                there = [*here, program("nsenter"), "--target", str(process.pid), "--net"]
                ip = program("ip")
                _run(
                    [
                        *here,
                        ip,
                        "link",
                        "add",
                        "here",
                        "type",
                        "veth",
                        "peer",
                        "name",
                        "there",
                        "netns",
                        str(process.pid),
                    ]
                )
                for host, name, addresses in (
                    (here, "here", (HERE, HERE6)),
                    (there, "there", (THERE, THERE6, *_MORE, *_MORE6)),
                ):
                    for address in addresses:
                        length = "64" if ":" in address else "24"
                        how = ["nodad"] if ":" in address else []
                        _run([*host, ip, "address", "add", f"{address}/{length}", "dev", name, *how])
                    _run([*host, ip, "link", "set", "lo", "up"])
                    _run([*host, ip, "link", "set", name, "up"])
                yield Hosts(here, there)
            finally:
                process.kill()


def _run(command: list[str]) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)

"""slowhttptest, which nobody here wrote: a thousand connections that send or read as slowly as they may, beside 200 that beat.

The figures are of a machine that server, attacker and bystanders share: `pytest -s` shows them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.programs import program
from tests.stories.attack.bystanders import LEASE, MIB, NAME, watching
from tests.stories.attack.prober import probing
from tests.stories.process import Discovery, running

CONNECTIONS = 1000
# Seconds, connections a second, and what else is said to it. A head may take 10 s. What slow readers ask for has to be made first,
# so they come more slowly than the others.
ATTACKS = {
    "slow head": (12, 500, ["-H", "-u", "{}/services", "-i", "2", "-x", "24"]),
    "slow body": (8, 500, ["-B", "-u", "{}/register", "-f", "application/json", "-s", "8192", "-i", "2", "-x", "10"]),
    "slow read": (8, 200, ["-X", "-u", "{}/services", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"]),
}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=LEASE, LOG_LEVEL="warning") as server:
        yield server
        assert "Traceback" not in "\n".join(server.log)


def attack(server: Discovery, seconds: int, rate: int, options: list[str]) -> str:
    """What slowhttptest says of it at the end."""
    command = [program("slowhttptest"), "-c", str(CONNECTIONS), "-r", str(rate), "-l", str(seconds), "-p", "3"]
    command += [option.format(server.http) for option in options]
    # Each connection is a file; the usual soft limit is 1,024. An attacker has a processor of its own: this one takes what is left over.
    shell = ["sh", "-c", 'ulimit -n "$(ulimit -H -n)"; exec nice -n 19 "$@"', "sh"]
    done = subprocess.run([*shell, *command], capture_output=True, text=True, timeout=60, check=False)
    said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout)
    assert done.returncode == 0, said[-2000:] + done.stderr
    return said[said.rindex("slow HTTP test status") :]


@pytest.mark.parametrize(("seconds", "rate", "options"), ATTACKS.values(), ids=ATTACKS)
def test_a_thousand_slow_connections_are_not_noticed(
    server: Discovery, seconds: int, rate: int, options: list[str], request: pytest.FixtureRequest
) -> None:
    with watching(server) as bystanders:
        with probing(server.dns_port, NAME) as dns:
            said = attack(server, seconds, rate, options)
        print(f"{request.node.callspec.id}: {bystanders}. {dns}\n{' '.join(said.split())}")
        beats, answered, grown = len(bystanders.beats), bystanders.answered, bystanders.grown
    assert re.search(r"service available:\s+YES", said), said
    assert beats > seconds * 20
    assert answered >= 0.999
    assert grown < 128 * MIB
    assert dns.probed.asked > seconds * 10
    assert dns.probed.lost <= dns.probed.asked / 1000
    assert dns.waited <= 20

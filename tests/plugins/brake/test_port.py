"""What a port says, across a network with a firewall in it: a RST is a refusal, and nothing else is."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from discovery.core.status import Probed
from discovery.plugins.brake import port
from discovery.plugins.brake.port import TELLS_ICMP, ask, tells_icmp
from tests.plugins.brake.two_hosts import HERE, HERE6, THERE, THERE6, Hosts, two_hosts
from tests.stories.process import LIMIT, until

PORT, NOBODYS = 8000, 8001
# By address: what the other host's firewall does, and what follows.
FIREWALL: dict[str, tuple[str, ...]] = {
    "10.1.0.3": ("DROP",),
    "10.1.0.4": ("REJECT", "--reject-with", "icmp-port-unreachable"),
    "10.1.0.5": ("REJECT", "--reject-with", "icmp-admin-prohibited"),
    "10.1.0.6": ("REJECT", "--reject-with", "tcp-reset"),
    "fd01::3": ("DROP",),
    "fd01::4": ("REJECT", "--reject-with", "icmp6-port-unreachable"),
    "fd01::5": ("REJECT", "--reject-with", "icmp6-adm-prohibited"),
    "fd01::6": ("REJECT", "--reject-with", "tcp-reset"),
}
EXPECTED = {
    (THERE, PORT): "accepted",
    (THERE6, PORT): "accepted",
    (THERE, NOBODYS): "refused",
    (THERE6, NOBODYS): "refused",
    **{(ip, PORT): "refused" if "tcp-reset" in rule else None for ip, rule in FIREWALL.items()},
    ("10.1.0.99", PORT): None,  # no such host
    ("fd01::99", PORT): None,
    ("10.9.0.1", PORT): None,  # no way there
}
_LISTEN = f"""
import socket, time
listening = socket.create_server(("", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
time.sleep(1e9)
"""
_ASK = """
import asyncio, json, sys, uvloop
from discovery.plugins.brake.port import ask, is_own
async def all(targets):
    return await asyncio.gather(*(ask(ip, port) for ip, port in targets))
found = json.loads(sys.argv[2])
print(json.dumps([is_own(ip) for ip, _ in found] if sys.argv[1] == "own" else
    [uvloop.run(all(found)), asyncio.run(all(found))]))
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with two_hosts(tmp_path_factory.mktemp("hosts")) as found:
        for ip, rule in FIREWALL.items():
            found.firewall("-A", "INPUT", "-p", "tcp", "-d", ip, "-j", *rule)
        listening = subprocess.Popen([*found.there, sys.executable, "-c", _LISTEN], stdout=subprocess.PIPE, text=True)
        with listening:
            try:
                assert listening.stdout is not None
                assert listening.stdout.readline() == "ready\n"
                until(lambda: asked(found, "ports", [(THERE, PORT), (THERE6, PORT)]) == [["accepted"] * 2] * 2)
                yield found
            finally:
                listening.kill()


def asked(hosts: Hosts, what: str, targets: list[tuple[str, int]]) -> object:
    command = [*hosts.here, sys.executable, "-c", _ASK, what, json.dumps(targets)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=LIMIT).stdout)


def test_only_a_rst_is_a_refusal_on_either_loop(hosts: Hosts) -> None:
    found = asked(hosts, "ports", list(EXPECTED))
    assert found == [list(EXPECTED.values())] * 2


def test_an_address_of_the_asking_host_is_its_own(hosts: Hosts) -> None:
    assert asked(hosts, "own", [(HERE, 1), (HERE6, 1), (THERE, 1), (THERE6, 1), ("10.9.0.1", 1)]) == [
        True, True, False, False, False,
    ]  # fmt: skip


async def test_a_port_that_answers_itself_is_nobodys() -> None:
    """TCP connects a socket to itself where the kernel chooses the port that is asked."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        number = sock.getsockname()[1]
    answers = await asyncio.gather(*(ask("127.0.0.1", number) for _ in range(20)))
    assert set(answers) == {Probed.REFUSED}


async def test_a_refusal_that_came_while_this_process_was_not_run_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for silence it would be no sign of a firewall, and those behind it were dropped."""

    async def refused(*_: object) -> None:
        await asyncio.sleep(0.04)
        raise ConnectionRefusedError

    monkeypatch.setattr(port, "TIMEOUT", 0.05)
    monkeypatch.setattr(port, "connect", refused)
    asyncio.get_running_loop().call_later(0.01, time.sleep, 0.1)
    assert await ask("127.0.0.1", 1) is Probed.REFUSED


@pytest.mark.parametrize(
    ("system", "release", "tells"),
    [
        ("linux", "5.8.0-1-amd64", True),
        ("linux", "6.1.0", True),
        ("linux", "5.7.19", False),
        ("linux", "4.4.0", False),  # gVisor's
        ("linux", "?", False),
        ("darwin", "23.1.0", False),
    ],
)
def test_a_kernel_that_cannot_tell_icmp_from_a_rst_gives_no_refusals(system: str, release: str, tells: bool) -> None:
    assert tells_icmp(system, release) is tells


def test_this_one_can() -> None:
    assert TELLS_ICMP

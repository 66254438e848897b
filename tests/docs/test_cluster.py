"""docs/cluster.md: what it has one paste is pasted, as it stands there, on one machine and on three (machines.py), and does what the
page says.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import discovery
from tests.docs.machines import LIMIT, Machine, block, three_machines
from tests.programs import program
from tests.stories.process import until

PAGE = Path(discovery.__file__).parent / "docs" / "cluster.md"
TOKEN = "5f0f3bd0d4a3a1d8f8f6a6d0b1f7c0ce"  # noqa: S105
AUTHORIZATION = f"Authorization: Bearer {TOKEN}"

Machines = dict[str, Machine]


def filled_in(script: str, name: str = "a") -> str:
    """With the values that the page asks for: the machine's letter and the token."""
    script = re.sub(r"^me=a\b", f"me={name}", script, flags=re.M)
    return re.sub(r"^token= +#", f"token={TOKEN} #", script, flags=re.M)


def start_etcd(machines: Machines, *more: str) -> None:
    """`more`: blocks after the page's own."""
    for name, machine in machines.items():
        machine(filled_in(block(PAGE, "etcd"), name))
        for each in more:
            machine(each)


def start_nodes(machines: Machines, scheme: str = "etcd") -> None:
    script = block(PAGE, "The registry").replace("ENGINE_URL=etcd:", f"ENGINE_URL={scheme}:")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: machines[name](filled_in(script, name)), machines))


def check(machine: Machine) -> list[str]:
    """The lines of the page's own check."""
    return machine(filled_in(block(PAGE, "The registry", 1))).splitlines()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """With everything of the page running on them, and `web` registered."""
    with three_machines(tmp_path_factory.mktemp("machines")) as found:
        start_etcd(found)
        start_nodes(found)
        until(
            lambda: found["a"]("DISCOVERY_URL=http://10.0.0.2:3100 discovery get nodes -o name | wc -l").strip() == "3"
        )
        lines = check(found["c"])
        assert lines[-3:] == ["10.0.0.9"] * 3, lines
        assert {line[:2] for line in lines if re.match("[abc]-", line)} == {"a-", "b-", "c-"}
        yield found


def test_three_nodes_on_one_machine_are_started_found_and_one_is_killed(tmp_path: Path) -> None:
    with three_machines(tmp_path) as found:
        shell = found["a"].start(f"cd {tmp_path}\n{block(PAGE, 'Try it on one machine')}")
        with shell:
            try:
                assert shell.wait(LIMIT) == 0
            finally:
                os.killpg(shell.pid, signal.SIGKILL)
            assert shell.stdout is not None
            printed = shell.stdout.read()
    lines = [line for line in printed.splitlines() if not line.startswith(("listening", "ready"))]
    assert lines[:3] == ["10.0.0.1"] * 3, lines
    assert lines[-3:] == ["10.0.0.1"] * 3
    assert any("MAX_INSTANCES_PER_SERVICE was 10 and is 50 for all nodes" in line for line in lines)
    assert sorted(line[:2] for line in lines if re.match("[abc]-", line)) == ["a-", "b-", "c-"]


def test_systemd_finds_nothing_wrong_with_the_units_and_their_drop_ins(machines: Machines) -> None:
    units = "/etc/systemd/system/etcd.service /etc/systemd/system/discovery.service"
    show = f"systemd-analyze verify --man=no {units} 2>&1 || echo FAILED"
    ours = [line for line in machines["a"](show).splitlines() if re.search("etcd|discovery|cluster.conf|FAILED", line)]
    assert ours == []
    drop_in = "/etc/systemd/system/discovery.service.d/slip.conf"
    slip = f"printf '[Service]\\nRestartSecs=1\\n' >{drop_in}; {show}; rm {drop_in}"
    assert "RestartSecs" in machines["a"](slip), "a slip in a drop-in is found"


def test_a_node_waits_for_etcd_however_long_and_starts_behind_the_member_of_its_machine() -> None:
    text = (PAGE.parents[1] / "deploy" / "discovery.cluster.conf").read_text()
    unit = re.findall(r"^\[Unit\]\n(.*?)^\[Service\]", text, re.M | re.S)[0]
    assert {"Wants=etcd.service", "After=etcd.service", "StartLimitIntervalSec=0"} <= set(unit.splitlines())


@contextmanager
def in_front(machine: Machine) -> Iterator[None]:
    """HAProxy and dnsdist, as the page has their files."""
    copies = "\n".join(line for line in block(PAGE, "In front").splitlines() if not line.startswith("systemctl"))
    machine(copies)
    haproxy = machine.start(f"exec {program('haproxy')} -db -f /etc/haproxy/haproxy.cfg")
    dnsdist = machine.start(f"exec {program('dnsdist')} --supervised --disable-syslog -C /etc/dnsdist/dnsdist.conf")
    try:
        asking = "dig @127.0.0.1 +short +timeout=1 +tries=1 {} web.svc.local || true"
        until(lambda: all("10.0.0.9" in machine(asking.format(how)) for how in ("", "+tcp", "+tcp -p 8600")))
        until(lambda: machine("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:3100/ready || true") == "200")
        yield
    finally:
        for process in (haproxy, dnsdist):
            process.terminate()
            process.communicate(timeout=LIMIT)


@contextmanager
def back_again(machine: Machine) -> Iterator[None]:
    """Its node is killed in between, and there again afterwards."""
    try:
        yield
    finally:
        machine("systemctl start discovery")


@contextmanager
def digging(machine: Machine) -> Iterator[Callable[[], list[str]]]:
    """The page's loop, with what it has printed so far. In the end it has gone on for a while, and each question had its answer."""
    file = machine.folder / "run" / "loop"
    file.write_text("")
    loop = machine.start(f"exec >/run/loop 2>&1\n{block(PAGE, 'In front', 1)}")

    def printed() -> list[str]:
        # dig says so when it asks again, which it does by itself, over UDP and over TCP.
        again = r";; communications error to 127\.0\.0\.1#\d+: timed out\n"
        return re.sub(again, "", file.read_text()).splitlines()

    try:
        until(printed)
        yield printed
        enough = len(printed()) + 10
        until(lambda: len(printed()) > enough)
    finally:
        os.killpg(loop.pid, signal.SIGTERM)
        loop.communicate(timeout=LIMIT)
    assert set(printed()[:-1]) == {"UDP 10.0.0.9 TCP 10.0.0.9"}


def test_a_node_is_killed_while_dig_loops_and_no_answer_fails(machines: Machines) -> None:
    asks = machines["c"]
    with in_front(asks), digging(asks) as printed, back_again(machines["a"]):
        asks(block(PAGE, "In front", 2))
        assert "No such file" in asks("ssh 10.0.0.1 ls /run/discovery.pid 2>&1 || true"), "it is dead"
        killed = len(printed())
        for number in range(8):  # and HTTP, through HAProxy
            body = f'{{"name":"later","ip":"10.0.1.{number + 1}","port":80,"ttl":600}}'
            said = asks(
                f"curl -sS -w '%{{http_code}}' 127.0.0.1:3100/register -H '{AUTHORIZATION}' "
                f"-H 'Content-Type: application/json' -d '{body}'"
            )
            assert said.endswith("201"), said
        until(lambda: len(printed()) > killed + 20)


def test_settings_are_changed_for_all(machines: Machines) -> None:
    printed = machines["b"](block(PAGE, "Settings that all nodes share"))
    assert "HEARTBEAT_TIMEOUT_SECONDS was 10.0 and is 30.0 for all nodes" in printed
    assert "MAX_INSTANCES_PER_SERVICE was 10 and is 50 for all nodes" in printed
    for machine in machines.values():
        url = f"http://{machine.address}:3100/stats"
        until(lambda url=url: '"heartbeatTimeout":"30s"' in machines["a"](f"curl -sS {url} -H '{AUTHORIZATION}'"))  # type: ignore[misc]


def test_one_node_after_the_other_is_upgraded_and_nobody_notices(machines: Machines) -> None:
    asks = machines["b"]
    before = {name: machine("cat /run/discovery.pid") for name, machine in machines.items()}
    with in_front(asks), digging(asks):
        asks(block(PAGE, "Upgrade"))
    after = {name: machine("cat /run/discovery.pid") for name, machine in machines.items()}
    assert not before.items() & after.items()


def test_where_no_node_passes_the_check_of_dnsdist_it_asks_all_of_them(machines: Machines) -> None:
    asks = machines["b"]
    asks(block(PAGE, "In front", 0).replace("systemctl", ": systemctl"))
    asks("sed -i s/svc.local./nobody.example./ /etc/dnsdist/dnsdist.conf")
    dnsdist = asks.start(f"exec {program('dnsdist')} --supervised --disable-syslog -C /etc/dnsdist/dnsdist.conf")
    try:
        until(lambda: "10.0.0.9" in asks("dig @127.0.0.1 +short +timeout=1 +tries=1 web.svc.local || true"))
    finally:
        dnsdist.terminate()
        dnsdist.communicate(timeout=LIMIT)


def test_with_nothing_in_front_a_resolver_goes_to_the_next_nameserver(machines: Machines) -> None:
    for machine in machines.values():
        machine(block(PAGE, "In front", 3))
    asks = machines["c"]
    [lines] = re.findall(r"^```\n(nameserver .*?)^```", PAGE.read_text(), re.M | re.S)
    asks(f"cat >/etc/resolv.conf <<end\n{lines}end\nprintf 'hosts: files dns\\n' >/etc/nsswitch.conf")
    assert asks("getent ahostsv4 web.svc.local").split()[0] == "10.0.0.9"
    with back_again(machines["a"]):
        machines["a"]("systemctl kill discovery")
        assert asks("getent ahostsv4 web.svc.local").split()[0] == "10.0.0.9"


def test_with_a_password_and_tls_the_same_works_and_nothing_else_gets_in(tmp_path: Path) -> None:
    certificates, tls, users, access = (block(PAGE, "A password, and TLS", number) for number in range(4))
    with three_machines(tmp_path) as found:
        for name, machine in found.items():  # the files alone: "instead of the first start"
            machine(filled_in(block(PAGE, "etcd").replace("systemctl restart", ": systemctl restart"), name))
        found["a"](certificates)
        for machine in found.values():
            machine(tls)
        one = found["a"]
        until(
            lambda: (
                "is healthy"
                in one(
                    "etcdctl --endpoints=https://10.0.0.1:2379 --cacert=/etc/etcd/ca.crt endpoint health 2>&1 || true"
                )
            )
        )
        one(users)
        for machine in found.values():
            machine(access)
            assert machine("stat -c %a /etc/etcd/registry.password") == "600\n"
        start_nodes(found, "etcds")
        assert check(found["b"])[-3:] == ["10.0.0.9"] * 3
        for machine in found.values():
            assert "Traceback" not in machine.log("discovery")
        verify = "systemd-analyze verify --man=no /etc/systemd/system/discovery.service 2>&1 || echo FAILED"
        assert not re.search("discovery|etcd.conf|FAILED", one(verify))
        administers = "etcdctl --endpoints=https://10.0.0.1:2379 --cacert=/etc/etcd/ca.crt --user root:$(cat /etc/etcd/root.password)"
        assert one(f"{administers} get --prefix --keys-only reg/i/web/").startswith("reg/i/web/")
        stranger = "etcdctl --endpoints=https://10.0.0.1:2379 --cacert=/etc/etcd/ca.crt get --prefix reg/ 2>&1 || true"
        assert "user name is empty" in one(stranger)

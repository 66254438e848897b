"""docs/cluster-recovery.md: its commands, as they stand there, on three machines (machines.py) whose etcd is lost piece by piece while the
nodes run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import test_cluster as setup
from tests.docs.machines import ADDRESSES, block, three_machines
from tests.docs.test_cluster import AUTHORIZATION, Machines, filled_in
from tests.engines.etcd.cluster import etcdutl
from tests.stories.process import until

PAGE = setup.PAGE.with_name("cluster-recovery.md")
BACKUP, MEMBER, MAJORITY = "Backup", "A member is lost", "The majority of etcd is lost for good"


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """`web` is registered. etcd's quota is small, to be filled; and it takes changes of its members at once, not only when all have been
    connected for five seconds.
    """
    with three_machines(tmp_path_factory.mktemp("machines")) as found:
        for_tests = "ETCD_QUOTA_BACKEND_BYTES=16777216\nETCD_STRICT_RECONFIG_CHECK=false\n"
        setup.start_etcd(found, f"printf '{for_tests}' >>/etc/default/etcd; systemctl restart --no-block etcd")
        setup.start_nodes(found)
        register(found, "web", "10.0.0.9")
        yield found


def curl(machines: Machines, path: str, *more: str) -> str:
    return machines["a"](
        f"curl -sS http://{path} -H '{AUTHORIZATION}' -H 'Content-Type: application/json' {' '.join(more)}"
    )


def register(machines: Machines, name: str, ip: str) -> None:
    """Found at all nodes afterwards."""
    body = json.dumps({"name": name, "ip": ip, "port": 80, "ttl": 600})
    until(lambda: '"index"' in curl(machines, "10.0.0.2:3100/register", f"-d '{body}'"))
    until(lambda: all(ip in found for found in dug(machines, name)))


def is_unknown(machines: Machines, node: str, name: str, ip: str) -> None:
    """To that node, as soon as it can tell."""
    body = json.dumps({"name": name, "ip": ip, "port": 80})
    until(lambda: "INSTANCE_UNKNOWN" in curl(machines, f"{node}:3100/heartbeat", f"-d '{body}'"))


def each_node(machines: Machines, command: str) -> list[str]:
    """What the command prints for each node's address, $node."""
    return machines["a"](f"for node in {' '.join(ADDRESSES.values())}; do {command}; echo ---; done").split("---\n")[
        :-1
    ]


def dug(machines: Machines, name: str) -> list[set[str]]:
    """The addresses, at each node."""
    return [set(each.split()) for each in each_node(machines, f"dig @$node -p 8600 +short {name}.svc.local")]


def indexes(machines: Machines) -> list[int]:
    asking = f"curl -sS http://$node:3100/services -H '{AUTHORIZATION}' -o /dev/null -D -"
    return [int(re.findall(r"(?i)x-registry-index: (\d+)", page)[0]) for page in each_node(machines, asking)]


def members(machines: Machines) -> list[str]:
    """Those that have started, by name, as `a` says; nobody while there is no majority."""
    listed = machines["a"]("etcdctl --endpoints=http://10.0.0.1:2379 member list || true")
    return sorted(line.split(", ")[2] for line in listed.splitlines() if ", started, " in line)


def all_are_ready(machines: Machines) -> bool:
    asking = "curl -s http://$node:3100/ready -o /dev/null -w '%{http_code}' || true"
    return each_node(machines, asking) == ["200"] * 3


def test_where_to_look_first(machines: Machines) -> None:
    printed = machines["a"](block(PAGE, "Where to look"))
    assert '"ready"' in printed
    assert len(re.findall(r"^\| +http\S+:2379 ", printed, re.M)) >= 3, "a row for each member"


def test_a_member_that_has_lost_its_disk_comes_back_empty(machines: Machines) -> None:
    machines["c"]("systemctl kill etcd; rm -rf /var/lib/etcd/registry")
    machines["a"](block(PAGE, MEMBER))
    until(lambda: members(machines) == ["a", "b"])
    machines["c"](block(PAGE, MEMBER, 1))
    until(lambda: members(machines) == ["a", "b", "c"])
    until(lambda: all_are_ready(machines))
    assert "STATE" not in machines["c"]("cat /etc/default/etcd")


def test_the_majority_is_lost_for_good_and_a_backup_is_restored_under_running_nodes(machines: Machines) -> None:
    restorer = Path(etcdutl()).name
    until(lambda: all_are_ready(machines))
    assert "REVISION" in machines["a"](
        "export ETCDCTL_ENDPOINTS=http://10.0.0.1:2379,http://10.0.0.2:2379\n"
        + block(PAGE, BACKUP).replace("etcdutl", restorer)
    )
    for number in range(3):  # after the backup
        register(machines, "late", f"10.0.1.{number + 1}")
    before = max(indexes(machines))
    for machine in machines.values():
        machine("systemctl stop etcd")
    machines["b"]("rm -rf /var/lib/etcd/registry")
    machines["c"]("rm -rf /var/lib/etcd/registry")
    assert dug(machines, "web") == [{"10.0.0.9"}] * 3, "reads go on"
    machines["a"](block(PAGE, MAJORITY))
    for name, machine in machines.items():
        machine(filled_in(block(PAGE, MAJORITY, 1), name).replace("etcdutl", restorer))
    until(lambda: all_are_ready(machines))
    until(lambda: dug(machines, "late") == [set()] * 3)
    assert dug(machines, "web") == [{"10.0.0.9"}] * 3
    until(lambda: len(set(indexes(machines))) == 1)
    assert min(indexes(machines)) > before, "it never goes back"
    logs = [machine.log("discovery") for machine in machines.values()]
    assert any("etcd has gone back" in log for log in logs)
    for log in logs:  # what is lost is named
        assert all(
            re.search(rf"deregistered late 10\.0\.1\.{number + 1}:80: found in etcd when", log) for number in range(3)
        ), log
    is_unknown(machines, "10.0.0.1", "late", "10.0.1.1")
    register(machines, "late", "10.0.1.1")


def test_one_members_disk_is_left_and_becomes_a_cluster_again(machines: Machines) -> None:
    until(lambda: all_are_ready(machines))
    before = max(indexes(machines))
    for machine in machines.values():
        machine("systemctl stop etcd")
    machines["b"]("rm -rf /var/lib/etcd/registry")
    machines["c"]("rm -rf /var/lib/etcd/registry")
    machines["a"](block(PAGE, MAJORITY, 2))
    until(lambda: members(machines) == ["a"])
    add = block(PAGE, MEMBER).splitlines()[-1]
    for name, there in (("b", "ab"), ("c", "abc")):
        peers = ",".join(f"{each}=http://{ADDRESSES[each]}:2380" for each in there)
        this = add.replace(" c ", f" {name} ").replace("10.0.0.3", ADDRESSES[name])
        machines["a"](f"export ETCDCTL_ENDPOINTS=http://10.0.0.1:2379\n{this}")
        machines[name](f"echo ETCD_INITIAL_CLUSTER={peers} >>/etc/default/etcd\n" + block(PAGE, MEMBER, 1))
        until(lambda name=name: name in members(machines))  # type: ignore[misc]
    until(lambda: all_are_ready(machines))
    assert dug(machines, "web") == [{"10.0.0.9"}] * 3
    until(lambda: min(indexes(machines)) >= before)
    register(machines, "late", "10.0.1.7")


def test_a_full_etcd_is_emptied(machines: Machines) -> None:
    until(lambda: all_are_ready(machines))
    machines["a"](
        "export ETCDCTL_ENDPOINTS=http://10.0.0.1:2379; head -c 1000000 /dev/zero | tr '\\0' x >/run/much\n"
        "for n in $(seq 30); do etcdctl put elsewhere/$n </run/much >/dev/null 2>&1 || exit 0; done; exit 1"
    )
    until(lambda: "space exceeded" in curl(machines, "10.0.0.1:3100/ready"))
    assert dug(machines, "web") == [{"10.0.0.9"}] * 3
    machines["a"]("etcdctl --endpoints=http://10.0.0.1:2379 del --prefix elsewhere/")
    machines["a"](block(PAGE, "etcd is full"))
    until(lambda: all_are_ready(machines))
    register(machines, "late", "10.0.1.8")


def test_nothing_is_left_and_the_registry_begins_again_above_its_index(machines: Machines) -> None:
    before = max(indexes(machines))
    for machine in machines.values():
        machine("systemctl kill etcd; rm -rf /var/lib/etcd/registry")
    setup.start_etcd(machines)
    until(lambda: "etcd has nothing of the registry" in curl(machines, "10.0.0.1:3100/ready"))
    assert dug(machines, "web") == [{"10.0.0.9"}] * 3, "reads go on"
    machines["c"]("systemctl stop discovery; ! systemctl start discovery")
    assert "has no registry, and this node belongs to registry" in machines["c"].log("discovery")
    begin = block(PAGE, MAJORITY, 3)
    assert "with --yes this begins" in machines["b"](begin.replace(" --yes", ""))
    assert "begun in etcd" in machines["b"](begin)
    machines["c"]("systemctl start discovery")
    until(lambda: all_are_ready(machines))
    until(lambda: len(set(indexes(machines))) == 1)
    assert min(indexes(machines)) > before, "it never goes back"
    is_unknown(machines, "10.0.0.3", "web", "10.0.0.9")
    register(machines, "web", "10.0.0.9")

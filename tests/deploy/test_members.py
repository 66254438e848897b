"""The members of compose.cluster.yaml and kubernetes.cluster.yaml, started with the real etcd and exactly the settings that stand there,
each on a machine of its own, and a node of ours on them.

Two things are as on a machine that has no containers: `0.0.0.0` is the machine's own address, as three share one network here, and
/etcd is /var/lib/etcd.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.deploy.test_manifests import CONTAINERS, ETCD, NODES, compose, settings_of
from tests.docs.machines import Machine, three_machines
from tests.stories.process import until

Settings = Mapping[str, str]


def of_compose() -> tuple[dict[str, Settings], Settings]:
    """The members' settings, by the host name of each; those of a node."""
    services = compose()["services"]
    members = {name: each["environment"] for name, each in services.items() if name.startswith("etcd-")}
    return members, services["registry-a"]["environment"]


def of_kubernetes() -> tuple[dict[str, Settings], Settings]:
    members: dict[str, Settings] = {}
    for number in range(3):
        pod = f"{ETCD}-{number}"
        settings = settings_of(CONTAINERS[ETCD]) | {"ETCD_NAME": pod}
        # Kubernetes puts in the variables that stand before.
        filled = {name: re.sub(r"\$\(ETCD_NAME\)", pod, value) for name, value in settings.items()}
        members[f"{pod}.{ETCD}"] = filled
    return members, settings_of(CONTAINERS[NODES])


def with_settings(settings: Settings, machine: Machine, command: str) -> str:
    local = {name: re.sub(r"^/etcd\b", "/var/lib/etcd", value) for name, value in settings.items()}
    pairs = [f"{name}={value.replace('0.0.0.0', machine.address)}" for name, value in local.items()]
    return f"mkdir -p /var/lib/etcd; exec env {shlex.join(pairs)} {command}"


@pytest.mark.parametrize("read", [of_compose, of_kubernetes])
def test_etcd_takes_the_settings_and_a_node_finds_all_members(read: object, tmp_path: Path) -> None:
    assert callable(read)
    members, node = read()
    with three_machines(tmp_path) as machines:
        pairs = dict(zip(members, machines.values(), strict=True))
        hosts = "\n".join(f"{machine.address} {host}" for host, machine in pairs.items())
        for machine in machines.values():
            machine(f"printf '127.0.0.1 localhost\\n{hosts}\\n' >/etc/hosts; echo 'hosts: files' >/etc/nsswitch.conf")
        one = machines["a"]
        started = [
            machine.start(with_settings(settings, machine, "etcd >/var/log/etcd.log 2>&1"))
            for settings, machine in zip(members.values(), machines.values(), strict=True)
        ]
        try:
            endpoints = ",".join(f"http://{host}:2379" for host in members)
            until(lambda: one(f"etcdctl --endpoints={endpoints} endpoint health 2>&1 || true").count("is healthy") == 3)
            for machine in machines.values():
                assert "unrecognized environment variable" not in machine.log("etcd"), machine.log("etcd")
            listed = one(f"etcdctl --endpoints={endpoints} member list")
            assert all(f", http://{host}:2380, http://{host}:2379" in listed for host in members)
            given = dict(node) | {"NODE_NAME": "a", "API_TOKEN": "0123456789abcdef", "HOST": "0.0.0.0", "DATA_DIR": ""}
            started.append(one.start(with_settings(given, one, "discovery serve >/var/log/discovery.log 2>&1")))
            until(lambda: "200" in one("curl -s -w '%{http_code}' http://10.0.0.1:3100/ready || true"))
        finally:
            for process in started:
                process.kill()
                process.communicate()

"""compose.cluster.yaml and kubernetes.cluster.yaml: right by the schemas of Compose and Kubernetes, and about one registry each that
survives the loss of a machine. Their members are started with the real etcd: test_members.py beside this file.
"""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from discovery.cli.deploy import FOLDER
from discovery.cli.setting_list import names
from tests.routes import OPERATIONS

KUBERNETES = list(yaml.safe_load_all((FOLDER / "kubernetes.cluster.yaml").read_text()))
ETCD, NODES = "discovery-etcd", "discovery"


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.cluster.yaml").read_text())
    return found


def one(kind: str, name: str) -> Any:
    [found] = [each["spec"] for each in KUBERNETES if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


PODS = {ETCD: one("StatefulSet", ETCD)["template"], NODES: one("Deployment", NODES)["template"]}
CONTAINERS = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}


def settings_of(container: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


@pytest.mark.parametrize("each", KUBERNETES, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_each_object_of_kubernetes_is_right_by_its_schema(each: dict[str, Any]) -> None:
    kubernetes_validate.validate(each, "1.31", strict=True)


def test_a_slip_would_be_found() -> None:
    wrong = KUBERNETES[0] | {"spec": {**KUBERNETES[0]["spec"], "clusterip": "None"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)
    file = compose()
    file["services"]["etcd-a"]["stop_grace_periodd"] = "10s"
    with pytest.raises(ValueError, match="stop_grace_periodd"):
        PyCompose.from_json(json.dumps(file))


def test_the_selectors_meet_the_pods_and_the_ports_are_theirs() -> None:
    for each in KUBERNETES:
        name, spec = each["metadata"]["name"], each["spec"]
        selector = spec["podSelector"] if each["kind"] == "NetworkPolicy" else spec["selector"]
        assert selector.get("matchLabels", selector) == PODS[name]["metadata"]["labels"]
        known = {port["name"] for port in CONTAINERS[name]["ports"]}
        if each["kind"] == "Service":
            assert {port.get("targetPort", port["name"]) for port in spec["ports"]} <= known
        if each["kind"] == "NetworkPolicy":
            assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} <= known
    for name, container in CONTAINERS.items():
        probes = [value for key, value in container.items() if key.endswith("Probe")]
        assert {probe["httpGet"]["port"] for probe in probes} <= {port["name"] for port in container["ports"]}, name


def test_a_machine_that_is_lost_or_emptied_takes_no_majority_with_it() -> None:
    assert (one("StatefulSet", ETCD)["replicas"], one("Deployment", NODES)["replicas"]) == (3, 3)
    anti = {name: pod["spec"]["affinity"]["podAntiAffinity"] for name, pod in PODS.items()}
    [members] = anti[ETCD]["requiredDuringSchedulingIgnoredDuringExecution"]
    [preferred] = anti[NODES]["preferredDuringSchedulingIgnoredDuringExecution"]
    for name, term in ((ETCD, members), (NODES, preferred["podAffinityTerm"])):
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert term["labelSelector"]["matchLabels"] == PODS[name]["metadata"]["labels"]
        assert one("PodDisruptionBudget", name)["maxUnavailable"] == 1
    assert one("StatefulSet", ETCD)["volumeClaimTemplates"], "a member keeps its disk"


def test_members_find_each_other_by_name_before_they_are_ready() -> None:
    service = one("Service", ETCD)
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert one("StatefulSet", ETCD)["serviceName"] == ETCD
    assert one("StatefulSet", ETCD)["podManagementPolicy"] == "Parallel", "the first one is not ready without a second"
    cluster = settings_of(CONTAINERS[ETCD])["ETCD_INITIAL_CLUSTER"].split(",")
    members = [f"{ETCD}-{number}" for number in range(3)]
    assert cluster == [f"{member}=http://{member}.{ETCD}:2380" for member in members]
    url = settings_of(CONTAINERS[NODES])["ENGINE_URL"]
    assert url == "etcd://" + ",".join(f"{member}.{ETCD}:2379" for member in members)


def test_a_node_is_called_as_its_pod_and_its_secret_stands_in_no_manifest() -> None:
    settings = settings_of(CONTAINERS[NODES])
    assert settings.keys() <= names().keys()
    assert settings["NODE_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert settings["API_TOKEN"] == {"secretKeyRef": {"name": "discovery", "key": "api-token"}}
    assert settings_of(CONTAINERS[ETCD])["ETCD_NAME"] == settings["NODE_NAME"]


def test_while_etcd_is_away_no_node_is_taken_out_of_reads_or_started_anew() -> None:
    node, member = CONTAINERS[NODES], CONTAINERS[ETCD]
    paths = {name: node[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready?for=reads"}
    assert all(("GET", path.partition("?")[0]) in OPERATIONS for path in paths.values()), "/ready is 503 then"
    assert member["livenessProbe"]["httpGet"]["path"] == "/health?serializable=true", "/health wants a majority"
    assert member["readinessProbe"]["httpGet"]["path"] == "/health"


def test_dns_is_there_over_udp_and_tcp() -> None:
    ports = {(port["port"], port.get("protocol", "TCP")): port["targetPort"] for port in one("Service", NODES)["ports"]}
    assert ports.keys() == {(3100, "TCP"), (53, "TCP"), (53, "UDP")}
    named = {port["name"]: (port["containerPort"], port.get("protocol", "TCP")) for port in CONTAINERS[NODES]["ports"]}
    assert named[ports[53, "UDP"]] == (8600, "UDP")
    assert named[ports[53, "TCP"]] == (8600, "TCP")


def test_only_members_and_nodes_reach_etcd() -> None:
    clients, peers = one("NetworkPolicy", ETCD)["ingress"]
    assert clients == {"from": [{"podSelector": {"matchLabels": {"app": NODES}}}], "ports": [{"port": "client"}]}
    assert peers["from"] == [{"podSelector": {"matchLabels": {"app": ETCD}}}]


@pytest.mark.parametrize("name", PODS)
def test_nothing_runs_as_root_or_writes_where_it_need_not(name: str) -> None:
    pod, container = PODS[name]["spec"], CONTAINERS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    context = container["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    mounted = [mount["name"] for mount in container["volumeMounts"]]
    assert len(mounted) == 1
    assert "limits" in container["resources"]


def test_the_compose_file_is_right_by_its_specification() -> None:
    PyCompose.from_json(json.dumps(compose())).validate()


def test_each_node_of_compose_has_all_members_and_settings_that_there_are() -> None:
    services = compose()["services"]
    etcds = {name for name in services if name.startswith("etcd-")}
    registries = {name: each for name, each in services.items() if name.startswith("registry-")}
    assert (len(etcds), len(registries)) == (3, 3)
    for each in registries.values():
        members = each["environment"]["ENGINE_URL"].removeprefix("etcd://").split(",")
        assert {member.removesuffix(":2379") for member in members} == etcds
        assert each["environment"].keys() <= names().keys()
        assert set(each["depends_on"]) == etcds
        assert each["restart"] == "unless-stopped", "a node ends while no member answers"
        assert re.fullmatch(r"\$\{API_TOKEN:\?.*\}", each["environment"]["API_TOKEN"])
    ports = [port.split(":")[0] + port.partition("/")[2] for each in registries.values() for port in each["ports"]]
    assert len(set(ports)) == 9
    assert {each["environment"]["NODE_NAME"] for each in registries.values()} == {"a", "b", "c"}

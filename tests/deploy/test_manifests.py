"""compose.cluster.yaml and kubernetes.cluster.yaml: right by the schemas of Compose and Kubernetes, and about one registry each."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from discovery.cli.knobs import names
from tests.deploy.rules import ALERTS

COMPOSE = ALERTS.with_name("compose.cluster.yaml")
KUBERNETES = list(yaml.safe_load_all(ALERTS.with_name("kubernetes.cluster.yaml").read_text()))


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
    pods = {each["metadata"]["name"]: each["spec"]["template"] for each in KUBERNETES if "template" in each["spec"]}
    assert pods.keys() == {"discovery", "discovery-etcd"}
    for each in KUBERNETES:
        selector = each["spec"]["selector"]
        labels = selector.get("matchLabels", selector)
        assert labels == pods[each["metadata"]["name"]]["metadata"]["labels"]
        if each["kind"] == "Service":
            [container] = pods[each["metadata"]["name"]]["spec"]["containers"]
            known = {port["name"] for port in container["ports"]} | {p["containerPort"] for p in container["ports"]}
            assert {port.get("targetPort", port["port"]) for port in each["spec"]["ports"]} <= known


def test_the_compose_file_is_right_by_its_specification() -> None:
    PyCompose.from_json(json.dumps(compose())).validate()


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def test_each_node_has_all_members_and_settings_that_there_are() -> None:
    services = compose()["services"]
    etcds = {name for name in services if name.startswith("etcd-")}
    registries = {name: each for name, each in services.items() if name.startswith("registry-")}
    assert (len(etcds), len(registries)) == (3, 3)
    for each in registries.values():
        members = each["environment"]["ENGINE_URL"].removeprefix("etcd://").split(",")
        assert {member.removesuffix(":2379") for member in members} == etcds
        assert each["environment"].keys() <= names().keys()
    ports = [port.split(":")[0] + port.partition("/")[2] for each in registries.values() for port in each["ports"]]
    assert len(set(ports)) == 9

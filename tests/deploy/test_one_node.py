"""compose.yaml and kubernetes.yaml: right by their schemas, and about the image that the Dockerfile makes, with settings that there are.

That the image runs as compose.yaml says is a story: tests/stories/container.
"""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from discovery.cli.deploy import FILES, FOLDER
from discovery.cli.setting_list import defaults, names
from tests.routes import OPERATIONS

DOCKERFILE = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
KUBERNETES = {each["kind"]: each for each in yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())}
POD = KUBERNETES["StatefulSet"]["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
DEFAULTS = {setting.name: setting.default for setting in defaults()}
HTTP, DNS = int(DEFAULTS["PORT"]), int(DEFAULTS["DNS_PORT"])
OPERATIONS_PAGE = (FOLDER.parent / "docs" / "operations.md").read_text()
UNITS = {"Mi": 1, "Gi": 1024}


def instruction(name: str) -> str:
    """Of the image's own stage, the last one."""
    [found] = re.findall(rf"^{name} (.*)$", DOCKERFILE.rpartition("\nFROM ")[2], re.M)
    return str(found)


def mebibytes(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


def figure(pattern: str) -> int:
    """Of the table of measured sizes."""
    [found] = re.findall(pattern, OPERATIONS_PAGE)
    return int(found)


def test_every_file_that_there_is_can_be_printed() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == FILES.keys()


@pytest.mark.parametrize("each", KUBERNETES.values(), ids=KUBERNETES.keys())
def test_each_object_of_kubernetes_is_right_by_its_schema(each: dict[str, Any]) -> None:
    kubernetes_validate.validate(each, "1.31", strict=True)


def test_the_compose_file_is_right_by_its_specification() -> None:
    PyCompose.from_json(json.dumps(COMPOSE)).validate()


def test_what_the_image_sets_are_settings_and_its_ports_are_theirs() -> None:
    env = dict(pair.split("=", 1) for pair in instruction("ENV").split())
    assert env.pop("PATH") == "/opt/discovery/bin:$PATH"
    assert env.keys() <= names().keys()
    assert (int(env["PORT"]), int(env["DNS_PORT"])) == (HTTP, DNS)
    assert instruction("EXPOSE").split() == [f"{HTTP}/tcp", f"{DNS}/udp", f"{DNS}/tcp"]
    volume = instruction("VOLUME")
    assert env["DATA_DIR"] == volume == instruction("WORKDIR")
    assert all(env[name].startswith(f"{volume}/") for name in ("ZONES_DIR", "AUDIT_FILE"))


def test_compose_publishes_its_ports_and_keeps_its_data() -> None:
    [service] = COMPOSE["services"].values()
    assert service["environment"].keys() <= names().keys()
    assert service["ports"] == [f"{HTTP}:{HTTP}", f"{DNS}:{DNS}/udp", f"{DNS}:{DNS}/tcp"]
    [volume] = COMPOSE["volumes"]
    assert service["volumes"] == [f"{volume}:{instruction('VOLUME')}"]


def test_kubernetes_asks_the_routes_that_are_for_it() -> None:
    paths = {kind: CONTAINER[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
    assert all(("GET", path) in OPERATIONS for path in paths.values())
    assert {CONTAINER[f"{kind}Probe"]["httpGet"]["port"] for kind in paths} == {"http"}


def test_kubernetes_leads_to_the_ports_and_53_to_dns() -> None:
    ports = {each["name"]: (each["containerPort"], each.get("protocol", "TCP")) for each in CONTAINER["ports"]}
    assert ports == {"http": (HTTP, "TCP"), "dns": (DNS, "UDP"), "dns-tcp": (DNS, "TCP")}
    service = KUBERNETES["Service"]["spec"]
    assert service["selector"] == KUBERNETES["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    led = {(each["port"], each.get("protocol", "TCP")): each["targetPort"] for each in service["ports"]}
    assert led == {(HTTP, "TCP"): "http", (53, "UDP"): "dns", (53, "TCP"): "dns-tcp"}


def test_kubernetes_runs_it_as_the_image_s_user_with_one_disk_and_no_powers() -> None:
    spec = KUBERNETES["StatefulSet"]["spec"]
    assert (spec["replicas"], spec["serviceName"]) == (1, KUBERNETES["Service"]["metadata"]["name"])
    user = POD["securityContext"]
    assert f"{user['runAsUser']}:{user['runAsGroup']}" == instruction("USER")
    assert user["fsGroup"] == user["runAsGroup"]
    assert user["runAsNonRoot"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    [claim] = spec["volumeClaimTemplates"]
    assert CONTAINER["volumeMounts"] == [{"name": claim["metadata"]["name"], "mountPath": instruction("VOLUME")}]


def test_kubernetes_takes_the_token_from_a_secret_and_no_setting_from_a_service_s_name() -> None:
    assert {each["name"] for each in CONTAINER["env"]} <= names().keys()
    [token] = [each["valueFrom"]["secretKeyRef"] for each in CONTAINER["env"] if each["name"] == "API_TOKEN"]
    made = (FOLDER / "kubernetes.yaml").read_text()
    assert f"kubectl create secret generic {token['name']} --from-literal={token['key']}=" in made
    assert POD["enableServiceLinks"] is False


def test_it_has_the_time_to_end_and_the_room_that_was_measured() -> None:
    end = figure(r"ends within ([0-9]+) s of SIGTERM")
    assert POD["terminationGracePeriodSeconds"] >= 2 * end
    [service] = COMPOSE["services"].values()
    assert int(service["stop_grace_period"].removesuffix("s")) >= 2 * end

    memory = {kind: mebibytes(CONTAINER["resources"][kind]["memory"]) for kind in ("requests", "limits")}
    small = figure(r"an empty server \| ([0-9]+) MB") + figure(r"kept DNS answers \| ([0-9]+) MiB")
    assert memory["requests"] >= small + 12  # and 10,000 instances
    assert memory["limits"] >= small + figure(r"100,000 instances are some ([0-9]+) MB")
    [claim] = KUBERNETES["StatefulSet"]["spec"]["volumeClaimTemplates"]
    audit = int(DEFAULTS["AUDIT_MAX_MB"]) * (1 + int(DEFAULTS["AUDIT_KEEP"]))
    files = int(DEFAULTS["HISTORY_MAX_MB"]) + audit
    assert mebibytes(claim["spec"]["resources"]["requests"]["storage"]) >= files + 256  # and the registry itself

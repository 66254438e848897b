"""What real clients send (`requests.jsonl`: Go's api and its watches, Spring Cloud Consul 4.3 and 5.0, Traefik, fabio, registrator,
consul-template, Prometheus), replayed; and of each answer, what one of them would fail for.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.plugins.started import Running, running, settings

_LINES = (Path(__file__).parent / "requests.jsonl").read_text().splitlines()
SENT, *REQUESTS = map(json.loads, _LINES)


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSUL", "true")
    monkeypatch.setenv("CONSUL_NODES", "127.0.0.1=node-1")
    async with running(settings(tmp_path)) as it:
        ttl = {"TTL": "60s", "Status": "passing"}
        bodies: list[dict[str, Any]] = [
            {"ID": f"f-web-{number}", "Name": "f-web", "Port": 80 + number, "Address": f"10.0.0.{number + 1}", **more}
            for number, more in enumerate[dict[str, Any]](
                (
                    {},
                    {"Check": ttl, "Tags": ["urlprefix-/web"]},
                    {"Check": {"TTL": "60s"}},
                    {"Tags": ["urlprefix-/web", "v1"]},
                )
            )
        ]
        bodies += [
            {"ID": "w-web-1", "Name": "w-web"},
            {"ID": "fabio-vm-18913", "Name": "fabio", "Check": ttl | {"CheckID": "fabio-vm-18913-ttl"}},
        ]
        for body in bodies:
            async with it.session.put(f"{it.http}/v1/agent/service/register", json=body) as response:
                assert response.status == 200
        assert await it.register() == 201
        yield it


def faults(path: str, answer: Any) -> list[str]:
    """What a client would fail for, by the tables of what breaks whom."""
    found = []
    if path.startswith("/v1/health/service/"):
        for row in answer:
            node, service, checks = row["Node"], row["Service"], row["Checks"]
            if not (node["Node"] and node["ID"] is not None and node["Address"] and node["Datacenter"]):
                found.append("consul-template and Prometheus end without a Node")
            if not (
                service["ID"]
                and service["Service"]
                and isinstance(service["Port"], int)
                and isinstance(service["Tags"], list)
            ):
                found.append("Traefik joins by Service.ID; Go wants a number")
            if not checks or {check["Status"] for check in checks} - {"passing", "warning", "critical"}:
                found.append("Traefik takes one without Checks for healthy")
            if set(service["Weights"]) != {"Passing", "Warning"}:
                found.append("consul-template shows 0")
            if not all(
                (check["Node"], check["ServiceID"]) in ((node["Node"], service["ID"]), (node["Node"], ""))
                for check in checks
            ):
                found.append("a check of another instance stands there")
        if len({(row["Node"]["ID"], row["Service"]["ID"]) for row in answer}) < len(answer):
            found.append("Traefik joins by Node.ID and Service.ID, and keeps one of each")
    elif path.startswith("/v1/catalog/service/"):
        found += [
            str(row)
            for row in answer
            if not (row["Node"] and row["ServiceID"] and isinstance(row["ServiceTags"], list))
        ]
    elif path.startswith(("/v1/health/state/", "/v1/health/checks/", "/v1/health/node/")):
        found += [str(check) for check in answer if not (check["Node"] and isinstance(check["ServiceTags"], list))]
        if path.startswith("/v1/health/state/any") and not any(check["CheckID"] == "serfHealth" for check in answer):
            found.append("fabio knows it by name")
        routed = [check["ServiceID"] for check in answer if "urlprefix-/web" in check["ServiceTags"]]
        if path.startswith("/v1/health/state/any") and "f-web-1" not in routed:
            found.append("fabio finds its routes by the tags of checks")
    elif path.startswith("/v1/catalog/services") and not all(isinstance(tags, list) for tags in answer.values()):
        found.append("tags are a list")
    elif path == "/v1/agent/self" and not (answer["Config"]["Datacenter"] and answer["Config"]["NodeName"]):
        found.append("fabio and Prometheus do not start")
    elif path == "/v1/status/leader" and not re.fullmatch(r"[0-9.]+:\d+", answer):
        found.append("Spring's health indicator is down")
    return found


async def test_each_client_is_answered_as_it_was(it: Running) -> None:
    index, hashed, wrong = "1", "", []
    rows, checked, asked = set[tuple[str, str]](), set[tuple[str, str, str]](), set[str]()
    for request in REQUESTS:
        path = request["path"].replace("INDEX", index).replace("HASH", hashed)
        body = request.get("body")
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        skip = ["Content-Type", "Accept", "Accept-Encoding", "User-Agent"]
        async with it.session.request(
            request["method"],
            URL(it.http + path, encoded=True),
            data=data,
            headers=SENT[request["sent"]],
            skip_auto_headers=skip,
        ) as response:
            octets, headers = await response.read(), response.headers
        index, hashed = headers.get("X-Consul-Index", index), headers.get("X-Consul-ContentHash", hashed)
        media = headers.get("Content-Type", "").partition(";")[0]
        ours = (response.status, media, int(headers.get("X-Consul-Index", 0)) > 0)
        theirs = (request["status"], request["type"], request.get("index", False))
        if ours != theirs:
            wrong.append(
                f"{request['client']}: {request['method']} {path}: {theirs} there, {ours} here: {octets[:200].decode()}"
            )
        elif response.status == 200 and media == "application/json":
            answer = json.loads(octets)
            wrong += [f"{path}: {fault}" for fault in faults(path, answer)]
            if request["client"] == "fabio" and path.startswith("/v1/catalog/service/"):
                asked.add(path.partition("?")[0].rpartition("/")[2])
                rows |= {(row["Node"], row["ServiceID"]) for row in answer}
            elif request["client"] == "fabio" and path.startswith("/v1/health/state/any"):
                checked |= {(check["Node"], check["ServiceID"], check["ServiceName"]) for check in answer}
        elif request["method"] == "PUT" and path.startswith("/v1/agent/") and response.status == 200 and octets:
            wrong.append(f"{path}: there it is empty")
    assert wrong == []
    joined = {(node, id) for node, id, service in checked if service in asked}
    assert joined, "fabio asked for none"
    assert joined <= rows, "fabio joins checks and rows of the catalog by node and id"

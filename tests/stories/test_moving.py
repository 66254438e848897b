"""A team moves from another registry, as its page says: 60 services, one by one, and no question fails meanwhile, on either side. The old
registry is this program's own face of a Consul and of an Eureka, which is held to recordings of the real ones.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from tests.stories.process import ROOT, Discovery, environment, running, until

SERVICES = [f"svc-{number}" for number in range(60)]
TTL = 600


@contextmanager
def command(registry: Discovery, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """It runs until the end, and ends with 0 when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-m", "discovery", *arguments], cwd=ROOT, env=environment(DISCOVERY_URL=registry.http, PYTHONUNBUFFERED=1),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
        process.terminate()
        assert process.wait(30) == 0, process.stdout and process.stdout.read()
    finally:
        process.kill()
        process.communicate()


class Clients(threading.Thread):
    """Ask for every service, again and again; `failed`: what was missing."""

    def __init__(self, *found: Callable[[str], bool]) -> None:
        super().__init__()
        self.rounds, self.failed = 0, list[str]()
        self._found, self._end = found, threading.Event()

    def run(self) -> None:
        while not self._end.is_set():
            for name in SERVICES:
                self.failed += [f"{name} {number}" for number, found in enumerate(self._found) if not found(name)]
            self.rounds += 1
            self._end.wait(0.1)  # a round is sixty questions

    def end(self) -> None:
        self._end.set()
        self.join()


class ConsulFace:
    settings: dict[str, Any] = {"CONSUL": "true"}  # noqa: RUF012

    def __init__(self, server: Discovery) -> None:
        self.server = server
        self.url = f"consul://127.0.0.1:{server.port}"

    def register(self, name: str, ip: str, id: str = "old") -> None:
        body = {
            "ID": f"{name}-{id}",
            "Name": name,
            "Address": ip,
            "Port": 80,
            "Check": {"TTL": f"{TTL}s", "Status": "passing"},
        }
        assert self.server.request("PUT", "/v1/agent/service/register", body).status == 200

    def deregister(self, name: str, ip: str) -> None:
        assert self.server.request("PUT", f"/v1/agent/service/deregister/{name}-old").status == 200

    def has(self, name: str) -> bool:
        return bool(self.server.request("GET", f"/v1/health/service/{name}?passing=1").body)


class EurekaFace:
    settings: dict[str, Any] = {"EUREKA": "true"}  # noqa: RUF012

    def __init__(self, server: Discovery) -> None:
        self.server = server
        self.url = f"eureka://127.0.0.1:{server.port}"

    def register(self, name: str, ip: str, id: str = "") -> None:
        instance = {
            "instanceId": f"{ip}:80", "hostName": ip, "ipAddr": ip, "app": name.upper(), "status": "UP", "vipAddress": name,
            "port": {"$": 80, "@enabled": "true"}, "leaseInfo": {"durationInSecs": TTL, "renewalIntervalInSecs": 30},
            "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        }  # fmt: skip
        assert self.server.request("POST", f"/eureka/apps/{name.upper()}", {"instance": instance}).status == 204

    def deregister(self, name: str, ip: str) -> None:
        assert self.server.request("DELETE", f"/eureka/apps/{name.upper()}/{ip}:80").status == 200

    def has(self, name: str) -> bool:
        return any(
            each["status"] == "healthy"
            for each in self.server.request("GET", f"/resolve/{name}").body.get("instances", ())
        )


@pytest.mark.parametrize("face", [ConsulFace, EurekaFace])
def test_sixty_services_move_and_one_goes_back_and_no_question_fails(face: Any) -> None:
    with (
        running(HEARTBEAT_TIMEOUT_SECONDS=TTL, **face.settings) as there,
        running(HEARTBEAT_TIMEOUT_SECONDS=TTL) as here,
        ExitStack() as end,
    ):
        old = face(there)
        addresses = {name: f"10.0.1.{number + 1}" for number, name in enumerate(SERVICES)}
        for name, ip in addresses.items():
            old.register(name, ip)
        old.register(SERVICES[0], "10.0.2.1", "other")  # of an instance that goes back the others are found meanwhile

        def finds(name: str) -> bool:
            return here.request("GET", f"/resolve/{name}").status == 200

        def copies() -> set[str]:
            listed = here.request("GET", "/services").body["services"].values()
            return {each["ip"] for service in listed for each in service["instances"] if "importedFrom" in each}

        def moved(ip: str) -> bool:
            return ip not in copies()

        moving = end.enter_context(command(here, "import", old.url, "--follow"))
        telling = end.enter_context(command(here, "sync", "--to", old.url))
        until(lambda: len(copies()) == len(SERVICES) + 1)
        clients = Clients(finds, old.has)
        clients.start()
        end.callback(clients.end)
        for name, ip in addresses.items():
            here.register(name, ip, 80)
            until(partial(moved, ip))
            if name == SERVICES[0]:  # it goes back
                here.request("DELETE", f"/services/{name}/instances?ip={ip}&port=80")
                until(lambda: not moved(addresses[SERVICES[0]]))
                here.register(name, ip, 80)
        until(lambda: told(old, there) == len(SERVICES))
        for name, ip in addresses.items():
            old.deregister(name, ip)
        asked = clients.rounds
        until(lambda: clients.rounds > asked + 1)
        assert moving.poll() is telling.poll() is None
        assert copies() == {"10.0.2.1"}
        clients.end()
        assert clients.failed == []
        there.stop()
        assert all(map(finds, SERVICES))


def told(old: Any, there: Discovery) -> int:
    """How many the sync has told."""
    services = there.request("GET", "/services").body["services"].values()
    return sum("discovery-sync" in str(each) for service in services for each in service["instances"])

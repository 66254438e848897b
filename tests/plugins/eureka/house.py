"""A registry with Eureka's face over it, on a clock that the test moves; and what Java's clients can read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from discovery.plugins.eureka.ids import Ids
from discovery.plugins.eureka.listing import Listing
from discovery.plugins.eureka.record import read
from discovery.plugins.eureka.writing import Announce
from discovery.rest.api.answers import Answer, KeptBody
from discovery.rest.api.requests import Request
from tests.driven import APART, DrivenRegistry
from tests.store.making import START

DATA_CENTER = {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"}
_APPLICATIONS = {"versions__delta": str, "apps__hashcode": str, "application": list}
_LEASE = dict.fromkeys(
    ("renewalIntervalInSecs", "durationInSecs", "registrationTimestamp", "lastRenewalTimestamp", "evictionTimestamp", "serviceUpTimestamp"),
    int,
)  # fmt: skip
_INSTANCE = {
    **dict.fromkeys(
        (
            "instanceId", "hostName", "app", "ipAddr", "status", "overriddenStatus", "appGroupName", "homePageUrl", "statusPageUrl",
            "healthCheckUrl", "secureHealthCheckUrl", "vipAddress", "secureVipAddress", "isCoordinatingDiscoveryServer",
            "lastUpdatedTimestamp", "lastDirtyTimestamp", "actionType", "asgName",
        ),
        str,
    ),
    "port": dict, "securePort": dict, "dataCenterInfo": dict, "leaseInfo": dict, "metadata": dict, "countryId": int,
}  # fmt: skip


def sent(
    id: str = "h1:web:8080", app: str = "WEB", ip: str = "10.0.0.1", port: int = 8080, **more: Any
) -> dict[str, Any]:
    """A body; None leaves a field out."""
    found = {
        "instanceId": id, "app": app, "hostName": ip, "ipAddr": ip, "vipAddress": app.lower(), "status": "UP",
        "port": {"$": port, "@enabled": "true"}, "dataCenterInfo": DATA_CENTER, "metadata": {"version": "1"},
        "leaseInfo": {"renewalIntervalInSecs": 10, "durationInSecs": 20}, **more,
    }  # fmt: skip
    return {"instance": {name: value for name, value in found.items() if value is not None}}


def java_reads(answer: Any) -> list[dict[str, Any]]:
    """The instances; AssertionError where Netflix's clients would drop the whole answer."""
    assert answer.keys() == {"applications"}
    applications = answer["applications"]
    assert_fits(applications, _APPLICATIONS, whole=True)
    instances = []
    for app in applications["application"]:
        assert_fits(app, {"name": str, "instance": list}, whole=True)
        for instance in app["instance"]:
            assert_fits(instance, _INSTANCE)
            assert_fits(instance["leaseInfo"], _LEASE)
            assert instance["dataCenterInfo"]["@class"]
            for port in (instance["port"], instance["securePort"]):
                assert_fits(port, {"$": int, "@enabled": str}, whole=True)
            assert all(isinstance(text, str) for text in instance["metadata"].values())
            instances.append(instance)
    return instances


def assert_fits(found: dict[str, Any], known: Mapping[str, type], whole: bool = False) -> None:
    assert found.keys() <= known.keys(), "a field that Eureka does not know"
    assert not whole or found.keys() == known.keys()
    assert {name: type(value) for name, value in found.items()} == {name: known[name] for name in found}


class House:
    def __init__(self, registry: DrivenRegistry) -> None:
        self.now = START
        self.registry = registry
        self.ids = Ids(lambda: self.now)
        registry.followers.append(self.ids.follow)
        registry.walls = lambda: lambda reading: reading + APART
        self.listing = Listing(registry, lambda: self.now, lambda: self.now + APART, self.ids)

    def register(self, *arguments: Any, **more: Any) -> None:
        read_ = read(body := sent(*arguments, **more), body["instance"]["app"])
        place = self.ids.place(read_.spec.key.service, read_.id)
        self.registry.do(Announce(read_, None if place is None else place.key), self.now)

    def get(self, path: str, **names: str) -> Any:
        """The JSON of an answer."""
        return json.loads(b"".join(self.pieces(path, **names)))

    def pieces(self, path: str, **names: str) -> list[bytes]:
        route = next(route for route in self.listing.routes() if route.path == path)
        request = Request("GET", path, headers={b"accept": b"application/json"})
        request.names = names
        answer = route.handler(request)
        if not isinstance(answer, Answer):
            answer = asyncio.run(_of(answer))
        body = answer.body
        assert not isinstance(body, KeptBody)
        return [body] if isinstance(body, bytes) else list(body)

    def listed(self, path: str = "/apps") -> dict[str, str]:
        """Statuses by id."""
        return {each["instanceId"]: each["status"] for each in java_reads(self.get(path))}


async def _of(answer: Any) -> Answer:
    found: Answer = await answer
    return found

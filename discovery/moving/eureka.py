"""Eureka: all of its applications, followed by deltas that are checked by the count of statuses; and instances of here told to it, with
leases that are renewed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from discovery.client.access import TlsNames
from discovery.moving.found import MARK, Found, Json
from discovery.moving.remote import Remote

TLS = TlsNames("EUREKA_CACERT", "EUREKA_CLIENT_CERT", "EUREKA_CLIENT_KEY")
# Seconds between two deltas: the server makes one every 30 s.
EVERY = 5.0
# What an override or a status says, in the words of own health.
_HEALTH = {"UP": "passing"}
# Seconds: what Eureka's clients have; renewed every 10 s.
_LEASE = {"renewalIntervalInSecs": 10, "durationInSecs": 30}
_DATA_CENTER = {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"}

# By the application and the instance's id.
_Instances = dict[tuple[str, str], Json]


def instances_in(applications: Json) -> Iterable[tuple[tuple[str, str], Json]]:
    """Of the JSON of /apps or /apps/delta. One in place of a list of one is taken, too."""
    for application in _listed(applications.get("application")):
        for instance in _listed(application.get("instance")):
            name = str(instance.get("app") or application["name"])
            yield (name.upper(), str(instance.get("instanceId") or instance.get("hostName"))), instance


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else () if value is None else (value,)


def count_hash(instances: Iterable[Json]) -> str:
    """`apps__hashcode`: DOWN_1_UP_6_."""
    counts = Counter(str(each.get("status", "UNKNOWN")) for each in instances)
    return "".join(f"{status}_{count}_" for status, count in sorted(counts.items()))


def found_in(instances: Mapping[tuple[str, str], Json]) -> Found:
    found = Found()
    for (app, _), instance in instances.items():
        metadata = {key: value for key, value in (instance.get("metadata") or {}).items() if key != "@class"}
        if MARK in metadata:
            continue
        status = instance.get("status", "UNKNOWN")
        zone, lease = metadata.get("zone"), dict(instance.get("leaseInfo") or {})
        lease.pop("lastRenewalTimestamp", None)  # that it renews is no change
        found.add(
            {
                "name": app.lower(), "ip": instance.get("ipAddr") or instance["hostName"], "port": _port(instance), "metadata": metadata,
                "health": _HEALTH.get(status, "failing"), "output": "" if status == "UP" else f"its status at Eureka is {status}",
                "importedAs": {"eureka": [instance | {"leaseInfo": lease}]},
            }
            | ({"zone": zone} if zone else {})
        )  # fmt: skip
    return found


def _port(instance: Json) -> int | None:
    """The first of the two that is enabled."""
    for name in ("port", "securePort"):
        port = instance.get(name)
        if isinstance(port, dict) and str(port.get("@enabled", "true")).lower() == "true" and int(port.get("$") or 0):
            return int(port["$"])
    return None


class Eureka(Remote):
    """As a source and as a target."""

    def __init__(self, url: str, mark: str = "") -> None:
        """SourceError."""
        super().__init__(url, 8761, "/eureka", {}, TLS, mark)
        self._instances: _Instances = {}

    # -- as a source

    async def check(self, ignores_keys: bool) -> None:
        """It has nothing besides."""

    @property
    def found(self) -> Found:
        return found_in(self._instances)

    async def read(self) -> None:
        self._instances = await self._all()

    async def follow(self, changed: Callable[[], None]) -> None:
        await self.read()
        changed()
        while True:
            await asyncio.sleep(EVERY)
            answer = await self.ask("GET", "/apps/delta", accept=(403, 404))
            delta = (answer.content or {}).get("applications") if answer.status == 200 else None
            before = dict(self._instances)
            apply(self._instances, delta or {})
            if delta is None or count_hash(self._instances.values()) != delta.get("apps__hashcode"):
                await self.read()
            if self._instances != before:
                changed()

    async def _all(self) -> _Instances:
        answer = await self.ask("GET", "/apps/")
        return dict(instances_in((answer.content or {}).get("applications") or {}))

    # -- as a target

    async def known(self) -> dict[str, str]:
        marked = [
            (key, each)
            for key, each in (await self._all()).items()
            if (each.get("metadata") or {}).get(MARK) == self.mark
        ]
        return {id.removeprefix(self.prefix): app for (app, id), _ in marked}

    async def put(self, instance: Mapping[str, Any]) -> None:
        app, port = instance["name"].upper(), instance.get("port")
        metadata = {
            key: value if isinstance(value, str) else repr(value) for key, value in instance.get("metadata", {}).items()
        }
        body = {
            "instanceId": self.prefix + instance["id"], "hostName": instance["ip"], "ipAddr": instance["ip"], "app": app, "status": "UP",
            "port": {"$": port or 0, "@enabled": str(port is not None).lower()}, "vipAddress": instance["name"].lower(),
            "dataCenterInfo": _DATA_CENTER, "leaseInfo": _LEASE, "metadata": metadata | {MARK: self.mark},
        }  # fmt: skip
        await self.ask("POST", f"/apps/{quote(app, safe='')}", json={"instance": body})

    async def beat(self, instance: Mapping[str, Any]) -> bool:
        answer = await self.ask("PUT", self._path(instance["name"], instance["id"]), accept=(404,))
        return answer.status == 200

    async def remove(self, id: str, name: str) -> bool:
        return (await self.ask("DELETE", self._path(name, id), accept=(404,))).status == 200

    def _path(self, name: str, id: str) -> str:
        return f"/apps/{quote(name.upper(), safe='')}/{quote(self.prefix + id, safe='')}"


def apply(instances: _Instances, delta: Json) -> None:
    """Each stands there as it is now, with what became of it."""
    for key, instance in instances_in(delta):
        if instance.get("actionType") == "DELETED":
            instances.pop(key, None)
        else:
            instances[key] = instance

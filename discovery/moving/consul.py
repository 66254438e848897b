"""Consul: what its catalog has, followed by a blocking query for the list of services and one for each of them; and instances of here
told to its agent, each with a TTL check, so that they end by themselves when nobody tells of them any more.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from discovery.moving.found import MARK, Found, Json, SourceAway, SourceError, prefix
from discovery.moving.remote import Remote

# Seconds of a blocking query; Consul takes up to a sixteenth longer.
_WAIT = 20.0
_LIMIT = _WAIT * 17 / 16 + 10
# Requests at a time, while all services are read.
_AT_ONCE = 16
# The weight of an instance that says none: there, and here.
_THEIRS, _OURS = 1, 100
# What Consul's agent waits for a beat of `sync`, seconds, and after how long it forgets one (its own least).
TTL, FORGETS = 30, "1m"
# Of a check's output in Consul's own words, characters.
_OUTPUT = 512
# What its metadata may be (agent/structs: metaMaxKeyPairs, metaKeyMaxLength, metaValueMaxLength).
_PAIRS, _KEY, _VALUE = 63, re.compile("[a-zA-Z0-9_-]{1,128}"), 512


def found_in(services: Mapping[str, Sequence[Json]]) -> Found:
    """Of the answers of /v1/health/service/NAME, by name."""
    found = Found()
    for name, entries in services.items():
        for entry in entries:
            service, node = entry["Service"], entry["Node"]
            metadata = service.get("Meta") or {}
            if service.get("Kind"):
                found.notes.append(f"{name}: the {service['Kind']} {service['ID']} is left out: there is no mesh here")
            elif MARK not in metadata:
                found.add(_body(name, service, node, entry.get("Checks") or ()))
    return found


def _body(name: str, service: Json, node: Json, checks: Sequence[Json]) -> Json:
    weights = service.get("Weights") or {}
    body: Json = {
        "name": name, "ip": service.get("Address") or node["Address"], "metadata": service.get("Meta") or {},
        "tags": list(dict.fromkeys(service.get("Tags") or ())),
        "weight": _weight(weights.get("Passing")), "warningWeight": _weight(weights.get("Warning")),
    } | _health(checks)  # fmt: skip
    said = {
        "Node": node,
        "Service": service,
        "Checks": [each | {"Output": each["Output"][:_OUTPUT]} for each in checks],
    }
    return body | {"port": service.get("Port") or None, "importedAs": {"consul": [said]}}


def _weight(theirs: int | None) -> int:
    return min(65535, _OURS * (_THEIRS if theirs is None else theirs))


def _health(checks: Sequence[Json]) -> Json:
    """The worst of them."""
    for status, health in (("critical", "failing"), ("warning", "warning")):
        for check in checks:
            if check["Status"] == status:
                return {"health": health, "output": f"{check['Name']} is {status} at Consul: {check['Output']}"}
    return {"health": "passing"}


class Consul:
    """As a source and as a target. A token: `CONSUL_HTTP_TOKEN`."""

    def __init__(self, url: str, mark: str = "") -> None:
        """SourceError."""
        token = os.environ.get("CONSUL_HTTP_TOKEN")
        self._remote = Remote(url, 8500, "", {"X-Consul-Token": token} if token else {})
        self.name = self._remote.name
        self.mark = mark
        self._prefix = prefix(mark)
        self._services: dict[str, Sequence[Json]] = {}
        self._indexes: dict[str, int] = {}

    async def close(self) -> None:
        await self._remote.close()

    # -- as a source

    async def check(self, ignores_keys: bool) -> None:
        if ignores_keys:
            return
        answer = await self._remote.ask("GET", "/v1/kv/", params={"keys": "", "separator": "/"}, accept=(404, 403, 500))
        if keys := answer.content or ():
            raise SourceError(
                f"{self.name} has KV keys ({', '.join(map(str, keys[:3]))}{', …' if len(keys) > 3 else ''}), which are not kept here: move "
                "them elsewhere, or hand KV on by CONSUL_KV_UPSTREAM, and say --ignore-kv"
            )

    @property
    def found(self) -> Found:
        return found_in(self._services)

    async def read(self) -> None:
        index, names = await self._names(0)
        self._services, self._indexes = {}, {"": index}
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with room:
                await self._read_one(name, 0)

        await asyncio.gather(*map(one, names))

    async def follow(self, changed: Callable[[], None]) -> None:
        await self.read()
        changed()
        watching: dict[str, asyncio.Task[None]] = {}

        async def watch(name: str) -> None:
            while True:
                before = self._services.get(name)
                await self._read_one(name, self._indexes.get(name, 0))
                if self._services[name] != before:
                    changed()

        async def watch_all(tasks: asyncio.TaskGroup) -> None:
            names: Iterable[str] = list(self._services)
            while True:
                for name in set(names) - set(watching):
                    watching[name] = tasks.create_task(watch(name))
                for name in set(watching) - set(names):
                    watching.pop(name).cancel()
                    self._services.pop(name, None)
                    self._indexes.pop(name, None)
                    changed()
                self._indexes[""], names = await self._names(self._indexes[""])

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(watch_all(tasks))
        except ExceptionGroup as errors:
            raise next(
                (each for each in errors.exceptions if isinstance(each, SourceAway)), errors.exceptions[0]
            ) from None

    async def _names(self, index: int) -> tuple[int, list[str]]:
        answer = await self._blocking("/v1/catalog/services", index)
        return _next(index, answer.number("X-Consul-Index")), [
            name for name in answer.content or () if name != "consul"
        ]

    async def _read_one(self, name: str, index: int) -> None:
        answer = await self._blocking(f"/v1/health/service/{quote(name, safe='')}", index)
        self._services[name] = answer.content or ()
        self._indexes[name] = _next(index, answer.number("X-Consul-Index"))

    async def _blocking(self, path: str, index: int) -> Any:
        params = {"index": str(index), "wait": f"{_WAIT:g}s"} if index else None
        return await self._remote.ask("GET", path, params=params, seconds=_LIMIT)

    # -- as a target

    async def known(self) -> dict[str, str]:
        services = (await self._remote.ask("GET", "/v1/agent/services")).content or {}
        marked = [(id, each) for id, each in services.items() if (each.get("Meta") or {}).get(MARK) == self.mark]
        return {id.removeprefix(self._prefix): each["Service"] for id, each in marked}

    async def put(self, instance: Mapping[str, Any]) -> None:
        body = {
            "ID": self._prefix + instance["id"], "Name": instance["name"], "Address": instance["ip"], "Port": instance.get("port") or 0,
            "Tags": instance.get("tags", []), "Meta": _meta(instance.get("metadata", {})) | {MARK: self.mark},
            "Weights": {"Passing": max(1, instance.get("weight", _OURS) // _OURS), "Warning": 1},
            "Check": {"TTL": f"{TTL}s", "Status": "passing", "DeregisterCriticalServiceAfter": FORGETS},
        }  # fmt: skip
        await self._remote.ask("PUT", "/v1/agent/service/register", json=body)

    async def beat(self, instance: Mapping[str, Any]) -> bool:
        check = quote(f"service:{self._prefix}{instance['id']}", safe="")
        answer = await self._remote.ask("PUT", f"/v1/agent/check/pass/{check}", accept=(404, 500))
        return answer.status == 200

    async def remove(self, id: str, name: str) -> None:
        await self._remote.ask(
            "PUT", f"/v1/agent/service/deregister/{quote(self._prefix + id, safe='')}", accept=(404, 500)
        )


def _next(before: int, index: int) -> int:
    """One that went down says that the server has begun anew: so does who waits."""
    return index if index >= before else 0


def _meta(metadata: Mapping[str, Any]) -> dict[str, str]:
    pairs = [
        (key, value if isinstance(value, str) else repr(value))
        for key, value in metadata.items()
        if _KEY.fullmatch(key)
    ]
    return dict([(key, value) for key, value in pairs if len(value) <= _VALUE][:_PAIRS])

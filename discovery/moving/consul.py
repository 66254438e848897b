"""Consul: what its catalog has, followed by two blocking queries, for the names of all services and for all checks; and instances of here
told to its agent, each with a TTL check, so that they end by themselves when nobody tells of them any more.

A query for each service would take a connection each, of which Consul allows one client 200. The services that the two lists say have
changed are read at once, and after a change of the names all of them, since a list does not have what a service without a check says.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

from discovery.client.access import TlsNames
from discovery.moving.found import MARK, Found, Json, SourceAway, SourceError
from discovery.moving.remote import Remote

# As Consul's own commands call them.
TLS = TlsNames("CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY")
# What tells of changes, however many services there are: the names with their tags, and all checks.
_NAMES, _CHECKS = "/v1/catalog/services", "/v1/health/state/any"
# Seconds of a blocking query; Consul takes up to a sixteenth longer.
_WAIT = 20.0
_LIMIT = _WAIT * 17 / 16 + 10
# Requests at a time, while services are read; and how many times as long as it takes to read all it is not done again.
_AT_ONCE, _PAUSE = 16, 4
# Of all, each change gives the whole list: what is read of a large one leaves both sides most of their time.
_CHECKS_PER_SECOND = 20_000
# The weight of an instance that says none: there, and here.
_THEIRS, _OURS = 1, 100
# What Consul's agent waits for a beat of `sync`, seconds, and after how long it forgets one (its own least).
TTL, FORGETS = 30, "1m"
# Of a check's output in Consul's own words, characters.
_OUTPUT = 512
# What its metadata may be (agent/structs: metaMaxKeyPairs, metaKeyMaxLength, metaValueMaxLength).
_PAIRS, _KEY, _VALUE = 63, re.compile("[a-zA-Z0-9_-]{1,128}"), 512

_T = TypeVar("_T")


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


class Consul(Remote):
    """As a source and as a target. A token: `CONSUL_HTTP_TOKEN`."""

    def __init__(self, url: str, mark: str = "") -> None:
        """SourceError."""
        token = os.environ.get("CONSUL_HTTP_TOKEN")
        super().__init__(url, 8500, "", {"X-Consul-Token": token} if token else {}, TLS, mark)
        self._services: dict[str, Sequence[Json]] = {}

    # -- as a source

    async def check(self, ignores_keys: bool) -> None:
        if ignores_keys:
            return
        answer = await self.ask("GET", "/v1/kv/", params={"keys": "", "separator": "/"}, accept=(404, 403, 500))
        if keys := answer.content or ():
            raise SourceError(
                f"{self.name} has KV keys ({', '.join(map(str, keys[:3]))}{', …' if len(keys) > 3 else ''}), which are not kept here: move "
                "them elsewhere, or hand KV on by CONSUL_KV_UPSTREAM, and say --ignore-kv"
            )

    @property
    def found(self) -> Found:
        found = found_in(self._services)
        if not self._services:  # it does not refuse a list: it leaves out what the token may not see
            found.notes.append(
                f"{self.name} shows no services: where it has ACLs, CONSUL_HTTP_TOKEN takes service_prefix and node_prefix with read"
            )
        return found

    async def read(self) -> None:
        self._names, self._checks = _Watched(self, _NAMES), _Watched(self, _CHECKS)
        await self._names.next()
        await self._checks.next()
        self._services = {}
        await self._read(self._names.content)

    async def follow(self, changed: Callable[[], None]) -> None:
        await self.read()
        changed()
        due, wake, is_all_due, loop = set[str](), asyncio.Event(), False, asyncio.get_running_loop()

        async def watch_names() -> None:
            nonlocal is_all_due
            while True:
                before = self._names.content
                if await self._names.next():
                    due.update(_differing(dict(before), dict(self._names.content)))
                    is_all_due = True  # at which address one without a check is stands in no list
                    wake.set()

        async def watch_checks() -> None:
            while True:
                before = _by_id(self._checks.content)
                await self._checks.next()
                after = _by_id(self._checks.content)
                if differing := _differing(before, after):
                    due.update(self._touched({**before, **after}[id] for id in differing))
                    wake.set()
                await asyncio.sleep(len(after) / _CHECKS_PER_SECOND)

        async def read_due() -> None:
            nonlocal is_all_due
            all_at = 0.0  # until then what is all due waits, and nothing else
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(all_at if is_all_due else None):
                        await wake.wait()
                wake.clear()
                some = list(due)
                due.clear()
                if await self._read(some):
                    changed()
                began = loop.time()
                if is_all_due and began >= all_at and not wake.is_set():
                    is_all_due = False
                    if await self._read({*self._services, *self._names.content}):
                        changed()
                    all_at = loop.time() + _PAUSE * (loop.time() - began)

        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (watch_names, watch_checks, read_due):
                    tasks.create_task(work())
        except ExceptionGroup as errors:
            raise next(
                (each for each in errors.exceptions if isinstance(each, SourceAway)), errors.exceptions[0]
            ) from None

    def _touched(self, checks: Iterable[Json]) -> Iterator[str]:
        """Services that these checks are of, or of whose nodes."""
        nodes = set()
        for check in checks:
            if check["ServiceName"]:
                yield check["ServiceName"]
            else:
                nodes.add(check["Node"])
        if nodes:
            yield from (
                name
                for name, entries in self._services.items()
                if any(each["Node"]["Node"] in nodes for each in entries)
            )

    async def _read(self, names: Iterable[str]) -> bool:
        """Whether any of them is not as it was."""
        before, room = (
            {name: self._services.get(name, ()) for name in names if name != "consul"},
            asyncio.Semaphore(_AT_ONCE),
        )

        async def one(name: str) -> bool:
            async with room:
                answer = await self.ask("GET", f"/v1/health/service/{quote(name, safe='')}")
            self._services[name] = answer.content or ()
            if not answer.content:
                del self._services[name]
            return bool((answer.content or ()) != before[name])

        return any(await asyncio.gather(*map(one, before)))

    # -- as a target

    async def known(self) -> dict[str, str]:
        services = (await self.ask("GET", "/v1/agent/services")).content or {}
        marked = [(id, each) for id, each in services.items() if (each.get("Meta") or {}).get(MARK) == self.mark]
        return {id.removeprefix(self.prefix): each["Service"] for id, each in marked}

    async def put(self, instance: Mapping[str, Any]) -> None:
        body = {
            "ID": self.prefix + instance["id"], "Name": instance["name"], "Address": instance["ip"], "Port": instance.get("port") or 0,
            "Tags": instance.get("tags", []), "Meta": _meta(instance.get("metadata", {})) | {MARK: self.mark},
            "Weights": {"Passing": max(1, instance.get("weight", _OURS) // _OURS), "Warning": 1},
            "Check": {"TTL": f"{TTL}s", "Status": "passing", "DeregisterCriticalServiceAfter": FORGETS},
        }  # fmt: skip
        await self.ask("PUT", "/v1/agent/service/register", json=body)

    async def beat(self, instance: Mapping[str, Any]) -> bool:
        check = quote(f"service:{self.prefix}{instance['id']}", safe="")
        answer = await self.ask("PUT", f"/v1/agent/check/pass/{check}", accept=(404, 500))
        return answer.status == 200

    async def remove(self, id: str, name: str) -> bool:
        path = f"/v1/agent/service/deregister/{quote(self.prefix + id, safe='')}"
        return (await self.ask("PUT", path, accept=(404, 500))).status == 200


class _Watched:
    """A list, and its index. `content`: None before it was read."""

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote = remote
        self._path = path
        self._index = 0
        self.content: Any = None

    async def next(self) -> bool:
        """At once for the first time, and then when its index moves, or after _WAIT seconds. Whether it has moved."""
        params = {"index": str(self._index), "wait": f"{_WAIT:g}s"} if self._index else None
        answer = await self._remote.ask("GET", self._path, params=params, seconds=_LIMIT)
        before, index = self._index, answer.number("X-Consul-Index")
        if not index:  # it would be asked again at once, for ever
            raise SourceAway(
                f"{self._remote.name} answered GET {self._path} without X-Consul-Index: does a proxy in between take it away?"
            )
        self._index = index if index >= before else 0  # one that went down has begun anew: so does who waits
        self.content = answer.content or ()
        return index != before


def _by_id(checks: Iterable[Json]) -> dict[tuple[str, str], Json]:
    return {(each["Node"], each["CheckID"]): each for each in checks}


def _differing(before: Mapping[_T, Any], after: Mapping[_T, Any]) -> set[_T]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _meta(metadata: Mapping[str, Any]) -> dict[str, str]:
    pairs = [
        (key, value if isinstance(value, str) else repr(value))
        for key, value in metadata.items()
        if _KEY.fullmatch(key)
    ]
    return dict([(key, value) for key, value in pairs if len(value) <= _VALUE][:_PAIRS])

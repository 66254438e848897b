"""A registry as clients see it, with its events, that a test can make forget, refuse, hang, or break its streams."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from aiohttp import web

from tests.client.servers import answering

Json = dict[str, Any]


class FakeRegistry:
    """`refusals`: by `METHOD /path`, the status and body of the next answers. `asked`: how often each was asked for. `bodies`: the same."""

    def __init__(self, interval_ms: float = 3000) -> None:
        self.url = ""
        self.interval_ms = interval_ms
        self.index = 100
        self.services: dict[str, dict[tuple[str, int | None], Json]] = {}
        self.refusals: dict[str, list[tuple[int, Any]]] = {}
        self.always: dict[str, tuple[int, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.bodies: list[tuple[str, Json]] = []
        self.streams: list[asyncio.Queue[str | None]] = []
        self.followed: list[tuple[Mapping[str, str], str | None]] = []  # query and Last-Event-ID of each stream
        self.changed = asyncio.Event()
        self.own_zone: Json = {}  # what /resolve says of it

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        async with answering(self._answer) as self.url:
            yield self
            self.break_streams()

    # -- what a test does

    def put(
        self, service: str, port: int | None = 1, ip: str = "10.0.0.1", status: str = "healthy", **fields: Any
    ) -> int:
        """The index of the change."""
        instances = self.services.setdefault(service, {})
        before = instances.get((ip, port))
        instances[ip, port] = {"id": f"{ip}:{port}", "ip": ip, "port": port, "status": status, "metadata": {}, **fields}
        return self._tell(service, before, instances[ip, port])

    def remove(self, service: str, port: int = 1, ip: str = "10.0.0.1") -> int:
        before = self.services[service].pop((ip, port))
        return self._tell(service, before, None)

    def break_streams(self) -> None:
        for stream in self.streams:
            stream.put_nowait(None)

    def reset(self, oldest: int) -> None:
        data = json.dumps({"index": self.index, "oldest": oldest})
        for stream in self.streams:
            stream.put_nowait(f"event: reset\nid: {self.index}\ndata: {data}\n\n")

    async def until(self, condition: Any) -> None:
        """Waits for a condition that something asked for makes true."""
        async with asyncio.timeout(60):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()

    # -- what clients see

    def _tell(self, service: str, before: Json | None, instance: Json | None) -> int:
        self.index += 1
        data = {
            "index": self.index, "kind": "updated", "service": service, "instance": instance, "before": before,
            "reason": "", "actor": None, "timestamp": "2026-01-31T12:00:00.000Z",
        }  # fmt: skip
        for stream in self.streams:
            stream.put_nowait(f"id: {self.index}\ndata: {json.dumps(data)}\n\n")
        return self.index

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        what = f"{request.method} {request.path}"
        body = await request.json() if request.can_read_body else {}
        self.asked[what] += 1
        self.bodies.append((what, body))
        self.changed.set()
        refusal = self.refusals[what].pop(0) if self.refusals.get(what) else self.always.get(what)
        if refusal is not None:
            return web.json_response(refusal[1], status=refusal[0])
        if request.path == "/events":
            return await self._stream(request)
        return self._plain(request, body)

    def _plain(self, request: web.Request, body: Json) -> web.Response:
        path, method = request.path, request.method
        content: Json
        if path.startswith("/resolve/"):
            found = self.services.get(path.removeprefix("/resolve/"), {})
            served = [each for each in reversed(found.values()) if each["status"] == "healthy"]
            content = {"instances": served} if served else {"code": "SERVICE_UNKNOWN", "message": "unknown"}
            content |= self.own_zone if served else {}
            return web.json_response(
                content, status=200 if served else 404, headers={"X-Registry-Index": str(self.index)}
            )
        if path == "/register":
            self.put(body["name"], body["port"], body["ip"])
            content = {"instance": {"id": "i-1"}, "heartbeatIntervalMs": self.interval_ms}
            return web.json_response(content, status=201)
        if path == "/registrations":
            for each in body["instances"]:
                self.put(each["name"], each["port"], each["ip"])
            content = {"results": [{"status": 201, "id": "i-1"}] * len(body["instances"])}
            return web.json_response(content | {"heartbeatIntervalMs": self.interval_ms})
        if path in ("/heartbeat", "/instances"):
            if (body["ip"], body["port"]) not in self.services.get(body["name"], {}):
                return web.json_response({"code": "INSTANCE_UNKNOWN", "message": "unknown"}, status=404)
            return web.json_response({"heartbeatIntervalMs": self.interval_ms})
        if method == "DELETE":
            port = request.query["port"]
            self.services[path.split("/")[2]].pop((request.query["ip"], int(port) if port else None), None)
        return web.json_response({"safeAfter": "2026-01-31T12:00:05.000Z", "timestamp": "2026-01-31T12:00:02.500Z"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.followed.append((dict(request.query), request.headers.get("Last-Event-ID")))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        stream = asyncio.Queue[str | None]()
        self.streams.append(stream)
        await response.prepare(request)
        try:
            while (text := await stream.get()) is not None:
                await response.write(text.encode())
        finally:
            self.streams.remove(stream)
        return response

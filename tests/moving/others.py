"""A Consul and an Eureka as far as import and sync ask them: in the form of the recorded answers, and as the test says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from discovery.moving.eureka import count_hash

GOLDEN = Path(__file__).parent / "golden"
CONSUL: dict[str, Any] = json.loads((GOLDEN / "consul.json").read_text())
EUREKA: dict[str, Any] = json.loads((GOLDEN / "eureka.json").read_text())


class Other:
    """`away`: nothing is answered but `status`. `connections`: the most there were at a time."""

    def __init__(self) -> None:
        self.away, self.status = False, 500
        self.url = ""
        self.index = 7
        self.asked: list[str] = []
        self.connections = 0
        self._changed = asyncio.Event()

    def change(self) -> None:
        self.index += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def fail(self) -> None:
        """Who waits is answered, too."""
        self.away = True
        self.change()

    @web.middleware
    async def _heed(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        assert self._runner.server is not None
        self.connections = max(self.connections, len(self._runner.server.connections))
        response: web.StreamResponse = await handler(request)
        return web.Response(status=self.status, text="No cluster leader") if self.away else response

    @asynccontextmanager
    async def serving(self, scheme: str, path: str = "", tls: ssl.SSLContext | None = None) -> AsyncIterator[Any]:
        app = web.Application(middlewares=[self._heed])
        app.add_routes(self.routes())
        self._runner = runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"{scheme}://127.0.0.1:{port}{path}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError


class OtherConsul(Other):
    def __init__(self) -> None:
        super().__init__()
        self.services: dict[str, list[Any]] = {}
        self.keys: list[str] = []
        self.agent: dict[str, Any] = {}
        self.passed: list[str] = []

    def put(self, name: str, ip: str, port: int, status: str = "passing", **service: Any) -> None:
        entry = json.loads(json.dumps(CONSUL["web"][1]))
        entry["Service"] |= {"ID": f"{name}-{ip}", "Service": name, "Address": ip, "Port": port, **service}
        entry["Checks"] = [entry["Checks"][0], {**entry["Checks"][2], "Status": status, "Output": "HTTP 503"}]
        entries = self.services.setdefault(name, [])
        entries[:] = [each for each in entries if each["Service"]["ID"] != entry["Service"]["ID"]] + [entry]
        self.change()

    def remove(self, name: str, ip: str) -> None:
        self.services[name] = [each for each in self.services[name] if each["Service"]["Address"] != ip]
        if not self.services[name]:
            del self.services[name]
        self.change()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/kv/", self._keys),
            web.get("/v1/catalog/services", self._names),
            web.get("/v1/health/service/{name}", self._health),
            web.get("/v1/health/state/any", self._checks),
            web.get("/v1/agent/services", self._mine),
            web.put("/v1/agent/service/register", self._register),
            web.put("/v1/agent/service/deregister/{id}", self._deregister),
            web.put("/v1/agent/check/pass/{id}", self._pass),
        ]

    async def _answer(self, request: web.Request, what: Any) -> web.Response:
        if request.query.get("index") == str(self.index):
            changed = self._changed
            try:
                async with asyncio.timeout(float(request.query["wait"].removesuffix("s"))):
                    await changed.wait()
            except TimeoutError:
                pass
        return web.json_response(what(), headers={"X-Consul-Index": str(self.index)})

    async def _keys(self, request: web.Request) -> web.Response:
        headers = {"X-Consul-Index": "1"}
        return web.json_response(self.keys, headers=headers) if self.keys else web.Response(status=404, headers=headers)

    async def _names(self, request: web.Request) -> web.Response:
        return await self._answer(request, lambda: {"consul": [], **{name: [] for name in self.services}})

    async def _health(self, request: web.Request) -> web.Response:
        return await self._answer(request, lambda: self.services.get(request.match_info["name"], []))

    async def _checks(self, request: web.Request) -> web.Response:
        """Without any of the service `unchecked`."""

        def all_checks() -> list[Any]:
            return [
                check | {"CheckID": f"{entry['Service']['ID']} {check['CheckID']}", "ServiceName": name}
                for name, entries in self.services.items()
                for entry in entries
                for check in entry["Checks"]
                if name != "unchecked"
            ]

        return await self._answer(request, all_checks)

    async def _mine(self, request: web.Request) -> web.Response:
        return web.json_response(self.agent)

    async def _register(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["Name"] == "bad":
            return web.Response(status=400, text="Invalid service name")
        self.agent[body["ID"]] = {"ID": body["ID"], "Service": body["Name"], **body}
        return web.Response()

    async def _deregister(self, request: web.Request) -> web.Response:
        self.agent.pop(request.match_info["id"], None)
        return web.Response()

    async def _pass(self, request: web.Request) -> web.Response:
        id = request.match_info["id"].removeprefix("service:")
        self.passed.append(id)
        return web.Response() if id in self.agent else web.Response(status=404, text="Unknown check")


class OtherEureka(Other):
    def __init__(self) -> None:
        super().__init__()
        self.instances: dict[tuple[str, str], Any] = {}
        self.delta: dict[tuple[str, str], Any] = {}
        self.renewed: list[str] = []
        self.all_read = 0

    def put(self, app: str, ip: str, port: int, status: str = "UP", **fields: Any) -> None:
        instance = json.loads(json.dumps(EUREKA["applications"]["application"][0]["instance"][0]))
        instance |= {"instanceId": f"{ip}:{port}", "app": app, "ipAddr": ip, "status": status, **fields}
        instance["port"] = {"$": port, "@enabled": "true"}
        self._put(instance)

    def _put(self, instance: Any) -> None:
        key = (instance["app"], instance["instanceId"])
        self.instances[key] = self.delta[key] = instance

    def remove(self, app: str, id: str) -> None:
        self.delta[app, id] = self.instances.pop((app, id)) | {"actionType": "DELETED"}

    def routes(self) -> list[web.RouteDef]:
        at = "/eureka/apps/{app}/{id}"
        return [
            web.get("/eureka/apps/", self._all),
            web.get("/eureka/apps/delta", self._changes),
            web.post("/eureka/apps/{app}", self._register),
            web.put(at, self._renew),
            web.delete(at, self._cancel),
        ]

    def _json(self, instances: dict[tuple[str, str], Any]) -> web.Response:
        apps: dict[str, list[Any]] = {}
        for (app, _), instance in instances.items():
            apps.setdefault(app, []).append(instance)
        listed = [{"name": name, "instance": those} for name, those in apps.items()]
        code = count_hash(self.instances.values())
        return web.json_response(
            {"applications": {"versions__delta": "1", "apps__hashcode": code, "application": listed}}
        )

    async def _all(self, request: web.Request) -> web.Response:
        self.all_read += 1
        return self._json(self.instances)

    async def _changes(self, request: web.Request) -> web.Response:
        return self._json(self.delta)

    async def _register(self, request: web.Request) -> web.Response:
        self._put((await request.json())["instance"])
        return web.Response(status=204)

    async def _renew(self, request: web.Request) -> web.Response:
        key = (request.match_info["app"], request.match_info["id"])
        self.renewed.append(key[1])
        return web.Response(status=200 if key in self.instances else 404)

    async def _cancel(self, request: web.Request) -> web.Response:
        self.instances.pop((request.match_info["app"], request.match_info["id"]), None)
        return web.Response()

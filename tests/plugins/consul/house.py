"""A started server that speaks Consul's API, and hosts that ask it: through a trusted proxy, which says where each is."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.plugins.started import Running

ENVIRONMENT = {"CONSUL": "true", "CONSUL_NODES": "127.0.0.1=here,10.0.0.7=web-host"}
PROXIES = ("127.0.0.1",)


class Reply(NamedTuple):
    status: int
    answer: Any
    seen: int


class Host(NamedTuple):
    """Asks from `address`; `token`: that it shows."""

    it: Running
    address: str
    token: str = ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {"X-Forwarded-For": self.address, **({"X-Consul-Token": self.token} if self.token else {}), **headers}
        return await self.natively(method, f"/v1{path}", body, **sent)

    async def natively(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """By another API, as the proxy itself."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = headers or {"Content-Type": "application/json"}
        async with self.it.session.request(method, self.it.http + path, data=data, headers=sent) as response:
            text = await response.text(errors="replace")
            found = json.loads(text) if response.content_type == "application/json" else text
            return Reply(response.status, found, int(response.headers.get("X-Consul-Index", 0)))

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).answer

    async def put(self, path: str, body: Any = None) -> int:
        return (await self.ask("PUT", path, body)).status

    async def register(self, **fields: Any) -> int:
        return await self.put("/agent/service/register", {"Name": "web", "Port": 8080, **fields})

    async def passing(self, service: str = "web") -> list[str]:
        """The ids of those that pass."""
        return sorted(row["Service"]["ID"] for row in await self.get(f"/health/service/{service}?passing"))

    async def statuses(self, service: str = "web") -> dict[str, str]:
        """Of the checks of a service, by their ids."""
        return {check["CheckID"]: check["Status"] for check in await self.get(f"/health/checks/{service}")}

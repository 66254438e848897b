"""`discovery bench`: how many heartbeats, look-ups over HTTP and DNS queries a running registry answers, asked from here.

It registers services of its own (`bench-…`) and takes them out again; they have a short lease, so that nothing stays where it is killed.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli import dns_client
from discovery.cli.bench import load
from discovery.cli.bench.load import Result
from discovery.cli.connection import Json, ask, in_path, send
from discovery.cli.errors import Failed
from discovery.cli.live import bar
from discovery.cli.output import Column, Format, put_rows
from discovery.client import RegistryClient
from discovery.client.access import Token
from discovery.system.env import Endpoint

Kind = Literal["heartbeat", "resolve", "dns"]

_COLUMNS = (
    Column("what"),
    Column("perSecond", right=True),
    Column("p50", right=True),
    Column("p99", right=True),
    Column("max", right=True),
    Column("errors", right=True),
    Column("clientCpu", right=True),
)
# Instances of a service: as many as a server takes that nobody has told otherwise.
_PER_SERVICE = 10
# Seconds that they live without us, above the longest run of one kind: only heartbeats renew them.
_TTL = 300


def bench(
    *,
    kind: Annotated[
        tuple[Kind, ...],
        Parameter(
            help="what to measure: heartbeat, resolve, dns; may be repeated, all if not given", consume_multiple=False
        ),
    ] = (),
    seconds: Annotated[float, Parameter(help="for each, 0.1 to 60", validator=Number(gte=0.1, lte=60))] = 5,
    connections: Annotated[int, Parameter(help="at a time, 1 to 256", validator=Number(gte=1, lte=256))] = 16,
    instances: Annotated[int, Parameter(help="that it registers, 1 to 1000", validator=Number(gte=1, lte=1000))] = 100,
    dns_server: Annotated[
        str | None, Parameter(help="IP or IP:PORT; otherwise DISCOVERY_URL's host and port 8600")
    ] = None,
    domain: Annotated[str, Parameter(help="the zone of the services")] = "svc.local",
    output: Format = "table",
) -> None:
    kinds = kind or ("heartbeat", "resolve", "dns")
    server = dns_client.server(dns_server) if "dns" in kinds else None
    bodies = _bodies(instances)

    async def measure(registry: RegistryClient) -> list[tuple[Kind, Result]]:
        return [each async for each in _measure(registry, kinds, bodies, seconds, connections, server, domain)]

    found = ask(measure, fast=True)
    whole = [{"what": what, **result.as_json()} for what, result in found]
    put_rows([{"what": what, **result.as_row()} for what, result in found], _COLUMNS, output, name="what", whole=whole)
    for what, result in found:
        if result.answered == 0:
            raise Failed(f"no {what} was answered: {result.why or 'nothing came back'}")


async def _measure(
    registry: RegistryClient,
    kinds: tuple[Kind, ...],
    bodies: list[Json],
    seconds: float,
    connections: int,
    server: Endpoint | None,
    domain: str,
) -> Any:
    services = sorted({body["name"] for body in bodies})
    try:
        reply = await send(
            registry, "POST", "/registrations", {"instances": bodies}, has={"results": list, "registered": int}
        )
        if reply["registered"] != len(bodies):
            refused = next(each for each in reply["results"] if "message" in each)
            raise Failed(
                f"only {reply['registered']} of {len(bodies)} instances could be registered: {refused['message']}"
            )
        url, token = next(iter(registry.servers)), Token().read()
        for what in kinds:
            with bar(f"{what:9}", seconds):
                if what == "dns":
                    assert server is not None
                    queries = [dns_client.packet(f"{name}.{domain}", "A") for name in services]
                    result = await load.dns_queries(server, queries, seconds, connections)
                else:
                    requests = _requests(what, bodies)
                    result = await load.http(url, token, requests, seconds, connections)
            yield what, result
    finally:
        for name in services:
            await registry.request("DELETE", f"/services/{in_path(name)}", accept=(404,))


def _bodies(count: int) -> list[Json]:
    run = secrets.token_hex(3)
    return [
        {
            "name": f"bench-{run}-{number // _PER_SERVICE}",
            "ip": "127.0.0.1",
            "port": 1 + number % _PER_SERVICE,
            "ttl": _TTL,
        }
        for number in range(count)
    ]


def _requests(what: str, bodies: list[Json]) -> list[load.Request]:
    if what == "heartbeat":
        return [
            load.Request("POST", "/heartbeat", {key: body[key] for key in ("name", "ip", "port")}) for body in bodies
        ]
    return [load.Request("GET", f"/resolve/{name}", None) for name in sorted({body["name"] for body in bodies})]

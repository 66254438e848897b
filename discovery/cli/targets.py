"""Which instances a command means: by the service's name (with --ip and --port), by id, or all of a host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.connection import Json, all_services, get, in_path, one_service
from discovery.cli.errors import Failed, WrongArguments
from discovery.client import Refused, RegistryClient
from discovery.core.address import folded

Word = Annotated[str | None, Parameter(name="NAME-or-ID", help="a service's name, or an instance's id")]
Host = Annotated[str | None, Parameter(help="every instance at this address, whatever its service")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Where:
    ip: Annotated[str | None, Parameter(help="only the service's instances at this address")] = None
    port: Annotated[
        int | Literal["none"] | None, Parameter(help="only the service's instances at this port; none: without one")
    ] = None


EVERYWHERE = Where()


async def instances_of(
    registry: RegistryClient, word: str | None, where: Where | None, host: str | None = None
) -> Sequence[Json]:
    """As in GET /services; never empty. WrongArguments where nothing is named, or too much; Failed where nobody is meant."""
    where = where or EVERYWHERE
    if host is not None:
        if word is not None or where != EVERYWHERE:
            raise WrongArguments("--host: means every instance at that address; leave out what else is named")
        at_host = [
            each
            async for service in all_services(registry)
            for each in service["instances"]
            if folded(each["ip"]) == folded(host)
        ]
        if not at_host:
            raise Failed(f"nothing is registered at {host}; `discovery get hosts` lists the addresses")
        return at_host
    if word is None:
        raise WrongArguments("a service's name or an instance's id is missing")
    if where == EVERYWHERE:
        by_id = await _by_id(registry, word)
        if by_id is not None:
            return [by_id]
    instances = (await one_service(registry, word))["instances"]
    ip, port = where.ip, where.port
    found = [
        each
        for each in instances
        if (ip is None or folded(ip) == folded(each["ip"])) and port in (None, each["port"] or "none")
    ]
    if not found:
        missing = " ".join(
            part
            for part in (ip and f"at {ip}", port and ("without a port" if port == "none" else f"with port {port}"))
            if part
        )
        raise Failed(f"{word} has no instance {missing}; `discovery get service {word}` lists those it has")
    return found


async def _by_id(registry: RegistryClient, word: str) -> Json | None:
    """An id may look like a service's name."""
    try:
        return await get(registry, f"/instances/{in_path(word)}", has=replies.IDENTITY)
    except Refused as error:
        if error.status == 404:
            return None
        raise

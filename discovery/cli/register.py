"""`discovery register` and `discovery deregister`: one instance, by hand or from a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from typing_extensions import TypedDict

from discovery.cli.connection import Done, Identity, Json, ask, in_path, key_values, send
from discovery.cli.errors import Failed
from discovery.cli.get import address
from discovery.cli.output import Format, put_done
from discovery.cli.targets import Where, Word, instances_of
from discovery.cli.times import as_seconds
from discovery.client import RegistryClient
from discovery.client.replies import Finite


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Fields:
    """The optional fields of a registration, for `run` too."""

    ttl: Annotated[float | None, Parameter(converter=as_seconds, help="its own timeout, such as 30s")] = None
    tag: Annotated[tuple[str, ...], Parameter(help="may be repeated")] = ()
    meta: Annotated[tuple[str, ...], Parameter(help="KEY=VALUE; may be repeated")] = ()
    zone: Annotated[str | None, Parameter(help="its locality")] = None
    protocol: Annotated[
        tuple[Literal["tcp", "udp"], ...], Parameter(help="tcp if it is not given; may be repeated")
    ] = ()
    weight: Annotated[int | None, Parameter(help="as in SRV; 100 if it is not given")] = None
    priority: Annotated[int | None, Parameter(help="as in SRV, lower is preferred; 10 if it is not given")] = None

    def given(self) -> dict[str, Any]:
        """Those that were given, as the server calls them. WrongArguments."""
        every = {
            "ttl": self.ttl,
            "tags": list(self.tag),
            "metadata": dict(key_values(self.meta, "--meta")),
            "zone": self.zone,
            "protocol": list(self.protocol),
            "weight": self.weight,
            "priority": self.priority,
        }
        return {key: value for key, value in every.items() if value not in (None, [], {})}


class _Registered(TypedDict):
    instance: Identity
    heartbeatIntervalMs: Finite


def register(
    name: Annotated[str, Parameter(help="of the service")],
    /,
    *,
    ip: Annotated[str, Parameter(help="where it can be reached")],
    port: Annotated[int, Parameter(help="where it listens")],
    fields: Fields | None = None,
    id: Annotated[str | None, Parameter(help="its own id")] = None,
    replace: Annotated[bool, Parameter(help="another instance of the service that has this id makes way")] = False,
    output: Format = "table",
) -> None:
    own = {"id": id} if id is not None else {}
    body: Json = {"name": name, "ip": ip, "port": port, **(fields or Fields()).given(), **own}
    if replace:
        body["replace"] = True
    reply = ask(lambda registry: send(registry, "POST", "/register", body, has=_Registered))
    instance, every = reply["instance"], reply["heartbeatIntervalMs"] / 1000
    line = f"registered {named(instance)}; it has to send a heartbeat every {every:.1f} s"
    put_done([instance], [line], output, whole=reply)


def deregister(
    target: Word = None,
    /,
    *,
    where: Where | None = None,
    all: Annotated[bool, Parameter(help="all instances of the service")] = False,
    output: Format = "table",
) -> None:
    found = ask(lambda registry: _deregister(registry, target, where, all))
    put_done(found, [f"deregistered {named(each)}" for each in found], output, whole=found)


async def _deregister(
    registry: RegistryClient, target: str | None, where: Where | None, all: bool
) -> Sequence[Identity]:
    found = await instances_of(registry, target, where)
    if len(found) > 1 and not all:
        raise Failed(f"{target} has {len(found)} instances: name one with --ip and --port, or all of them with --all")
    for each in found:
        await send(registry, "DELETE", f"/instances/{in_path(each['id'])}", has=Done)
    return found


def named(instance: Identity) -> str:
    return f"{instance['name']} {address(instance)} [id {instance['id']}]"

"""`discovery register` and `discovery deregister`: one instance, by hand or from a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic.alias_generators import to_camel

from discovery.cli import replies
from discovery.cli.checks import checks_of
from discovery.cli.connection import Json, ask, in_path, key_values, send, shaped
from discovery.cli.errors import Failed
from discovery.cli.get import address
from discovery.cli.output import Format, put_done
from discovery.cli.targets import Where, Word, instances_of
from discovery.cli.times import as_seconds
from discovery.client import RegistryClient


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
    warning_weight: Annotated[int | None, Parameter(help="its weight while it warns; 1 if it is not given")] = None
    keep: Annotated[
        float | None,
        Parameter(
            converter=as_seconds, help="how long it is known after its lease, such as 1d; a heartbeat brings it back"
        ),
    ] = None

    check: Annotated[
        tuple[str, ...],
        Parameter(
            help="how it is found out whether it works; may be repeated: ttl:30s,id=db-pool or http:/healthz or tcp or grpc"
        ),
    ] = ()

    def given(self) -> dict[str, Any]:
        """Those that were given. WrongArguments."""
        every = asdict(self) | {"tag": None, "meta": None, "check": None} | {"protocol": list(self.protocol)}
        every |= {
            "tags": list(self.tag),
            "checks": checks_of(self.check),
            "metadata": dict(key_values(self.meta, "--meta")),
        }
        return {key: value for key, value in every.items() if value not in (None, [], {})}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class _Own:
    """What is said once, by hand, and not while a program runs."""

    lease: Annotated[
        Literal["none"] | None, Parameter(help="it sends no heartbeats, and is registered until it is deregistered")
    ] = None
    hold: Annotated[
        float | None,
        Parameter(converter=as_seconds, help="how long it is a suspect after its lease; takes the right admin"),
    ] = None
    health: Annotated[
        Literal["passing", "warning", "failing"] | None,
        Parameter(help="what it says of itself: warning: a small share; failing: in no answer"),
    ] = None
    because: Annotated[str | None, Parameter(help="what it found, in words, beside --health")] = None
    id: Annotated[str | None, Parameter(help="its own id")] = None
    replace: Annotated[bool, Parameter(help="another instance of the service that has this id makes way")] = False

    def given(self) -> Json:
        every = asdict(self) | {"output": self.because, "because": None}
        return {key: value for key, value in every.items() if value is not None and value is not False}


def register(
    name: Annotated[str, Parameter(help="of the service")],
    /,
    *,
    ip: Annotated[
        str, Parameter(name=["--ip", "--address"], help="where it can be reached: an address or a host name")
    ],
    port: Annotated[int | None, Parameter(help="where it listens; it may have none")] = None,
    fields: Fields | None = None,
    own: _Own | None = None,
    output: Format = "table",
) -> None:
    body = {"name": name, "ip": ip, "port": port, **(own or _Own()).given()}
    body |= {to_camel(field): value for field, value in (fields or Fields()).given().items()}
    reply = ask(lambda registry: _register(registry, body))
    line = f"registered {named(reply['instance'])}; {_next(reply['heartbeatIntervalMs'] / 1000, body)}"
    put_done([reply["instance"]], [line], output, whole=reply)


async def _register(registry: RegistryClient, body: Json) -> Json:
    return shaped(await registry.register(body), replies.REGISTERED)


def _next(every: float, body: Json) -> str:
    if "lease" in body:
        return "it needs no heartbeats, and stays until it is deregistered"
    return f"it has to send a heartbeat every {every:.1f} s"


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


async def _deregister(registry: RegistryClient, target: str | None, where: Where | None, all: bool) -> Sequence[Json]:
    found = await instances_of(registry, target, where)
    if len(found) > 1 and not all:
        raise Failed(f"{target} has {len(found)} instances: name one with --ip and --port, or all of them with --all")
    for each in found:
        await send(registry, "DELETE", f"/instances/{in_path(each['id'])}", has=replies.DONE)
    return found


def named(instance: Json) -> str:
    return f"{instance['name']} {address(instance)} [id {instance['id']}]"

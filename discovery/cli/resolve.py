"""`discovery resolve NAME`: whom clients would be given, over HTTP, or over DNS as a legacy client would ask."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.connection import Filters, Json, ask, get, given, in_path
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.get import INSTANCE
from discovery.cli.output import Column, Format, put_rows, say
from discovery.cli.times import span
from discovery.client.replies import epoch

_RECORDS = (Column("name", fold=True), Column("ttl", right=True), Column("type"), Column("data", fold=True))


def resolve(
    name: Annotated[str, Parameter(help="of a service; with --dns also a whole name such as web.svc.local")],
    /,
    *,
    dns: Annotated[bool, Parameter(help="ask over DNS: A, AAAA and SRV")] = False,
    dns_server: Annotated[
        str | None, Parameter(help="IP or IP:PORT; otherwise DISCOVERY_URL's host and port 8600")
    ] = None,
    domain: Annotated[str, Parameter(help="the zone of a name without a dot")] = "svc.local",
    limit: Annotated[int | None, Parameter(help="at most so many")] = None,
    strategy: Annotated[
        Literal["random", "weighted", "round_robin", "latest"] | None, Parameter(help="their order")
    ] = None,
    filters: Filters | None = None,
    output: Format = "table",
) -> None:
    pairs = (filters or Filters()).pairs() + given(("limit", limit), ("strategy", strategy))
    if dns or dns_server is not None:
        if pairs:
            options = ", ".join(f"--{key.partition('.')[0]}" for key, _ in pairs)
            raise WrongArguments(
                f"{options}: not over DNS, where TAG.NAME, ZONE.zone.NAME and p3001.NAME are asked for"
            )
        _over_dns(name, domain, dns_server, output)
        return
    found = ask(lambda registry: get(registry, f"/resolve/{in_path(name)}", pairs, has=replies.RESOLVED))
    put_rows(found["instances"], _columns(epoch(found["timestamp"])), output, name="address", whole=found)
    if "zone" in found and output in ("table", "wide"):
        say(f"{found['zone']['why']}; the first {found['zone']['first']} are to be used")


def _columns(now: float) -> tuple[Column, ...]:
    """As of `get instances`: here all are of one service."""

    def last_beat(instance: Json) -> str:
        return f"{span(now - epoch(instance['lastHeartbeat']))} ago"

    own = {"status": Column("status"), "lastBeat": Column("lastBeat", last_beat, right=True)}
    return tuple(own.get(column.key, column) for column in INSTANCE if column.key not in ("service", "registeredAt"))


def _over_dns(name: str, domain: str, server: str | None, output: str) -> None:
    from discovery.cli import dns_client

    whole = name if "." in name else f"{name}.{domain}"
    answers = [dns_client.ask(dns_client.server(server), whole, rtype) for rtype in ("A", "AAAA", "SRV")]
    rows = [record for answer in answers for record in answer.records]
    rows = [row for place, row in enumerate(rows) if row not in rows[:place]]  # an alias is in the answer to each
    texts = dict.fromkeys(text for answer in answers for text in answer.explanations)
    if not rows:
        rcodes = " ".join(dict.fromkeys(answer.rcode for answer in answers))
        why = "; ".join(["NODATA" if rcodes == "NOERROR" else rcodes, *texts])
        raise Failed(f"{whole} has no addresses: {why}")
    put_rows(rows, _RECORDS, output, name="data")

"""`discovery log`: turns logs of a running server on for a while (each DNS query, each HTTP request, another level), and off."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli import replies
from discovery.cli.connection import Json, ask, send
from discovery.cli.errors import WrongArguments
from discovery.cli.output import Format, put_record
from discovery.cli.times import as_seconds


def log(
    off: Annotated[Literal["off"] | None, Parameter(help="everything as it is configured")] = None,
    /,
    *,
    queries: Annotated[bool, Parameter(help="a line for each DNS query")] = False,
    accesses: Annotated[bool, Parameter(help="a line for each HTTP request")] = False,
    level: Annotated[Literal["debug", "info", "warning", "error"] | None, Parameter(help="of the log")] = None,
    for_: Annotated[
        float | None,
        Parameter(name="--for", converter=as_seconds, help="how long, such as 10m; 10m if it is not given"),
    ] = None,
    name: Annotated[str | None, Parameter(help="only queries and requests about this name")] = None,
    client: Annotated[str | None, Parameter(help="only those of this address or network")] = None,
    answer: Annotated[bool, Parameter(help="with the records of each DNS reply")] = False,
    per_second: Annotated[
        int | None, Parameter(help="lines at the most; others are counted", validator=Number(gte=1))
    ] = None,
    output: Format = "table",
) -> None:
    given: Json = {
        "queries": queries,
        "accesses": accesses,
        "level": level,
        "seconds": None if for_ is None else math.ceil(for_),
        "name": name,
        "client": client,
        "answer": answer,
        "perSecond": per_second,
    }
    body: dict[str, Any] = {key: value for key, value in given.items() if value is not None and value is not False}
    if off and body:
        raise WrongArguments("off: turns everything off; leave the rest out")
    if body and not (queries or accesses or level):
        raise WrongArguments("say what to log: --queries, --accesses or --level")
    ask_for = ("PUT", "/admin/log", body) if off or body else ("GET", "/admin/log")
    put_record(ask(lambda registry: send(registry, *ask_for, has=replies.LOGGED)), output, name="level")

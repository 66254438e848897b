"""`discovery run --name NAME --port PORT -- COMMAND…`: what it takes. What it does stands in `supervisor`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli.errors import WrongArguments
from discovery.cli.register import Fields
from discovery.cli.supervisor import Run, supervise
from discovery.cli.times import as_seconds
from discovery.client import InvalidAddress


def run(
    *command: Annotated[str, Parameter(help="the program and its arguments, behind --", allow_leading_hyphen=True)],
    name: Annotated[str, Parameter(help="of the service")],
    port: Annotated[int, Parameter(help="where the program listens", validator=Number(gte=1, lte=65535))],
    ip: Annotated[
        str | None, Parameter(help="where others reach it; else the address by which this host speaks to the registry")
    ] = None,
    probe: Annotated[
        str | None,
        Parameter(help="the address where its port answers, if not there; none: it is registered at once (for UDP)"),
    ] = None,
    start_timeout: Annotated[
        float | None, Parameter(converter=as_seconds, help="ends it when its port has not answered by then, such as 2m")
    ] = None,
    drain: Annotated[
        float, Parameter(converter=as_seconds, help="longest wait for DNS caches before it is told to end; 30s")
    ] = 30.0,
    grace: Annotated[
        float, Parameter(converter=as_seconds, help="from being told to end until it is killed; 10s")
    ] = 10.0,
    fields: Fields | None = None,
) -> int:
    if not command:
        raise WrongArguments(
            "there is no program to run; write it behind --, as in: discovery run … -- python server.py"
        )
    given = (fields or Fields()).given()
    try:
        return supervise(Run(name, port, command, ip, probe, start_timeout, drain, grace, given))
    except InvalidAddress as error:
        raise WrongArguments(f"DISCOVERY_URL: {error}") from None

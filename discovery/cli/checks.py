"""`--check` of a registration: `ttl:30s,id=db-pool`, `http:/healthz,interval=5s`, `tcp`, `grpc:shop.Orders`, or the JSON of one; and
`discovery report`, which says what such a check found.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.connection import ask, in_path, send
from discovery.cli.errors import WrongArguments
from discovery.cli.output import Format, put_done
from discovery.core import moment

_SECONDS = ("ttl", "interval", "timeout", "criticalAfter")
_NUMBERS = ("port", "failures", "successes")
_FLAGS = {"true": True, "false": False}
_FORM = (
    "KIND or KIND:VALUE, then FIELD=VALUE with commas between: ttl:30s,id=db-pool or http:/healthz,interval=5s; or JSON"
)


def checks_of(given: Sequence[str]) -> list[Any]:
    """For the field `checks`; what they mean is the server's to say. WrongArguments."""
    return [_check(text) for text in given]


def _check(text: str) -> Any:
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise WrongArguments(f"--check: {text!r} is no JSON: {error}") from None
    first, *rest = text.split(",")
    kind, colon, value = first.partition(":")
    found: dict[str, Any] = {kind: _value(kind, value) if colon else True}
    for each in rest:
        field, equals, value = each.partition("=")
        if not equals:
            raise WrongArguments(f"--check: {each!r} of {text!r} is no FIELD=VALUE; it is {_FORM}")
        found[field] = _value(field, value)
    return found


def _value(field: str, value: str) -> Any:
    if field in _SECONDS:
        try:
            return moment.span(value)
        except ValueError as error:
            raise WrongArguments(f"--check: {field}: {error}") from None
    if field in _NUMBERS:
        return int(value) if value.isdecimal() else value
    if field == "ca":
        try:
            return Path(value).read_text()
        except (OSError, ValueError) as error:
            raise WrongArguments(f"--check: ca={value}: {error}") from None
    return _FLAGS.get(value, value) if field.startswith("tls") else value


def report(
    id: Annotated[str, Parameter(help="of the instance")],
    check: Annotated[str, Parameter(help="the id of one of its ttl checks")],
    health: Annotated[Literal["passing", "warning", "failing"], Parameter(help="what it found")],
    /,
    *,
    because: Annotated[str | None, Parameter(help="what it found, in words")] = None,
    output: Format = "table",
) -> None:
    body = {"health": health} if because is None else {"health": health, "output": because}
    path = f"/instances/{in_path(id)}/checks/{in_path(check)}"
    reply = ask(lambda registry: send(registry, "PUT", path, body, has=replies.REPORTED))
    line = f"the check {check} of {reply['instance']['name']} [id {id}] is {health}"
    put_done([reply["instance"]], [line], output, whole=reply)

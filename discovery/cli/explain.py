"""`discovery explain NAME`: of every instance why it is in the answers or not, since when and until when; now, or at an instant before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.connection import Json, ask, get, in_path
from discovery.cli.events import line
from discovery.cli.get import address
from discovery.cli.output import Column, Format, put_rows, say
from discovery.cli.times import TIMES, as_moment

_COLUMNS = (
    Column("address", address),
    Column("served", lambda account: "yes" if account["served"] else "no"),
    Column("status"),
    Column("why", fold=True),
    Column("since", fold=True),
    Column("until", fold=True),
    Column("next", fold=True, wide=True),
    Column("lastHeartbeat", fold=True, wide=True),
    Column("missed", lambda account: account.get("heartbeats", {}).get("missed"), right=True, wide=True),
    Column("id", wide=True),
)


def _checks(account: Json) -> str:
    return "; ".join(f"{id} {state['health']}" for id, state in account.get("checkStates", {}).items())


# Where any has some.
_CHECKS = Column("checks", _checks, fold=True)


def explain(
    name: Annotated[str, Parameter(help="of a service")],
    /,
    *,
    at: Annotated[
        str | None, Parameter(converter=as_moment, allow_leading_hyphen=True, help=f"as it was then: {TIMES}")
    ] = None,
    output: Format = "table",
) -> None:
    if at is None:
        path, pairs = f"/resolve/{in_path(name)}", [("explain", "1")]
    else:
        path, pairs = f"/services/{in_path(name)}/explain", [("at", at)]
    found = ask(lambda registry: get(registry, path, pairs, has=replies.EXPLAINED))
    checked = any("checkStates" in each for each in found["explained"])
    columns = (*_COLUMNS[:4], _CHECKS, *_COLUMNS[4:]) if checked else _COLUMNS
    put_rows(found["explained"], columns, output, name="id", whole=found, empty="no instance")
    if output in ("table", "wide"):
        for text in _besides(found):
            say(text)


def _besides(found: Json) -> Iterator[str]:
    """What an answer says besides: of the caller's zone, or of the past."""
    if "zone" in found:
        yield found["zone"]["why"]
    if found.get("down"):
        yield f"nobody was answered then: {found['down']}"
    for each in found.get("gone") or ():
        yield f"gone by then: {line(each)}"
    if found.get("complete") is False:
        yield f"the history begins at {found.get('since')}: what was before is not known"

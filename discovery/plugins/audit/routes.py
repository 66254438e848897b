"""GET /admin/audit: the newest lines of the file, a page at a time. Searched in a thread, one question after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from discovery.core.schema import OBJECT, TEXT, WHOLE, described, list_of, or_null
from discovery.plugins import Plugin, Seams
from discovery.plugins.audit.search import Asked, Cursor, NoAuditFile, Search
from discovery.rest.api import parameters
from discovery.rest.api.answers import Json
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.query import Table, Values, period, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import ACTOR, TIME, Shape, reply

_USUAL_LIMIT = 100
MAX_LIMIT = 1000

AUDIT: Table = {
    "limit": parameters.whole(1, MAX_LIMIT, "at most so many lines; 100 where it is not given"),
    "actor": parameters.text(128, "writes of this token, by its name, or from this address"),
    "service": parameters.name("writes that name this service"),
    "from": parameters.moment("from this time on"),
    "to": parameters.moment("before this time"),
    "before": parameters.cursor((20, 15), "1835023.48213"),
}


_LINE = Shape(
    "AuditLine",
    {
        "time": TIME,
        "by": ACTOR,
        "action": TEXT,
        "outcome?": TEXT,
        "index?": WHOLE,
        "service?": or_null(TEXT),
        **dict.fromkeys(("instance?", "before?", "after?"), or_null(OBJECT)),
    },
    "As it stands in the file: README.md of the plugin has its fields. Lines of earlier versions, and `lost`, have fewer.",
    more=True,
)
REPLY = reply(
    "AuditReply",
    {
        "lines": list_of(_LINE),
        "next": described(
            or_null(TEXT), "`before` of the following page; null at the end. A page may have fewer lines than `limit`, or none, and a "
            "next: the search went on for two seconds"
        ),
        "broken": described(WHOLE, "lines that were cut, or are not the audit's, and were passed over"),
    },
    "Newest first.",
)  # fmt: skip


class AuditRoutes(Plugin):
    """`path`: the file; None: there is no audit, and whoever asks for it is told what to set."""

    def __init__(self, path: Path | None, wall: Callable[[], float]) -> None:
        self._path = path
        self._wall = wall
        self._ended = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit-asking")

    def install(self, seams: Seams) -> None:
        seams.routes.append(
            Route(
                "GET", "/admin/audit", self.get, Right.ADMIN, Kind.OPERATION, "Who changed what, newest first", HEADING,
                REPLY, codes=("AUDIT_OFF",), query=AUDIT,
                examples=(Example(query={"limit": "1"}, after=("PUT /instances/user-1/drain",)),),
            )
        )  # fmt: skip

    async def close(self) -> None:
        self._ended = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def get(self, request: Request) -> Json:
        asked = _asked(values_of(request), self._wall())
        if self._path is None:
            raise HttpError.usual("AUDIT_OFF")
        search = Search(self._path, asked, ended=lambda: self._ended)
        try:
            page = await asyncio.get_running_loop().run_in_executor(self._thread, search.page)
        except NoAuditFile as error:
            raise HttpError("AUDIT_OFF", str(error)) from None
        return {
            "lines": [orjson.Fragment(line) for line in page.lines],
            "next": None if page.next is None else f"{page.next.file}.{page.next.at}",
            "broken": page.broken,
        }


def _asked(values: Values, wall: float) -> Asked:
    before = Cursor(*values["before"]) if "before" in values else None
    limit = values.get("limit", _USUAL_LIMIT)
    return Asked(limit, values.get("actor"), values.get("service"), *period(values, wall), before)

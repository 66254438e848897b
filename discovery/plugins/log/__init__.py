"""PUT /admin/log: logs each query or request, or more than LOG_LEVEL says, for a time. README.md beside this file."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from discovery.core.caller import Caller
from discovery.core.checked import Rule, flag_of, whole_between
from discovery.core.errors import InvalidField
from discovery.core.schema import FLAG, TEXT, WHOLE, described, one_of, or_null
from discovery.dns.server.traffic import Exchange
from discovery.plugins import Plugin, Seams
from discovery.plugins.log import lines
from discovery.plugins.log.switch import Filter, Rate
from discovery.rest.api.answers import Json
from discovery.rest.api.requests import Request, json_object
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import TIME, Shape, like, reply
from discovery.rest.api.times import iso
from discovery.rest.http import access_log
from discovery.store.registry import Registry

_LEVELS = ("debug", "info", "warning", "error")
MAX_SECONDS, USUAL_SECONDS = 86_400, 600
# Lines a second: enough to see what goes on, and less than the log's reader has to keep up with.
MAX_PER_SECOND, USUAL_PER_SECOND = 1_000, 100


def _level(field: str, value: object) -> str | None:
    if value is not None and value not in _LEVELS:
        raise InvalidField(field, f"must be one of {', '.join(_LEVELS)}")
    return None if value is None else str(value)


def _text(field: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidField(field, "must be a string")
    return value


# What is logged from now on, for a time: what each field may be. One that is not known is refused: a slip must not turn the log off.
_RULES: Mapping[str, Rule[Any]] = {
    "queries": (flag_of, FLAG),
    "accesses": (flag_of, FLAG),
    "level": (_level, or_null(one_of(_LEVELS))),
    "seconds": whole_between(1, MAX_SECONDS),
    "perSecond": whole_between(1, MAX_PER_SECOND),
    "name": (_text, or_null(like(TEXT, "user-service"))),
    "client": (_text, or_null(like(TEXT, "10.0.0.0/8"))),
    "answer": (flag_of, FLAG),
}
_OFF: Json = {
    "queries": False, "accesses": False, "level": None, "seconds": USUAL_SECONDS, "perSecond": USUAL_PER_SECOND, "name": None,
    "client": None, "answer": False,
}  # fmt: skip
_BODY = Shape(
    "LogBody",
    {f"{name}?": {**schema, "default": _OFF[name]} for name, (_, schema) in _RULES.items()},
    "PUT /admin/log",
    more=False,
)
REPLY = reply(
    "LogReply",
    {
        **{name: schema for name, (_, schema) in _RULES.items() if name not in ("level", "seconds")},
        "level": TEXT,
        "until": described(or_null(TIME), "when all is as it was configured; null when it is"),
        "written": described(WHOLE, "lines since it was switched"),
        "heldBack": described(WHOLE, "lines since it was switched"),
    },
)

_log = logging.getLogger("discovery.log")


class LogSwitch(Plugin):
    """`clock`: monotonic seconds. `root`: whose level is changed."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], root: logging.Logger) -> None:
        self._clock = clock
        self._wall = wall
        self._root = root
        self._configured_level: int | None = None  # while there is another
        self._seams = Seams()
        self._timer: asyncio.TimerHandle | None = None
        self._until: float | None = None  # epoch seconds
        self._set(_OFF, Filter(None, None))

    def install(self, seams: Seams) -> None:
        self._seams = seams
        seams.dns_traffic.wanted = seams.http_traffic.wanted = True
        right, kind = Right.ADMIN, Kind.OPERATION
        seams.routes.extend(
            [
                Route("GET", "/admin/log", self.show, right, kind, "What is logged", HEADING, REPLY),
                Route("PUT", "/admin/log", self.change, right, kind, "Log more, for a time", HEADING, REPLY, _BODY),
            ]
        )

    async def close(self) -> None:
        self._off()

    def show(self, request: Request) -> Json:
        return self._answer()

    def change(self, request: Request) -> Json:
        sent = json_object(request)
        for name in sent:
            if name not in _RULES:
                raise InvalidField(name, "is not known here")
        body = _OFF | {name: _RULES[name][0](name, value) for name, value in sent.items()}
        filter = Filter(body["name"], body["client"])  # before anything has changed
        self._off()
        self._on(body, filter, request.caller)
        return self._answer()

    def _set(self, body: Json, filter: Filter) -> None:
        self._body = body
        self._filter = filter
        self._queries, self._accesses = Rate(body["perSecond"]), Rate(body["perSecond"])

    def _on(self, body: Json, filter: Filter, by: Caller) -> None:
        self._set(body, filter)
        if body["queries"]:
            self._seams.dns_traffic.watch(self._see_query)
        if body["accesses"]:
            self._seams.http_traffic.watch(self._see_request)
        if body["level"] is not None:
            self._configured_level = self._root.level
            self._root.setLevel(body["level"].upper())
        shown = ", ".join(f"{name} {value}" for name, value in body.items() if value != _OFF[name])
        _log.warning(
            "the log is changed by %(_by)s: %(_changes)s",
            {
                "event": "log.changed", "actor": by.name, "client": by.address, "changes": shown,
                "_by": by, "_changes": shown or "as it was configured",
            },
        )  # fmt: skip
        if body["queries"] or body["accesses"] or body["level"] is not None:
            self._until = self._wall() + body["seconds"]
            self._timer = asyncio.get_running_loop().call_later(body["seconds"], self._over)

    def _over(self) -> None:
        written = self._queries.written + self._accesses.written
        held_back = self._queries.held_back + self._accesses.held_back
        self._off()
        _log.warning(
            "the log is as it was configured again; %(lines)d queries and requests were written, %(held_back)d held back",
            {"event": "log.restored", "lines": written, "held_back": held_back},
        )

    def _off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._body["queries"]:
            self._seams.dns_traffic.unwatch(self._see_query)
        if self._body["accesses"]:
            self._seams.http_traffic.unwatch(self._see_request)
        if self._configured_level is not None:
            self._root.setLevel(self._configured_level)
            self._configured_level = None
        self._until = None
        self._set(_OFF, Filter(None, None))

    def _see_query(self, exchange: Exchange) -> None:
        filter = self._filter
        if not filter.has_client(exchange.client):
            return
        name = lines.name_in(exchange.packet)
        if not filter.has_name(name or ()) or not self._queries.take(self._clock()):
            return
        if untold := self._queries.untold():
            lines.queries_held_back(untold)
        lines.query(exchange, name, self._body["answer"])

    def _see_request(self, request: Request, address: str, seconds: float) -> None:
        filter = self._filter
        if access_log.is_logged(request) or not filter.has_client(address) or not filter.has_path(request.path):
            return
        if not self._accesses.take(self._clock()):
            return
        if untold := self._accesses.untold():
            lines.requests_held_back(untold)
        access_log.write(access_log.watched, logging.INFO, request, address, seconds)

    def _answer(self) -> Json:
        return {
            **{name: value for name, value in self._body.items() if name != "seconds"},
            "level": logging.getLevelName(self._root.level).lower(),
            "until": None if self._until is None else iso(self._until),
            "written": self._queries.written + self._accesses.written,
            "heldBack": self._queries.held_back + self._accesses.held_back,
        }


def make(registry: Registry, clock: Callable[[], float]) -> LogSwitch:
    return LogSwitch(clock, time.time, logging.getLogger())

"""PUT /instances/{id}/checks/{check}: what an instance reports on a `ttl` check of its own. A report that says what was said before is a
heartbeat, and costs what that costs.
"""

from __future__ import annotations

from collections.abc import Awaitable

import orjson

from discovery.core.errors import InvalidField
from discovery.core.health import Finding
from discovery.core.schema import TEXT, or_null
from discovery.rest.api import views
from discovery.rest.api.answers import Json
from discovery.rest.api.beating import RENEWED
from discovery.rest.api.example import Example
from discovery.rest.api.json_body import json_object
from discovery.rest.api.registering import ADVICE, HEADING, OUTPUT, Registrar
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.shapes import HEALTH, Shape, reply, said
from discovery.rest.api.unknown_fields import Fields
from discovery.store.engine import report_check
from discovery.store.service import Entry

_BODY = Shape("ReportBody", {"health": HEALTH, "output?": or_null(OUTPUT)})
_REPLY = reply("ReportReply", {**ADVICE, "message": said("Report noted"), "instance": RENEWED, "check": TEXT})
_FIELDS = Fields(_BODY)


class Reporting(Registrar):
    def routes(self) -> list[Route]:
        return [
            Route(
                "PUT", "/instances/{id}/checks/{check}", self.report, Right.WRITE, Kind.HEARTBEAT, "Report on a ttl check", HEADING,
                _REPLY, _BODY, codes=("INSTANCE_UNKNOWN", "CHECK_UNKNOWN", "CHECK_IS_MADE", "ENGINE_UNAVAILABLE", "MOVED"),
                is_small=True, examples=(Example({"health": "passing", "output": "12 of 20 in use"}, after=("PUT /instances",)),),
            ),
        ]  # fmt: skip

    def report(self, request: Request) -> Json | Awaitable[Json]:
        sent = json_object(request, orjson.loads)
        id, check = request.names["id"], request.names["check"]
        finding = Finding.of(sent.get("health"), sent.get("output"))
        done = report_check(self.engine, self.registry, id, check, finding, request.caller, self.clock())
        return self._answer(done, check, sent) if isinstance(done, Entry) else self._answered(done, check, sent)

    async def _answered(self, done: Awaitable[Entry], check: str, sent: Json) -> Json:
        return self._answer(await done, check, sent)

    def _answer(self, entry: Entry, check: str, sent: Json) -> Json:
        return {
            "message": "Report noted",
            "instance": views.renewed(entry, self.clock(), self.times),
            "check": check,
            **self._advice(entry.lease.ttl),
            **_FIELDS.said_of(sent),
        }


def findings_of(reported: object, field: str) -> dict[str, Finding]:
    """Of a batch's item: `{check: {health, output?}}`. InvalidField."""
    if not isinstance(reported, dict):
        raise InvalidField(field, "must be an object of check ids, each with health and perhaps output")
    found = {}
    for check, each in reported.items():
        name = f"{field}.{check!s:.40}"
        if not isinstance(each, dict):
            raise InvalidField(name, "must be an object with health and perhaps output")
        found[str(check)] = Finding.of(each.get("health"), each.get("output"), f"{name}.")
    return found

"""GET /services/NAME: one service, with every instance that it has, and of each why it is in the answers or not."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from urllib.parse import quote

from discovery.core.name import fold, service_name
from discovery.core.schema import TEXT, WHOLE, list_of
from discovery.core.suggest import Suggester
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, DeferredAnswer, Json, stamped
from discovery.rest.api.errors import HttpError
from discovery.rest.api.etag import etag, headers
from discovery.rest.api.following.waiting import WAITING, Wait
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.query import values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import HEADING, living
from discovery.rest.api.shapes import ACCOUNTED, LISTED, reply
from discovery.store.absent import absent
from discovery.store.explain import Account, accounts
from discovery.store.service import Entry, Service
from discovery.system.turns import turns

_REPLY = reply(
    "ServiceReply",
    {
        "serviceName": TEXT,
        "instanceCount": WHOLE,
        "healthyCount": WHOLE,
        "instances": list_of(LISTED.also("ListedWithAccount", ACCOUNTED)),
    },
)


class OneService(Handlers):
    def __post_init__(self) -> None:
        self._suggester = Suggester(lambda: self.registry.services)

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/services/{name}", self.get, Right.READ, Kind.QUESTION, "One service: all instances, and why", HEADING,
                _REPLY, status=(200, 304), codes=("SERVICE_UNKNOWN", "TOO_MANY_WATCHERS"), query=WAITING,
            )
        ]  # fmt: skip

    def get(self, request: Request) -> Awaitable[Answer] | DeferredAnswer:
        """At once, or when something about it has changed."""
        name = service_name(request.names["name"])
        sees_names = self.sees_names(request.caller, name)
        make = partial(self._answer, name, sees_names)
        wait = Wait.of(values_of(request))
        if wait is None:
            return make()
        # Whoever waits shares an answer with his like alone, and with nobody who waits for the instances to use.
        return self.polls.of_service(name, wait, (("all", str(sees_names)),), make)

    async def _answer(self, name: str, sees_names: bool) -> Answer:
        registry, service, now = self.registry, self._found(name, sees_names), self.clock()
        entries = list(service.entries.values())
        found = accounts(registry, service, entries, now, sees_names)
        shown = [self._shown(entry, each, now, sees_names) for entry, each in zip(entries, found, strict=True)]
        tag = None if registry.is_ahead else etag(registry.index_of(name), (registry.view(), tuple(map(_state, shown))))
        content = {
            "serviceName": service.name,
            "instanceCount": living(shown),
            "healthyCount": sum(each["isHealthy"] for each in shown),
            "instances": shown,
        }
        await turns().over()  # for 1,000 instances it was 9 ms to here
        return Answer(200, stamped(content, self.times), headers(tag), registry.index_of(name))

    def _found(self, name: str, sees_names: bool) -> Service:
        """HttpError 404 with the nearest name."""
        service = self.registry.service(name)
        if service is not None:
            return service
        near = self._suggester.suggest(fold(name), self.clock())
        guess, more = ("", {}) if near is None else (f"Did you mean {near}? ", {"suggestion": near})
        if known := absent(self.registry, name, self.clock(), sees_names):
            more = {**more, "known": known}
        text = (
            f"No service {name} is registered{f'; {known}' if known else ''}. {guess}GET /services lists those that are, "
            f"GET /history?service={quote(name, safe='')} what became of it"
        )
        error = HttpError("SERVICE_UNKNOWN", text, serviceName=name, **more)
        error.index = self.registry.index_of(name)
        raise error

    def _shown(self, entry: Entry, account: Account, now: float, sees_names: bool) -> Json:
        listed = views.listed(entry, now, self.times, self.registry.window(entry.instance))
        return listed | views.accounted(account, sees_names)


def _state(shown: Json) -> tuple[str, str, bool, bool]:
    """Heartbeats that are taken do not change it."""
    return shown["id"], shown["status"], shown["served"], "refusedHeartbeats" in shown

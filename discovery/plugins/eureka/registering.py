"""What Eureka's clients say: they register, renew, cancel; and what is said of them: overridden statuses, metadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from discovery.core.caller import Caller
from discovery.core.instance import Key
from discovery.core.name import fold
from discovery.plugins.eureka.forms import body_of
from discovery.plugins.eureka.ids import Ids, records_of
from discovery.plugins.eureka.listing import HEADING, Listing
from discovery.plugins.eureka.record import STATUSES, is_out, number_of, read
from discovery.plugins.eureka.writing import AddMetadata, Announce, Cancel, Forget, Override
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.query import MAX_PARAMETERS
from discovery.rest.api.requests import Request
from discovery.rest.api.route import STORED, Kind, Right, Route
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.service import Entry

_DONE = Answer(200, b"", media="")


class Registering:
    """`count_registration`: as of `Seams`."""

    engine: Engine  # once it is open

    def __init__(
        self, listing: Listing, ids: Ids, clock: Callable[[], float], count_registration: Callable[[str, float], None]
    ) -> None:
        self._listing = listing
        self._ids = ids
        self._clock = clock
        self._count_registration = count_registration

    def routes(self) -> list[Route]:
        def route(method: str, path: str, handler: Callable[[Request], object], kind: Kind, text: str) -> Route:
            return Route(method, path, handler, Right.WRITE, kind, text, HEADING, codes=STORED, lenient=True)  # type: ignore[arg-type]

        return [
            replace(
                route("POST", "/apps/{app}", self.register, Kind.REGISTRATION, "Register"), status=(204,), is_small=True
            ),
            replace(route("PUT", "/apps/{app}/{id}", self.renew, Kind.HEARTBEAT, "Renew a lease"), is_small=True),
            route("DELETE", "/apps/{app}/{id}", self.cancel, Kind.REMOVAL, "Deregister"),
            route("PUT", "/apps/{app}/{id}/status", self.override, Kind.OPERATION, "Override a status"),
            route("DELETE", "/apps/{app}/{id}/status", self.override, Kind.OPERATION, "End an override"),
            route("PUT", "/apps/{app}/{id}/metadata", self.metadata, Kind.OPERATION, "Add metadata"),
        ]

    async def register(self, request: Request) -> Answer:
        self._count_registration(request.caller.address, self._clock())
        sent = read(body_of(request), request.names["app"])
        place = self._ids.place(sent.spec.key.service, sent.id)
        if place is not None and sent.dirty is not None and sent.dirty < place.dirty and self._lives(place.key):
            self.engine.renew(place.key, request.caller)  # what is known is newer than this
            return Answer(204, b"")
        moved_from = None if place is None else place.key
        instance = await self.engine.submit(Announce(sent, moved_from), request.caller)
        self._ids.renewed(instance.spec.key, sent.id, sent.spec.ttl or 0.0)
        record = records_of(instance).get(sent.id, {})
        if (status := record.get("overriddenStatus")) and is_out(records_of(instance)) and not instance.draining:
            await self.engine.submit(Override(instance.id, sent.id, status, request.reason), request.caller)
        return Answer(204, b"")

    def renew(self, request: Request) -> Answer | Awaitable[Answer]:
        """UnknownInstance, which is answered without a body (`forms.error_form`): then clients register again."""
        service, id = fold(request.names["app"]), request.names["id"]
        place, dirty = self._ids.place(service, id), _dirty(request.query)
        try:
            if place is not None and dirty is not None and dirty > place.dirty:
                raise UnknownInstance(id)  # as it is now: it has to say how it has changed
            key = self._entry(service, id).instance.spec.key if place is None else place.key
            entry = self.engine.renew(key, request.caller)
        except UnknownInstance:
            self._listing.registry.unknown_heartbeats += 1
            raise
        if place is not None and (silent := self._ids.renewed(key, id, entry.lease.ttl)):
            return self._forget(key, tuple(silent), request.caller)
        return _DONE

    async def _forget(self, key: Key, ids: tuple[str, ...], by: Caller) -> Answer:
        """The renewal has brought to light that others at its address have gone."""
        await self.engine.submit(Forget(key, ids), by)
        return _DONE

    async def cancel(self, request: Request) -> Answer:
        entry, id = self._named(request)
        await self.engine.submit(Cancel(entry.instance.spec.key, id, request.reason), request.caller)
        return _DONE

    async def override(self, request: Request) -> Answer:
        """PUT and DELETE. What an instance is after the end of an override is what it says of itself, whatever `value` says."""
        entry, id = self._named(request)
        status = None
        if request.method == "PUT":
            status = next((value for name, value in _pairs(request.query) if name == "value"), "")
            if status not in STATUSES:
                raise HttpError("INTERNAL", f"value must be one of {', '.join(STATUSES)}")
        await self.engine.submit(Override(entry.instance.spec.key, id, status, request.reason), request.caller)
        return _DONE

    async def metadata(self, request: Request) -> Answer:
        """Of a key that is sent twice the first counts."""
        entry, _ = self._named(request)
        if said := dict(reversed(_pairs(request.query))):
            await self.engine.submit(AddMetadata(entry.instance.spec.key, said, request.reason), request.caller)
        return _DONE

    def _lives(self, key: Key) -> bool:
        entry = self._listing.registry.find(key)
        return entry is not None and not entry.over(self._clock())

    def _named(self, request: Request) -> tuple[Entry, str]:
        """UnknownInstance."""
        service, id = fold(request.names["app"]), request.names["id"]
        return self._entry(service, id), id

    def _entry(self, service: str, id: str) -> Entry:
        entry = self._listing.find(service, id)
        if entry is None:
            raise UnknownInstance(id)
        return entry


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise HttpError("BROKEN_BODY", f"the query has more than {MAX_PARAMETERS} parameters") from None


def _dirty(query: str) -> int | None:
    """Milliseconds; None: it is not said. HttpError 500, as there."""
    if "lastDirtyTimestamp=" not in query:
        return None
    text = next((value for name, value in _pairs(query) if name == "lastDirtyTimestamp"), "")
    number = number_of(text)
    if number is None:
        raise HttpError("INTERNAL", "lastDirtyTimestamp must be milliseconds since 1970")
    return number

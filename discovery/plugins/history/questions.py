"""The routes: /history, and /services/NAME/explain?at=TIME. Files are searched in threads, a few questions at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from discovery.core.caller import Caller
from discovery.core.errors import Forbidden, InvalidField, Unauthorized
from discovery.core.event import Commit
from discovery.core.name import fold, service_name
from discovery.core.status import SILENT
from discovery.plugins.history import past
from discovery.plugins.history.asked import Asked, Cursor, Page, ServerEvent, ServiceAt
from discovery.plugins.history.folder import Folder
from discovery.plugins.history.reading import Reading
from discovery.plugins.history.recorder import Recorder
from discovery.plugins.history.replies import EXPLAIN, HISTORY, HISTORY_REPLY, PAST_REPLY
from discovery.plugins.history.rows import StoredEvent
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, Json
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.following import event_view
from discovery.rest.api.query import period, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.times import iso
from discovery.store.explain import Account, accounts
from discovery.store.registry import Registry

# Questions that are being answered, and that may wait for it besides: beyond, 503.
_THREADS = 2
_MAX_WAITING = 6
_RETRY_AFTER = 1
_DEFAULT_LIMIT = 100
# Of those that were gone by the instant: the last so many.
_MAX_GONE = 100


@dataclass(eq=False)
class Questions:
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds. `tokens`: not empty where who asked is for tokens with the right
    read alone. `recorder`: None where no history is kept.
    """

    registry: Registry
    clock: Callable[[], float]
    wall: Callable[[], float]
    tokens: list[Any]
    recorder: Callable[[], Recorder | None]

    def __post_init__(self) -> None:
        self._waiting = 0
        self._ended = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="history")

    def routes(self) -> list[Route]:
        codes = ("NOT_RECORDED", "HISTORY_BUSY", "HISTORY_TOO_SLOW")
        return [
            Route(
                "GET", "/history", self.history, Right.READ, Kind.OPERATION, "What happened, newest first",
                "Following changes", HISTORY_REPLY, codes=codes, query=HISTORY,
                examples=(Example(query={"limit": "1"}, after=("PUT /instances/user-1/drain",)),),
            ),
            Route(
                "GET", "/services/{name}/explain", self.explain, Right.READ, Kind.OPERATION,
                "Who was in the answers at an instant, and why the others were not",
                "Finding instances", PAST_REPLY, codes=("SERVICE_UNKNOWN", *codes), query=EXPLAIN,
                examples=(Example(after=("DELETE /instances/user-2",)),),
            ),
        ]  # fmt: skip

    def close(self) -> None:
        self._ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    # -- what happened

    async def history(self, request: Request) -> Answer:
        values = values_of(request)
        caller, wall = request.caller, self.wall()
        asked = Asked(
            values.get("service"), values.get("ip"), values.get("actor"), values.get("kind"),
            *period(values, wall),
            Cursor(*values["before"]) if "before" in values else None,
            values.get("limit", _DEFAULT_LIMIT),
        )  # fmt: skip
        with_actor = self._may_see_actors(caller)
        if asked.actor is not None and not with_actor:
            _refuse(caller)
        return await self._read(lambda reading: _page(reading.page(asked), wall, with_actor))

    # -- how it was

    async def explain(self, request: Request) -> Answer:
        name = service_name(request.names["name"])
        values = values_of(request)
        wall = self.wall()
        instant = values["at"](wall) if "at" in values else wall
        if instant > wall:
            raise InvalidField("at", f"{iso(instant)} lies ahead: it is {iso(wall)} here")
        sees_names = not self.tokens or request.caller.grants.may_write(fold(name))
        now = None if "at" in values else self._as_it_is(fold(name), sees_names)
        untold, lasting = self._untold(fold(name)), self._lasting(fold(name), instant)
        shown = partial(_explained, name, instant, sees_names, now, lasting)
        return await self._read(lambda reading: shown(reading.service_at(fold(name), instant, untold)))

    def _as_it_is(self, name: str, sees_names: bool) -> list[Account]:
        service, now = self.registry.service(name), self.clock()
        if service is None:
            return []
        return accounts(self.registry, service, service.entries.values(), now, sees_names)

    def _untold(self, name: str) -> dict[str, float]:
        """By id, when the leases ended that are over, and no event has told of it."""
        service, now, wall_of = self.registry.service(name), self.clock(), self.registry.walls()
        return {
            entry.instance.id: wall_of(entry.lease_end)
            for entry in (() if service is None else service.entries.values())
            if entry.status not in SILENT and entry.over(now)
        }

    def _lasting(self, name: str, instant: float) -> past.Lasting:
        """Of those who have had their status since before the instant: that may be longer than the file knows, which a start began."""
        service = self.registry.service(name)
        return {
            entry.instance.id: (entry.status, entry.since, entry.asker)
            for entry in (() if service is None else service.entries.values())
            if entry.since is not None and entry.since <= instant
        }

    # -- in a thread

    async def _read(self, ask: Callable[[Reading], bytes]) -> Answer:
        if (recorder := self.recorder()) is None:
            raise HttpError("NOT_RECORDED", "No history is kept here: it takes a DATA_DIR, and HISTORY_DAYS above 0")
        await recorder.flushed()
        folder, broken = recorder.folder, list[Path]()

        def answer() -> bytes:  # whose patience begins in the thread, and not while it waits for one
            return ask(Reading(folder.files, folder.skipped, broken, ended=lambda: self._ended))

        try:
            return Answer(200, await self._in_thread(answer))
        finally:
            for path in broken:
                recorder.writer.put(partial(Folder.discard, path=path))

    async def _in_thread(self, answer: Callable[[], bytes]) -> bytes:
        if self._waiting >= _THREADS + _MAX_WAITING:
            text = f"{self._waiting} questions to the history are being answered; ask again in a second"
            raise HttpError("HISTORY_BUSY", text, retryAfter=_RETRY_AFTER)
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, answer)
        future.add_done_callback(self._answered)  # it goes on when whoever asked has left
        return await asyncio.shield(future)

    def _answered(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may have left

    def _may_see_actors(self, caller: Caller) -> bool:
        return not self.tokens or caller.grants.may_read


def _refuse(caller: Caller) -> None:
    if not caller.name:
        raise Unauthorized(
            "actor takes a token with the right 'read': send Authorization: Bearer TOKEN", "it shows no token"
        )
    raise Forbidden(caller.name, "read")


def _page(page: Page, wall: float, with_actor: bool) -> bytes:
    content = {
        "events": [_item(item, with_actor) for item in page.items],
        "next": None if page.next is None else f"{page.next.file}.{page.next.key}",
        "complete": page.missing is None,
        "missing": page.missing,
        "since": None if page.since is None else iso(page.since),
        "timestamp": iso(wall),
    }
    return orjson.dumps(content)


def _item(item: StoredEvent | ServerEvent, with_actor: bool) -> Json:
    if isinstance(item, StoredEvent):
        return event_view.shown(item.event, _commit(item), with_actor)
    shown = {
        "index": item.commit,
        "kind": item.kind,
        "service": None,
        "instance": None,
        "before": None,
        "reason": item.reason,
        "actor": None,
        "timestamp": iso(item.wall),
    }
    return shown if item.until == item.wall else shown | {"until": iso(item.until)}


def _explained(
    name: str, instant: float, sees_names: bool, now: list[Account] | None, lasting: past.Lasting, then: ServiceAt
) -> bytes:
    """`now`: the accounts, where the instant is now."""
    found = past.accounts(then, sees_names, lasting) if now is None else now
    gone = [each for each in then.instances if each.gone is not None][-_MAX_GONE:]
    if not found and not gone:
        text = f"No service {name} was registered at {iso(instant)}, nor before, as far as the history goes back"
        since = {} if then.since is None else {"since": iso(then.since)}
        raise HttpError("SERVICE_UNKNOWN", text, serviceName=name, **since)
    explained = [views.explained(each, sees_names) for each in found]
    if then.down is not None:
        explained = [each | {"served": False, "why": then.down} for each in explained]
    content = {
        "serviceName": name,
        "at": iso(instant),
        "served": sum(each["served"] for each in explained),
        "down": then.down,
        "explained": explained,
        "gone": [event_view.shown(each.gone.event, _commit(each.gone), sees_names) for each in gone if each.gone],
        "complete": then.sure,
        "since": None if then.since is None else iso(then.since),
        "timestamp": iso(time.time()),
    }
    return orjson.dumps(content)


def _commit(stored: StoredEvent) -> Commit:
    return Commit(stored.index_of_commit, stored.wall, stored.by, "", (stored.event,))

"""Answers that are the same for everybody with the same rights: made once, and kept until the next commit, change of staleness or end of a
lease, for so long as the route says at most (a second). Whoever asks meanwhile is given the same octets; gzip is made of them once, in a
thread.

A route says so itself (`Route.kept`). Nobody is given an instance whose lease had run out when he asked, or less than the index says.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Hashable

from discovery.rest.api.answers import Answer, KeptBody, Pieces
from discovery.rest.api.deferred_answer import DeferredAnswer
from discovery.rest.api.etag import takes_gzip
from discovery.rest.api.requests import Request
from discovery.store.registry import Registry
from discovery.system.turns import turns
from discovery.system.waiting_octets import WaitingOctets

# Between two looks for what is kept no longer.
_CLEAN_SECONDS = 1.0
# Forms: routes with a query and a right. Octets of all, gzip among them; one that is longer than an eighth is streamed to each who asks.
MAX_FORMS = 8
MAX_OCTETS = 32 * 1024 * 1024
# Octets that are worth packing: what is shorter fits a packet or two as it is. Level 1 takes a third of the time for a tenth more octets.
_LONG, _LEVEL = 2048, 1


class _Kept:
    """`state`: of the registry when it was begun. `until`: on the registry's clock."""

    def __init__(self, state: Hashable, until: float, answer: Answer, body: KeptBody) -> None:
        self.state = state
        self.until = until
        self.bodies = [body]
        self.answer = answer._replace(body=body)
        self.packed: Answer | None = None
        self._packing: asyncio.Task[None] | None = None
        if len(body) > _LONG:
            self.answer = self.answer._replace(headers={**answer.headers, "Vary": "Origin, Accept-Encoding"})
        else:
            self.packed = self.answer

    @property
    def octets(self) -> int:
        return sum(map(len, self.bodies))

    async def pack(self) -> Answer:
        if self._packing is None:
            self._packing = asyncio.create_task(self._pack())
        await asyncio.shield(self._packing)
        assert self.packed is not None
        return self.packed

    async def _pack(self) -> None:
        packed = KeptBody(await asyncio.to_thread(gzip.compress, self.bodies[0].octets, _LEVEL, mtime=0))
        self.packed = self.answer._replace(body=packed, headers={**self.answer.headers, "Content-Encoding": "gzip"})
        self.bodies.append(packed)


class KeptBodies:
    """`clock`: monotonic seconds, the registry's. What is kept counts among the octets that wait for clients, once."""

    def __init__(self, registry: Registry, clock: Callable[[], float], waiting: WaitingOctets) -> None:
        self._registry = registry
        self._clock = clock
        self._waiting = waiting
        self._kept: dict[Hashable, _Kept] = {}  # longest unused first
        self._making: dict[Hashable, tuple[Hashable, asyncio.Task[_Kept | None]]] = {}
        self._too_many: dict[Hashable, int] = {}  # instances, of forms that were too long
        self._cleaning: asyncio.TimerHandle | None = None

    async def answer(self, request: Request, form: Hashable) -> Answer:
        key = (request.route.path, form, request.caller.grants)
        asked_at = self._clock()
        kept = self._fresh(key)
        while kept is None or kept.until <= asked_at:
            state = self._state()
            if state is None or len(self._registry) >= self._too_many.get(key, _ANY):
                return await _of_handler(request)
            kept = await self._made(key, state, request)
            if kept is None:
                return await _of_handler(request)
        if not takes_gzip(request):
            return kept.answer
        if kept.packed is None:
            await kept.pack()
            self._count()
        return kept.packed or kept.answer

    def at_once(self, request: Request, form: Hashable) -> Answer | None:
        """When it is there, or the client has it."""
        kept = self._fresh((request.route.path, form, request.caller.grants))
        if kept is not None:
            return kept.packed if takes_gzip(request) else kept.answer
        if b"if-none-match" in request.headers:
            made = request.route.handler(request)
            if isinstance(made, Answer):
                return made
            if asyncio.iscoroutine(made):
                made.close()
        return None

    def _fresh(self, key: Hashable) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None or kept.until <= self._clock() or kept.state != self._state():
            return None
        self._kept[key] = self._kept.pop(key)
        return kept

    def _state(self) -> Hashable:
        """None: what is told may change without a trace, so nothing is kept."""
        registry = self._registry
        if registry.is_ahead or registry.has_own_statuses:
            return None
        return registry.index, registry.staleness, registry.stale_seconds()

    # -- making

    async def _made(self, key: Hashable, state: Hashable, request: Request) -> _Kept | None:
        """By whoever came first since the state is what it is. None: it cannot be kept."""
        known, task = self._making.get(key, (None, None))
        if task is None or known != state:
            task = asyncio.create_task(self._make(key, state, request))
            self._making[key] = state, task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, task: asyncio.Task[_Kept | None]) -> None:
        if self._making.get(key, (None, None))[1] is task:
            del self._making[key]

    async def _make(self, key: Hashable, state: Hashable, request: Request) -> _Kept | None:
        index, until = self._registry.index, await self._until(request.route.kept_seconds)
        answer = await _of_handler(request)
        if answer.status != 200:
            return None
        if answer.index is None:
            answer = answer._replace(index=index)  # later commits may be in it or not
        body = await _whole(answer.body)
        if body is None:
            if len(self._too_many) >= MAX_FORMS:
                self._too_many.clear()
            self._too_many[key] = len(self._registry)
            return None
        kept = _Kept(state, until, answer, KeptBody(body))
        if state == self._state() and self._clock() < until:
            self._keep(key, kept)
        return kept

    async def _until(self, seconds: float) -> float:
        """So long from now, or when the first of the leases ends that run now."""
        now = self._clock()
        until = now + seconds
        for entries in self._registry.in_parts():
            ends = [entry.lease.expires_at for entry in entries]
            until = min((end for end in ends if now < end < until), default=until)
            await turns().over()
        return until

    # -- keeping

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        self._drop(key)
        self._kept[key] = kept
        self._count()
        if self._cleaning is None:
            self._cleaning = asyncio.get_running_loop().call_later(_CLEAN_SECONDS, self._clean)

    def _count(self) -> None:
        while len(self._kept) > MAX_FORMS or sum(kept.octets for kept in self._kept.values()) > MAX_OCTETS:
            self._drop(next(iter(self._kept)))
        self._waiting.shared = sum(kept.octets for kept in self._kept.values())

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        for body in [] if kept is None else kept.bodies:
            body.supersede()

    def _clean(self) -> None:
        self._cleaning, now = None, self._clock()
        for key in [key for key, kept in self._kept.items() if kept.until <= now]:
            self._drop(key)
        self._count()
        if self._kept:
            self._cleaning = asyncio.get_running_loop().call_later(_CLEAN_SECONDS, self._clean)


async def _of_handler(request: Request) -> Answer:
    answer = request.route.handler(request)
    if isinstance(answer, Answer):
        return answer
    assert not isinstance(answer, DeferredAnswer), "what is deferred has no form"
    return await answer


async def _whole(body: bytes | KeptBody | Pieces) -> bytes | None:
    """All pieces together; None: they are too long to be kept."""
    if isinstance(body, bytes | KeptBody):
        return body if isinstance(body, bytes) else body.octets
    gathered = bytearray()
    for piece in body:
        gathered += piece
        if len(gathered) > MAX_OCTETS // 8:
            return None
        await turns().over()
    return bytes(gathered)


_ANY = float("inf")

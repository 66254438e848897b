"""Answers that are the same for everybody with the same rights: made once, and kept until the next commit, change of staleness or end of a
lease, for so long as the route says at most (a second). Whoever asks meanwhile is given the same octets; gzip is made of them once, in a
thread. What is too long to be kept is streamed to each who asks, and kept packed alone for those who take gzip.

A route says so itself (`Route.kept`). Nobody is given an instance whose lease had run out when he asked, or less than the index says.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Hashable
from typing import NamedTuple

from discovery.core.caller import Grants
from discovery.rest.api.answers import Answer, DeferredAnswer, KeptBody, Pieces, whole
from discovery.rest.api.etag import takes_gzip
from discovery.rest.api.requests import Request
from discovery.rest.api.times import Times
from discovery.store.registry import Registry
from discovery.system.turns import turns
from discovery.system.waiting_octets import WaitingOctets

# Between two looks for what is kept no longer.
_CLEAN_SECONDS = 1.0
# Forms: routes with a query and a right. Octets of all, gzip among them, of which one has an eighth at the most.
MAX_FORMS = 8
MAX_OCTETS = 32 * 1024 * 1024
# Octets that are worth packing: what is shorter fits a packet or two as it is. Level 1 takes a third of the time for a tenth more octets.
_LONG, _LEVEL = 2048, 1


# zlib's for gzip (RFC 1952) with the largest window.
_GZIP = 31


class _Key(NamedTuple):
    """`is_packed`: of what is too long to be kept as it is."""

    path: str
    form: Hashable
    grants: Grants
    is_packed: bool = False


class _Kept:
    """`state`: of the registry when it was begun. `until`: on the registry's clock. `is_packed`: the body is; there is no other."""

    def __init__(self, state: Hashable, until: float, answer: Answer, body: KeptBody, is_packed: bool) -> None:
        self.state = state
        self.until = until
        self.bodies = [body]
        self.answer = answer._replace(body=body)
        self.packed: Answer | None = None
        self._packing: asyncio.Task[None] | None = None
        if is_packed or len(body) > _LONG:
            self.answer = self.answer._replace(headers={**answer.headers, "Vary": "Origin, Accept-Encoding"})
        if is_packed:
            self.packed = self._as_packed(body)
        elif len(body) <= _LONG:
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
        self.packed = self._as_packed(packed)
        self.bodies.append(packed)

    def _as_packed(self, packed: KeptBody) -> Answer:
        return self.answer._replace(body=packed, headers={**self.answer.headers, "Content-Encoding": "gzip"})


class KeptBodies:
    """`clock`: monotonic seconds, the registry's. What is kept counts among the octets that wait for clients, once."""

    def __init__(self, registry: Registry, clock: Callable[[], float], waiting: WaitingOctets, times: Times) -> None:
        self._registry = registry
        self._clock = clock
        self._times = times
        self._waiting = waiting
        self._kept: dict[_Key, _Kept] = {}  # longest unused first
        self._making: dict[_Key, tuple[Hashable, asyncio.Task[_Kept | None]]] = {}
        self._too_many: dict[_Key, int] = {}  # instances, of forms that were too long
        self._cleaning: asyncio.TimerHandle | None = None

    async def answer(self, request: Request, form: Hashable) -> Answer:
        key, asked_at = self._key(request, form), self._clock()
        kept = self._fresh(key)
        while kept is None or kept.until <= asked_at:
            state = self._state()
            if state is None or len(self._registry) >= self._too_many.get(key, _ANY):
                return await self._of_handler(request)
            kept = await self._made(key, state, request)
            if kept is None:
                return await self._of_handler(request)
        if not takes_gzip(request):
            return kept.answer
        if kept.packed is None:
            await kept.pack()
            self._count()
        return kept.packed or kept.answer

    def at_once(self, request: Request, form: Hashable) -> Answer | None:
        """When it is there, or the client has it."""
        kept = self._fresh(self._key(request, form))
        if kept is not None:
            return kept.packed if takes_gzip(request) else kept.answer
        if b"if-none-match" in request.headers:
            made = request.route.handler(request)
            if isinstance(made, Answer):
                return made
            if asyncio.iscoroutine(made):
                made.close()
        return None

    def _key(self, request: Request, form: Hashable) -> _Key:
        key = _Key(request.route.path, form, request.caller.grants)
        is_long = len(self._registry) >= self._too_many.get(key, _ANY)
        return key._replace(is_packed=True) if is_long and takes_gzip(request) else key

    def _fresh(self, key: _Key) -> _Kept | None:
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

    async def _made(self, key: _Key, state: Hashable, request: Request) -> _Kept | None:
        """By whoever came first since the state is what it is. None: it cannot be kept."""
        known, task = self._making.get(key, (None, None))
        if task is None or known != state:
            task = asyncio.create_task(self._make(key, state, request))
            self._making[key] = state, task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: _Key, task: asyncio.Task[_Kept | None]) -> None:
        if self._making.get(key, (None, None))[1] is task:
            del self._making[key]
        if not task.cancelled():
            task.exception()  # whoever asked may have left

    async def _make(self, key: _Key, state: Hashable, request: Request) -> _Kept | None:
        index, until = self._registry.index, await self._until(request.route.kept_seconds)
        answer = await self._of_handler(request)
        if answer.status != 200:
            return None
        if answer.index is None:
            answer = answer._replace(index=index)  # later commits may be in it or not
        body = await _whole(answer.body, key.is_packed)
        if body is None:
            if len(self._too_many) >= MAX_FORMS:
                self._too_many.clear()
            self._too_many[key] = len(self._registry)
            return None
        kept = _Kept(state, until, answer, KeptBody(body), key.is_packed)
        if state == self._state() and self._clock() < until:
            self._keep(key, kept)
        return kept

    async def _of_handler(self, request: Request) -> Answer:
        answer = request.route.handler(request)
        assert not isinstance(answer, DeferredAnswer), "what is deferred has no form"
        return whole(answer if isinstance(answer, Answer | dict) else await answer, self._times)

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

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._drop(key)
        self._kept[key] = kept
        self._count()
        if self._cleaning is None:
            self._cleaning = asyncio.get_running_loop().call_later(_CLEAN_SECONDS, self._clean)

    def _count(self) -> None:
        while len(self._kept) > MAX_FORMS or sum(kept.octets for kept in self._kept.values()) > MAX_OCTETS:
            self._drop(next(iter(self._kept)))
        self._waiting.shared = sum(kept.octets for kept in self._kept.values())

    def _drop(self, key: _Key) -> None:
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


async def _whole(body: bytes | KeptBody | Pieces, is_packed: bool) -> bytes | None:
    """All pieces together; None: they are too long to be kept."""
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP) if is_packed else None
    gathered = bytearray()
    for piece in [body] if isinstance(body, bytes) else [body.octets] if isinstance(body, KeptBody) else body:
        gathered += piece if packer is None else packer.compress(piece)
        if len(gathered) > MAX_OCTETS // 8:
            return None
        await turns().over()
    return bytes(gathered if packer is None else gathered + packer.flush())


_ANY = float("inf")

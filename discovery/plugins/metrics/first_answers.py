"""How long it takes from a 201 until somebody is answered with the new instance: the delay that a deployment sees, of some instances.

A registration is picked when it is committed; its 201 and the first answer with it are seen as they pass by. An answer that came before
its 201 (the disk was waited for) took no time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from random import Random

import orjson

from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance, Key
from discovery.core.metric import Histogram, histogram
from discovery.core.name import fold
from discovery.core.status import Status
from discovery.dns.message.values import Answer
from discovery.dns.server.traffic import Traffic as DnsTraffic
from discovery.rest.api.registering import RegisterBody
from discovery.rest.api.requests import Request
from discovery.rest.api.resolving.resolving import ResolveReply
from discovery.rest.http.traffic import Traffic as HttpTraffic

# One registration of so many, on average. At most so many are followed, one of a service, for so many seconds.
SAMPLE = 16
MAX_FOLLOWED = 64
SECONDS = 60.0
_BOUNDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class _Followed:
    """`acknowledged`, `answered`: when, monotonic seconds."""

    __slots__ = ("acknowledged", "address", "answered", "key", "since")

    def __init__(self, instance: Instance, since: float) -> None:
        self.key = instance.spec.key
        family = socket.AF_INET6 if ":" in self.key.ip else socket.AF_INET
        self.address = socket.inet_pton(family, self.key.ip)
        self.since = since
        self.acknowledged: float | None = None
        self.answered: float | None = None


class FirstAnswers:
    def __init__(
        self, dns: DnsTraffic, http: HttpTraffic, clock: Callable[[], float], random: Random | None = None
    ) -> None:
        self._dns = dns
        self._clock = clock
        self._random = random or Random()
        self._left = 0
        self._followed: dict[str, _Followed] = {}  # by folded service
        self._seconds = Histogram(_BOUNDS)
        self.metric = histogram(
            "discovery_registration_to_answer_seconds",
            "From a 201 to the first answer with that instance.",
            self._seconds,
        )

        http.follow(lambda route, status: status == 201 and route.body is RegisterBody, self._see_registration)
        http.follow(lambda route, status: status == 200 and route.reply is ResolveReply, self._see_resolve)

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if not isinstance(event, InstanceEvent) or event.kind is not Kind.REGISTERED or event.after is None:
                continue
            self._left -= 1
            if self._left < 0 and event.after.status is Status.HEALTHY:
                self._left = self._random.randrange(2 * SAMPLE - 1)
                self._follow(event.after)

    def forget_old(self) -> None:
        """Those about whom nobody asks."""
        until = self._clock() - SECONDS
        for service in [name for name, each in self._followed.items() if each.since < until]:
            self._drop(service)

    def _follow(self, instance: Instance) -> None:
        followed = _Followed(instance, self._clock())
        if followed.key.service in self._followed or len(self._followed) >= MAX_FOLLOWED:
            return
        if not self._followed:
            self._dns.on_answer = self._see_answer
        self._followed[followed.key.service] = followed

    def _drop(self, service: str) -> None:
        del self._followed[service]
        if not self._followed:
            self._dns.on_answer = None

    def _see_registration(self, request: Request, address: str, seconds: float) -> None:
        followed = self._registered_in(request.body) if self._followed else None
        if followed is not None and followed.acknowledged is None:
            followed.acknowledged = self._clock()
            self._note(followed)

    def _see_resolve(self, request: Request, address: str, seconds: float) -> None:
        if self._followed and request.path == request.target:  # with a filter it may not be in the answer
            followed = self._followed.get(fold(request.names["name"]))
            if followed is not None:
                self._answered(followed)

    def _see_answer(self, answer: Answer) -> None:
        followed = None if answer.lifetime is None else self._followed.get(answer.lifetime.service)
        if followed is None:
            return
        beside = (rr.rdata for companions in answer.companions for rr in companions)
        if any(rr.rdata == followed.address for rr in answer.answer) or followed.address in beside:
            self._answered(followed)

    def _registered_in(self, body: bytes) -> _Followed | None:
        try:
            sent = orjson.loads(body)
            key = Key.of(sent.get("name"), sent.get("ip"), sent.get("port"))
        except (ValueError, AttributeError):
            return None
        followed = self._followed.get(key.service)
        return followed if followed is not None and followed.key == key else None

    def _answered(self, followed: _Followed) -> None:
        if followed.answered is None:
            followed.answered = self._clock()
            self._note(followed)

    def _note(self, followed: _Followed) -> None:
        if followed.acknowledged is not None and followed.answered is not None:
            self._seconds.observe(max(0.0, followed.answered - followed.acknowledged))
            self._drop(followed.key.service)

"""Names outside our zones, asked of other servers for clients of trusted networks. README.md beside this file.

A look-up that nobody here answers becomes a Deferred; the DNS side waits for it and encodes it like any other Answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from discovery.core.metric import Metric
from discovery.core.network import Network, Networks
from discovery.core.warning import warning
from discovery.dns.message.names import from_wire
from discovery.dns.message.query import Request
from discovery.dns.message.values import OTHER, Answer, Class, Deferred, Explanation, Question, Type
from discovery.dns.zones.catalog import Lookup, ends_with_alias
from discovery.plugins import LookupSeam, Plugin, Seams, everybody
from discovery.plugins.forward.order import Order
from discovery.plugins.forward.settings import ForwardSettings, Upstream
from discovery.store.registry import Registry

# At a time; each holds a socket of its own.
MAX_IN_HAND = 500


class Forward(Plugin):
    """`clock`: monotonic seconds."""

    def __init__(
        self, upstreams: Sequence[Upstream], clients: Sequence[Network], timeout: float, clock: Callable[[], float]
    ) -> None:
        from discovery.plugins.forward.upstream import ask_first  # dnspython as a client: nobody else's start needs it

        self._ask_first = ask_first
        self._order = Order(upstreams)
        self._clock = clock
        self._clients = Networks(clients)
        self._timeout = timeout
        self._in_hand = 0
        self._random = Random()  # which of several aliases is followed

    def install(self, seams: Seams) -> None:
        # It adds to the answers about our zones, and for some clients only, but changes none of them.
        seams.lookups.append(LookupSeam(self.lookup, everybody))
        seams.recurses.append(self.recurses)
        seams.concerns.extend(
            [
                warning("upstream_failing", self._order.failing),
                warning("upstream_slow", lambda: self._order.slow(self._clock())),
            ]
        )
        seams.metrics.append(
            Metric(
                "gauge", "discovery_forward_p99_seconds", "What an answer of it takes, of the last five minutes.",
                lambda: {(upstream,): p99 for upstream, p99 in self._order.p99(self._clock()).items()}, ("upstream",),
            )
        )  # fmt: skip

    def recurses(self, client: str) -> bool:
        return client in self._clients

    def lookup(self, inner: Lookup) -> Lookup:
        def lookup(request: Request, now: float) -> Answer | Deferred | None:
            answer, question = inner(request, now), request.question
            if question.klass != Class.IN or isinstance(answer, Deferred):
                return answer
            serves = request.client in self._clients
            if answer is None:
                return Deferred(lambda: self._ask(question)) if serves else None
            if not ends_with_alias(answer, question) or any(rr.type == Type.SOA for rr in answer.authority):
                return answer  # with an SOA: what the alias leads to is ours, and is not there
            # Zones follow aliases as far as they can, so it leads elsewhere. Drawn: what one client gets is not kept for another.
            alias = answer.drawn(self._random)
            return Deferred(lambda: self._follow(alias, question), alias) if serves else alias

        return lookup

    async def _ask(self, question: Question) -> Answer:
        if self._in_hand >= MAX_IN_HAND:
            return Answer.failed(Explanation(OTHER, f"{MAX_IN_HAND} forwarded queries are in hand already; ask again"))
        self._in_hand += 1
        try:
            return await self._ask_first(self._order, question, self._timeout, self._clock)
        finally:
            self._in_hand -= 1

    async def _follow(self, aliases: Answer, question: Question) -> Answer:
        """What a stub resolver needs: the aliases and what the last one leads to."""
        target = from_wire(aliases.answer[-1].rdata)
        return (await self._ask(question._replace(name=target))).after(aliases)


def make(registry: Registry, clock: Callable[[], float]) -> Forward | None:
    settings = ForwardSettings.read()
    if not settings.forward_to:
        return None
    return Forward(settings.forward_to, settings.forward_clients, settings.forward_timeout_seconds, clock)

"""GETs of the catalog's kind: what they ask, how they wait for a change, and their answers, made row by row so that a long one leaves room
for others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from discovery.core.network import Networks
from discovery.plugins.consul import parameters
from discovery.plugins.consul.directory import Directory
from discovery.plugins.consul.filters import BadFilter, Test, compile_filter
from discovery.plugins.consul.manners import INDEX, NO_INDEX, Refused, encoded, packed
from discovery.plugins.consul.nodes import Node, canonical
from discovery.plugins.consul.parameters import Asked
from discovery.plugins.consul.settings import ConsulSettings
from discovery.plugins.consul.views import Json
from discovery.rest.api.answers import Answer
from discovery.rest.api.etag import takes_gzip
from discovery.rest.api.following.waiting import LongPolls, Wait
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Handler, Kind, Reply, Right, Route
from discovery.store.registry import Registry
from discovery.system.turns import turns

HEADING = "Consul"
# Seconds for which who finds no room to wait is kept all the same, without being counted: no client may be told 503 for it.
PATIENCE = 5.0


class Question(NamedTuple):
    """`names`: of the path. `agent`: the node of who asks. `test`: of the filter; None: there is none."""

    names: dict[str, str]
    asked: Asked
    agent: Node
    test: Test | None

    def passes(self, row: Json) -> bool:
        return self.test is None or self.test(row)


# In place of a row that does not pass: a moment to let others have their turn.
SKIP = object()
# Makes the rows of an answer, or SKIP; of an object (name, value) pairs; octets are JSON as it is.
Rows = Callable[[Question], Iterator[Any]]


class Shape(NamedTuple):
    """`begin`, `end`: of the JSON around the rows; `between` two of them. ONE: there is one row, which is all, perhaps in pieces."""

    begin: bytes
    end: bytes
    between: bytes = b","


LIST, OBJECT, ONE = Shape(b"[", b"]"), Shape(b"{", b"}"), Shape(b"", b"", b"")


class Reader:
    """`clock`: monotonic seconds, the registry's. `proxies`: those that are trusted. `is_public`: other machines reach this server."""

    def __init__(
        self, registry: Registry, clock: Callable[[], float], directory: Directory, settings: ConsulSettings
    ) -> None:
        self.registry = registry
        self.clock = clock
        self.directory = directory
        self.settings = settings
        self.proxies = Networks(())
        self.is_public = False
        self._polls: LongPolls | None = None

    def let_wait(self, polls: LongPolls) -> None:
        self._polls = polls

    # -- who asks

    def agent_of(self, request: Request) -> Node:
        """The node that answers him as his agent."""
        return self.directory.nodes.at(self.address_of(request))

    def address_of(self, request: Request) -> str:
        address = canonical(request.address)
        return (self.settings.consul_advertise or "127.0.0.1") if _is_loopback(address) else address

    def host_of(self, request: Request) -> str:
        """The address of the host whose agent is told something. Refused 400: that of a proxy is nobody's."""
        if request.address in self.proxies:
            text = (
                f"Which host this is about is told by the address that it comes from, and {request.address} is a proxy (TRUSTED_PROXIES) "
                "that says by no X-Forwarded-For from where; ask without it, or have it send the header"
            )
            raise Refused(400, text)
        return self.address_of(request)

    def require_reachable(self, request: Request) -> None:
        """Refused 400, where a service is registered at a loopback address which others would be told."""
        if self.is_public and self.settings.consul_advertise is None and _is_loopback(canonical(request.address)):
            text = (
                "The service gives no Address and is registered from this machine, so others would be told 127.0.0.1: give its "
                "Address, or set CONSUL_ADVERTISE to the address of this machine"
            )
            raise Refused(400, text)

    def asked(self, request: Request) -> Asked:
        return parameters.read(request.query, self.settings.consul_datacenter)

    def question(self, request: Request, sample: Json | None = None, headers: Mapping[str, str] = NO_INDEX) -> Question:
        """`sample`: see `filters`; None: a filter is passed over. `headers`: of the refusal of a wrong one."""
        asked = self.asked(request)
        text = asked.first("filter")
        try:
            test = compile_filter(text, sample) if text and sample is not None else None
        except BadFilter as error:
            raise Refused(500, str(error), headers) from None
        return Question(dict(request.names), asked, self.agent_of(request), test)

    # -- routes

    def route(
        self, path: str, rows: Rows, about: Callable[[Question], str] | None, shape: Shape = LIST, sample: Json | None = None,
        summary: str = "", by_agent: bool = False,
    ) -> Route:  # fmt: skip
        """`about`: the folded name of the service, or the topic, whose index it has; None: it has none, and waits for nothing. `by_agent`:
        not all agents answer alike.
        """

        def handler(request: Request) -> Reply:
            question = self.question(request, sample, NO_INDEX if about is not None else {})
            is_packed = takes_gzip(request)
            make = partial(self._made, question, rows, about, shape, is_packed)
            if about is None:
                return make()
            form = (path, question.asked.form, question.agent.name if by_agent else "", str(is_packed))
            return self.wait_for(question, about(question), form, make)

        return get(path, handler, summary)

    def wait_for(
        self, question: Question, about: str, form: tuple[object, ...], make: Callable[[], Answer | Awaitable[Answer]]
    ) -> Reply:
        """The answer, or who waits for it."""
        asked = question.asked
        if asked.seen is None or self._polls is None:
            return make()
        longest = self.settings.consul_wait_max
        wait = Wait(asked.seen, min(asked.wait or longest, longest), PATIENCE)
        return self._polls.of_service(about, wait, (("consul", repr(form) + repr(question.names)),), make)

    def _made(
        self, question: Question, rows: Rows, about: Callable[[Question], str] | None, shape: Shape, is_packed: bool
    ) -> Answer | Awaitable[Answer]:
        index = None if about is None else self.index_of(about(question))
        found, left, pretty = list[bytes](), rows(question), "pretty" in question.asked.values

        def add(row: Any) -> None:
            if isinstance(row, bytes):
                found.append(row)
            elif row is not SKIP:
                name, value = row if shape is OBJECT else ("", row)
                found.append((encoded(name) + b":" if shape is OBJECT else b"") + encoded(value, pretty))

        def whole() -> Answer | Awaitable[Answer]:
            body = shape.begin + shape.between.join(found) + shape.end
            answer = Answer(200, body, {} if index is None else self.headers(question.asked, index), index)
            return packed(answer) if is_packed else answer

        for row in left:
            add(row)
            if turns().is_over():
                return _rest(left, add, whole)
        return whole()

    def headers(self, asked: Asked, index: int) -> dict[str, str]:
        found = {
            INDEX: str(index), "X-Consul-KnownLeader": "true", "X-Consul-LastContact": "0",
            "X-Consul-Effective-Consistency": asked.consistency,
        }  # fmt: skip
        return found | ({"X-Cache": "MISS"} if "cached" in asked.values else {})

    def index_of(self, about: str) -> int:
        """More than 0; of a service that nobody has, the registry's."""
        if about.startswith("\0"):
            index = self.directory.topics.index_of(about)
        elif self.registry.service(about) is None:
            index = self.registry.index
        else:
            index = self.registry.index_of(about)
        return max(1, index)


def _is_loopback(address: str) -> bool:
    """Or of a Unix socket."""
    return address in ("::1", "") or address.startswith("127.")


async def _rest(
    left: Iterator[Any], add: Callable[[Any], None], whole: Callable[[], Answer | Awaitable[Answer]]
) -> Answer:
    for row in left:
        add(row)
        await turns().over()
    answer = whole()
    return answer if isinstance(answer, Answer) else await answer


def get(path: str, handler: Handler, summary: str, right: Right = Right.READ) -> Route:
    return Route("GET", path, handler, right, Kind.QUESTION, summary, HEADING, lenient=True)


def put(
    path: str,
    handler: Handler,
    summary: str,
    kind: Kind = Kind.OPERATION,
    right: Right = Right.WRITE,
    method: str = "PUT",
) -> Route:
    is_small = kind is Kind.HEARTBEAT
    return Route(method, path, handler, right, kind, summary, HEADING, lenient=True, is_small=is_small)


def refusing(status: int, text: str, headers: Mapping[str, str] = {}) -> Handler:
    def handler(request: Request) -> Reply:
        raise Refused(status, text, headers)

    return handler


def none(question: Question) -> Iterator[Any]:
    """No row."""
    return iter(())

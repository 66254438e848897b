"""A request as handlers see it: its head, its whole body, and who sent it. Reading a JSON body of a schema, and query parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from discovery.core import exact_json
from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key
from discovery.rest.api.answers import JSON, Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.event_view import ASKED_BY
from discovery.rest.api.held import ForConnection, Held
from discovery.rest.api.schemas import Body

# Octets of any body: room for a batch of 10,000 heartbeats of 200 each.
MAX_BODY = 2 * 1024 * 1024
# Octets of a body about one instance: 16 KiB of metadata in a wordy spelling, and the rest.
MAX_SINGLE = 128 * 1024
# RFC 1035 §4.2.2: no DNS message is longer.
MAX_MESSAGE = 65535
_MAX_BODIES = {"/heartbeats": MAX_BODY, "/registrations": MAX_BODY, "/dns-query": MAX_MESSAGE}
# What a JSON body may hold: each comma counts 1, each list and object 3, which is about what they cost orjson. 10,000 heartbeats
# of three fields make 60,000; the most allowed is parsed in 10 ms, and the most of a small body in 5.
MAX_JSON_WORK = 120_000

B = TypeVar("B", bound=Body)


class Request:
    """`target`: as sent. `headers`: names in lower case; the values of a name that came twice are joined by a comma (RFC 9110 §5.3).

    `keeps`: the connection stays open after the answer. `refusal`: why it gets no other answer than this. `status`: of its answer.
    `waited`: it asked to wait for a change, and has.
    """

    __slots__ = (
        "body", "caller", "headers", "keeps", "method", "path", "refusal", "status", "target", "version", "waited",
    )  # fmt: skip

    def __init__(
        self, method: str = "", target: str = "", version: str = "1.1", headers: dict[bytes, bytes] | None = None, keeps: bool = False
    ) -> None:  # fmt: skip
        self.method = method
        self.target = target
        self.path = target.partition("?")[0]
        self.version = version
        self.headers = {} if headers is None else headers
        self.keeps = keeps
        self.body = b""
        self.caller: Caller = NOBODY
        self.refusal: DiscoveryError | None = None
        self.status = 0
        self.waited = False

    def header(self, name: bytes) -> str | None:
        """`name` in lower case. What is no UTF-8 is escaped, as aiohttp has it."""
        value = self.headers.get(name)
        return None if value is None else value.strip().decode("utf-8", "surrogateescape")

    @property
    def query(self) -> str:
        """What stands behind the `?`, as sent."""
        return self.target.partition("?")[2]

    @property
    def expects(self) -> bool:
        """The client waits for a 100 before it sends the body (RFC 9110 §10.1.1: not one of HTTP/1.0)."""
        return b"expect" in self.headers and self.version == "1.1"

    @property
    def max_body(self) -> int:
        """Octets."""
        return _MAX_BODIES.get(self.path, MAX_SINGLE)


# Where a request of aiohttp's keeps ours.
REQUEST = web.RequestKey("request", Request)


def sent(request: web.Request) -> Request:
    """Ours, of which aiohttp got its own."""
    return request[REQUEST]


# At once, when what it takes has been done, or by and by. Raises DiscoveryError or pydantic's ValidationError.
PlainHandler = Callable[[Request], "Answer | Awaitable[Answer] | Held"]


def route(handler: PlainHandler) -> Handler:
    """The same handler for aiohttp's router."""

    async def handle(request: web.Request) -> web.Response:
        answer = handler(sent(request))
        if isinstance(answer, Held):
            return ForConnection(answer)
        return (answer if isinstance(answer, Answer) else await answer).for_aiohttp()

    return handle


def read(request: Request, schema: type[B]) -> B:
    """As `json_object`, and pydantic's ValidationError for another shape."""
    return schema.model_validate(json_object(request))


def json_object(request: Request, loads: Callable[[bytes], Any] = exact_json.loads) -> dict[str, Any]:
    """HttpError 400 for no JSON object, 413 for too much in it, 415 for another content type."""
    media = request.headers.get(b"content-type", b"application/json")
    if media != b"application/json" and not _is_json(media):
        text = f"Content-Type is {request.header(b'content-type')}; send the body as {JSON}"
        raise HttpError(415, "NOT_JSON", text)
    if coding := request.header(b"content-encoding"):
        raise HttpError(415, "ENCODED_BODY", f"Content-Encoding is {coding}; send the body as it is")
    octets = request.body
    if not octets:
        raise HttpError(400, "BODY_MISSING", "The request has no body; send a JSON object")
    if len(octets) > MAX_SINGLE and _work(octets) > MAX_JSON_WORK:
        text = "The body has too many lists, objects and commas to be read at once; send it in several requests"
        raise HttpError(413, "BODY_TOO_LARGE", text)
    try:
        content = loads(octets)
    except ValueError as error:
        raise HttpError(400, "BROKEN_JSON", f"The body is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise HttpError(400, "NOT_AN_OBJECT", "The body must be a JSON object")
    return content


def _work(octets: bytes) -> int:
    return octets.count(b",") + 3 * (octets.count(b"[") + octets.count(b"{"))


def _is_json(media: bytes) -> bool:
    kind = media.partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")


def parameter(request: web.Request, name: str, example: str) -> str:
    """A query parameter; HttpError 400 with an example when it is missing."""
    value = request.query.get(name)
    if not value:
        raise HttpError(
            400, "PARAMETER_MISSING", f"{name}: the query parameter is required", field=name, example=example
        )
    return value


def key_in_path(request: web.Request, example: str) -> Key:
    """Of `/services/NAME/…?ip=&port=`; InvalidField, or HttpError 400 with an example."""
    ip, port = parameter(request, "ip", example), parameter(request, "port", example)
    return Key.of(request.match_info["name"], ip, port)


def asked_by(request: web.Request) -> str:
    """The reason of a change that somebody asked for."""
    return f"{ASKED_BY}{caller_of(request)}"


def caller_of(request: web.Request) -> Caller:
    """Who was let in; see `guard.admission`."""
    return sent(request).caller

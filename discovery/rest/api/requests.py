"""A request as handlers see it: its head, its whole body, which route it is for, and who sent it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from discovery.core import exact_json
from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError
from discovery.rest.api.answers import JSON
from discovery.rest.api.errors import HttpError
from discovery.rest.api.following.event_view import ASKED_BY
from discovery.rest.api.route import MAX_SINGLE, NOWHERE, Route

_NO_NAMES: Mapping[str, str] = {}


class Arrival(NamedTuple):
    """Where a request came in, and how: http or https."""

    ip: str
    port: int
    scheme: str


_NOWHERE = Arrival("", 0, "http")


class Request:
    """`target`: as sent. `headers`: names in lower case; the values of a name that came twice are joined by a comma (RFC 9110 §5.3).

    `keeps`: the connection stays open after the answer. `address`: the client's. `route`: what it is for, `names`: what stands in the
    places of its path, decoded. `refusal`: why it gets no other answer than this. `status`: of its answer. `waited`: it asked to wait for
    a change, and has.
    """

    __slots__ = (
        "address", "arrival", "body", "caller", "headers", "keeps", "method", "names", "refusal", "route", "status", "target",
        "version", "waited",
    )  # fmt: skip

    def __init__(
        self, method: str = "", target: str = "", version: str = "1.1", headers: dict[bytes, bytes] | None = None, keeps: bool = False,
        route: Route = NOWHERE, names: Mapping[str, str] = _NO_NAMES,
    ) -> None:  # fmt: skip
        self.method = method
        self.target = target
        self.version = version
        self.headers = {} if headers is None else headers
        self.keeps = keeps
        self.body = b""
        self.address = ""
        self.arrival = _NOWHERE
        self.route = route
        self.names = names
        self.caller: Caller = NOBODY
        self.refusal: DiscoveryError | None = None
        self.status = 0
        self.waited = False

    def header(self, name: bytes) -> str | None:
        """`name` in lower case. What is no UTF-8 is escaped."""
        value = self.headers.get(name)
        return None if value is None else value.strip().decode("utf-8", "surrogateescape")

    @property
    def path(self) -> str:
        """What stands before the `?`, as sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the `?`, as sent."""
        return self.target.partition("?")[2]

    @property
    def expects(self) -> bool:
        """The client waits for a 100 before it sends the body (RFC 9110 §10.1.1: not one of HTTP/1.0)."""
        return b"expect" in self.headers and self.version == "1.1"

    @property
    def reason(self) -> str:
        """Of a change that it asks for."""
        return f"{ASKED_BY}{self.caller}"


# -- bodies: JSON objects

# What a JSON body may hold: each comma counts 1, each list and object 3, which is about what they cost orjson. 10,000 heartbeats
# of three fields make 60,000; the most allowed is parsed in 10 ms, and the most of a small body in 5.
MAX_JSON_WORK = 120_000


def json_object(request: Request, loads: Callable[[bytes], Any] = exact_json.loads) -> dict[str, Any]:
    """HttpError 400 for no JSON object, 413 for too much in it, 415 for another content type."""
    check_media(request)
    octets = request.body
    if not octets:
        raise HttpError.usual("BODY_MISSING")
    if len(octets) > MAX_SINGLE and _work(octets) > MAX_JSON_WORK:
        text = "The body has too many lists, objects and commas to be read at once; send it in several requests"
        raise HttpError("BODY_TOO_LARGE", text)
    try:
        content = loads(octets)
    except ValueError as error:
        raise HttpError("BROKEN_JSON", f"The body is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise HttpError.usual("NOT_AN_OBJECT")
    return content


def check_media(request: Request) -> None:
    """HttpError 415 for a body that is no JSON as it stands."""
    media = request.headers.get(b"content-type", b"application/json")
    if media != b"application/json" and not _is_json(media):
        text = f"Content-Type is {request.header(b'content-type')}; send the body as {JSON}"
        raise HttpError("NOT_JSON", text)
    if request.headers.get(b"content-encoding"):
        coding = request.header(b"content-encoding")
        raise HttpError("ENCODED_BODY", f"Content-Encoding is {coding}; send the body as it is")


def _work(octets: bytes) -> int:
    return octets.count(b",") + 3 * (octets.count(b"[") + octets.count(b"{"))


def _is_json(media: bytes) -> bool:
    kind = media.partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")

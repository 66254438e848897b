"""A request as handlers see it: its head, its whole body, which route it is for, and who sent it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError
from discovery.rest.api.following.event_view import ASKED_BY
from discovery.rest.api.route import NOWHERE, Route

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

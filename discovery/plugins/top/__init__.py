"""GET /top: who asks most, for what, for what that is not there, and which services change most. README.md beside this file.

One query and request of 16 is looked at, and counts for 16; changes of services are all counted. What is kept is bounded (`sketch`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from discovery.core.address import client_prefix
from discovery.core.event import RESTORE, Commit, InstanceEvent
from discovery.core.schema import TEXT, WHOLE, described, list_of
from discovery.dns.message import names
from discovery.dns.message.query import HEADER
from discovery.dns.server.traffic import SAMPLE as DNS_SAMPLE
from discovery.dns.server.traffic import Taken
from discovery.plugins import Plugin, Seams
from discovery.plugins.top.sketch import Window
from discovery.rest.api import parameters
from discovery.rest.api.answers import Json
from discovery.rest.api.example import Example
from discovery.rest.api.query import Table, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import Shape, reply
from discovery.rest.http.traffic import SAMPLE as HTTP_SAMPLE
from discovery.store.registry import Registry

# Entries of a list, and how far back it goes.
MAX_LIMIT, USUAL_LIMIT = 100, 10
MAX_MINUTES = 10

TOP: Table = {
    "limit": parameters.whole(1, MAX_LIMIT, f"at most so many of each list; {USUAL_LIMIT} where it is not given"),
    "minutes": parameters.whole(1, MAX_MINUTES, f"the last so many; {MAX_MINUTES} where it is not given"),
}


# Of each list, in each minute of the last ten: 0.3 KB a key at the most, 4 MB in all.
MOST = 256
_MINUTE = 60.0

# Each list of the answer: what an entry is about, and what is counted.
_LISTS = {
    "clients": ("client", "queries"),
    "httpClients": ("client", "requests"),
    "names": ("name", "queries"),
    "unknownNames": ("name", "queries"),
    "services": ("service", "changes"),
}
_SHAPES = {
    (about, counted): Shape(
        name, {about: TEXT, counted: WHOLE, "error": described(WHOLE, "by how much the number may be too low")}
    )
    for name, about, counted in (
        ("Asking", "client", "queries"),
        ("Requesting", "client", "requests"),
        ("AskedFor", "name", "queries"),
        ("Changing", "service", "changes"),
    )
}
REPLY = reply("TopReply", {"minutes": WHOLE, **{key: list_of(_SHAPES[of]) for key, of in _LISTS.items()}})
_NXDOMAIN = "NXDOMAIN"
# The rcodes of queries whose question was not read.
_UNREAD = ("none", "FORMERR", "NOTIMP")


class Top(Plugin):
    """`clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hand_over: Callable[[], None] = lambda: None
        # Names as on the wire, in lower case; all else as text.
        self._windows = {key: Window[str | bytes](MOST, MAX_MINUTES, _MINUTE) for key in _LISTS}

    def install(self, seams: Seams) -> None:
        seams.dns_traffic.wanted = seams.http_traffic.wanted = True
        self._hand_over = seams.dns_traffic.hand_over
        seams.dns_traffic.samples.append(self.see_queries)
        seams.http_traffic.samples.append(self.see_request)
        seams.followers.append(self.follow_commit)
        seams.routes.append(
            Route(
                "GET", "/top", self.show, Right.ADMIN, Kind.OPERATION, "Who asks most, and for what",
                HEADING, REPLY, query=TOP, examples=(Example(query={"limit": "1"}),),
            )
        )  # fmt: skip

    def see_queries(self, taken: Sequence[Taken]) -> None:
        now = self._clock()
        for client, number in Counter([client for _, _, client, *_ in taken]).items():
            self._windows["clients"].add(client_prefix(client), number * DNS_SAMPLE, now)
        asked = Counter([(_name_in(packet), outcome.rcode) for packet, _, _, _, outcome, _ in taken])
        for (spelt, rcode), number in asked.items():
            if rcode in _UNREAD or not _is_name(spelt):
                continue
            name = spelt.lower()
            self._windows["names"].add(name, number * DNS_SAMPLE, now)
            if rcode == _NXDOMAIN:
                self._windows["unknownNames"].add(name, number * DNS_SAMPLE, now)

    def see_request(self, request: Request, address: str, seconds: float) -> None:
        self._windows["httpClients"].add(client_prefix(address), HTTP_SAMPLE, self._clock())

    def follow_commit(self, commit: Commit) -> None:
        if commit.action == RESTORE:
            return
        now = self._clock()
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                self._windows["services"].add(event.service, 1, now)

    def show(self, request: Request) -> Json:
        values = values_of(request)
        limit, minutes = values.get("limit", USUAL_LIMIT), values.get("minutes", MAX_MINUTES)
        self._hand_over()
        now = self._clock()
        content: Json = {"minutes": minutes}
        for key, (what, number) in _LISTS.items():
            content[key] = [
                {what: _text(heavy.key), number: heavy.number, "error": heavy.error}
                for heavy in self._windows[key].top(limit, minutes, now)
            ]
        return content


def _name_in(packet: bytes) -> bytes:
    """Of the question, as on the wire; empty where there is none. A label may have any octet in it, 0 too."""
    try:
        return packet[HEADER.size : names.skip(packet, HEADER.size)]
    except (ValueError, IndexError):
        return b""


def _is_name(wire: bytes) -> bool:
    """Whoever refused the query may not have read it."""
    try:
        names.from_wire(wire)
    except (ValueError, IndexError):
        return False
    return True


def _text(key: str | bytes) -> str:
    """Octets of a name that are no printable ASCII as \\DDD: a stranger chose them."""
    return key if isinstance(key, str) else names.to_text(names.from_wire(key))


def make(registry: Registry, clock: Callable[[], float]) -> Top:
    return Top(clock)

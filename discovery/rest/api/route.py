"""A route of the API, declared once, beside its handler. All that has to know of routes reads it here: who answers a request, which right
it takes, how it is counted and logged, how large its body may be, and what the OpenAPI document says of it.

A plugin appends its Routes to `seams.routes`. Routes that speak another API's language bring `Manners`.
"""

from __future__ import annotations

import logging
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from discovery.core.schema import Schema
from discovery.rest.api.answers import JSON, Answer, DeferredAnswer, Json
from discovery.rest.api.errors import ErrorForm, HttpError, as_json
from discovery.rest.api.example import Example
from discovery.rest.api.query import Table
from discovery.rest.api.shapes import Shape

if TYPE_CHECKING:
    from discovery.rest.api.requests import Request

# `{name}`, and `{name:what it may be}`.
PLACE = re.compile(r"\{(\w+)(?::([^{}]*))?\}")

# At once, when what it takes has been done, or by and by. Raises DiscoveryError.
Reply = Answer | Json | Awaitable[Answer | Json] | DeferredAnswer
Handler = Callable[["Request"], Reply]


# Octets of any body: room for a batch of 10,000 heartbeats of 200 each.
MAX_BODY = 2 * 1024 * 1024
# Octets of a body about one instance: 16 KiB of metadata in a wordy spelling, and the rest.
MAX_SINGLE = 128 * 1024
# What any write may end in that has to be kept.
STORED = ("STORAGE_UNAVAILABLE", "ENGINE_UNAVAILABLE", "MOVED")


class Right(Enum):
    """What a token must have for a route; the value is its name."""

    NONE = ""  # anybody's; whoever shows a token may be told more
    READ = "read"
    WRITE = "register"
    ADMIN = "admin"  # where there are no tokens: this machine's own clients


class Kind(Enum):
    """What requests to a route are for. `level`: at which they are logged. `tells_refused`: whoever is refused is named in the log.
    `endless`: so many come that only samples of them are timed.
    """

    HEARTBEAT = "heartbeat", logging.DEBUG, True
    REGISTRATION = "registration", logging.INFO, True
    REMOVAL = "removal", logging.INFO, False
    QUESTION = "question", logging.DEBUG, False  # what clients and monitors ask over and over
    STREAM = "stream", logging.INFO, False  # lasts as long as its client likes
    PAGE = "page", logging.DEBUG, False  # files for browsers, no part of the API
    OPERATION = "operation", logging.INFO, False  # what people do and ask

    def __init__(self, word: str, level: int, tells_refused: bool) -> None:
        self.level = level
        self.tells_refused = tells_refused
        self.endless = level == logging.DEBUG


# The token that a request shows, spelt as an Authorization header (RFC 6750); None without one.
Authorization = Callable[["Request"], "str | None"]


def bearer(request: Request) -> str | None:
    """Of Basic (RFC 7617) the password is the token, whoever the user is: many clients can show nothing else."""
    shown = request.header(b"authorization")
    if shown is None or shown[:6].lower() != "basic ":
        return shown
    try:
        return f"Bearer {b64decode(shown[6:].strip()).partition(b':')[2].decode()}"
    except ValueError:
        return shown


@dataclass(frozen=True, eq=False)
class Manners:
    """What a group of routes has of its own. `prefix`: of their paths; what is below it and no route has their form of errors too.

    `error`: makes the answer to an error. `authorization`: finds the token. `slash`: their paths may
    end in one more slash.
    """

    prefix: str = ""
    error: ErrorForm = as_json
    authorization: Authorization = bearer
    slash: bool = False

    def routes(self, *routes: Route) -> list[Route]:
        """Routes whose paths are below the prefix."""
        return [replace(route, path=self.prefix + route.path, manners=self) for route in routes]


OURS = Manners()


@dataclass(frozen=True, eq=False)
class Route:
    """`path`: `/instances/{id}`. `handler`: of the whole request. `status`: of its successes. `codes`: of errors, besides those that any of
    its kind may end in. `reply`: None: it is no JSON, but `media`; or `also`, for who accepts it. `query`: its parameters; `lenient`:
    others are ignored, and not refused. `heading`: of docs/http.md. `max_body`: octets. `is_small`: without a query (a heartbeat with
    any) it is answered within 0.1 ms, and before others. `kept`: the form in which everybody with the same rights is given the same answer
    for `kept_seconds` (`http.kept_bodies`); None: has none.
    """

    method: str
    path: str
    handler: Handler
    right: Right
    kind: Kind
    summary: str = ""
    heading: str = ""
    reply: Shape | Schema | None = None
    body: Shape | None = None
    status: tuple[int, ...] = (200,)
    codes: tuple[str, ...] = ()
    query: Table = field(default_factory=dict)
    lenient: bool = False
    media: str = JSON
    also: str | None = None
    examples: tuple[Example, ...] = (Example(),)
    max_body: int = MAX_SINGLE
    is_small: bool = False
    kept: Callable[[Request], Hashable | None] | None = None
    kept_seconds: float = 1.0
    manners: Manners = OURS

    @property
    def places(self) -> list[str]:
        """The names in braces."""
        return [place[1] for place in PLACE.finditer(self.path)]

    @property
    def template(self) -> str:
        """The path without what its places may be."""
        return PLACE.sub(r"{\1}", self.path)


def without_query(request: Request) -> str | None:
    """For `Route.kept`: the one form that there is."""
    return "" if "?" not in request.target else None


def nothing_here(request: Request) -> NoReturn:
    """HttpError 404."""
    text = f"There is no {request.method} {request.path} here; GET /openapi.json lists the routes"
    raise HttpError("ROUTE_UNKNOWN", text)


# What stands in for a route where no path fits.
OTHER = "other"
NOWHERE = Route("GET", OTHER, nothing_here, Right.READ, Kind.OPERATION)

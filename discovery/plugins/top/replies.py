"""What GET /top takes and answers."""

from __future__ import annotations

from pydantic import Field

from discovery.rest.api import parameters
from discovery.rest.api.query import Table
from discovery.rest.api.shapes import Described, Reply

# Entries of a list, and how far back it goes.
MAX_LIMIT, USUAL_LIMIT = 100, 10
MAX_MINUTES = 10

TOP: Table = {
    "limit": parameters.whole(1, MAX_LIMIT, f"at most so many of each list; {USUAL_LIMIT} where it is not given"),
    "minutes": parameters.whole(1, MAX_MINUTES, f"the last so many; {MAX_MINUTES} where it is not given"),
}


class Asking(Described):
    """`error`: by how much the number may be too low."""

    client: str
    queries: int
    error: int


class Requesting(Described):
    client: str
    requests: int
    error: int


class AskedFor(Described):
    name: str
    queries: int
    error: int


class Changing(Described):
    service: str
    changes: int
    error: int


class TopReply(Reply):
    minutes: int
    clients: list[Asking]
    http_clients: list[Requesting] = Field(alias="httpClients")
    names: list[AskedFor]
    unknown_names: list[AskedFor] = Field(alias="unknownNames")
    services: list[Changing]

"""The bodies of what those who run the server look at and switch: /top and /admin/log. What the values mean is their plugins' matter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from discovery.rest.api import parameters
from discovery.rest.api.query import Table
from discovery.rest.api.replies import Reply, Time
from discovery.rest.api.schemas import Body

Level = Literal["debug", "info", "warning", "error"]

MAX_SECONDS, USUAL_SECONDS = 86_400, 600
# Lines a second: enough to see what goes on, and less than the log's reader has to keep up with.
MAX_PER_SECOND, USUAL_PER_SECOND = 1_000, 100
# Entries of a list of /top, and how far back it goes.
MAX_LIMIT, USUAL_LIMIT = 100, 10
MAX_MINUTES = 10

_DnsName = Annotated[StrictStr, WithJsonSchema({"type": "string", "examples": ["user-service"]})]
_Network = Annotated[StrictStr, WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]})]


class LogBody(Body):
    """PUT /admin/log: what is logged from now on, for a time. A field that is not known is refused: a slip must not turn the log off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: StrictBool = False
    accesses: StrictBool = False
    level: Level | None = None
    seconds: Annotated[StrictInt, Field(ge=1, le=MAX_SECONDS)] = USUAL_SECONDS
    per_second: Annotated[StrictInt, Field(alias="perSecond", ge=1, le=MAX_PER_SECOND)] = USUAL_PER_SECOND
    name: _DnsName | None = None
    client: _Network | None = None
    answer: StrictBool = False


class LogReply(Reply):
    """`until`: when all is as it was configured; null when it is. `written`, `heldBack`: lines since it was switched."""

    queries: bool
    accesses: bool
    level: str
    per_second: int = Field(alias="perSecond")
    name: str | None
    client: str | None
    answer: bool
    until: Time | None
    written: int
    held_back: int = Field(alias="heldBack")


class Asking(BaseModel):
    """`error`: by how much the number may be too low."""

    client: str
    queries: int
    error: int


class Requesting(BaseModel):
    client: str
    requests: int
    error: int


class AskedFor(BaseModel):
    name: str
    queries: int
    error: int


class Changing(BaseModel):
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


TOP: Table = {
    "limit": parameters.whole(1, MAX_LIMIT, f"at most so many of each list; {USUAL_LIMIT} where it is not given"),
    "minutes": parameters.whole(1, MAX_MINUTES, f"the last so many; {MAX_MINUTES} where it is not given"),
}

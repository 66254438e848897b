"""What PUT /admin/log takes, and what both routes answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from discovery.rest.api.shapes import Body, Reply, Time

Level = Literal["debug", "info", "warning", "error"]

MAX_SECONDS, USUAL_SECONDS = 86_400, 600
# Lines a second: enough to see what goes on, and less than the log's reader has to keep up with.
MAX_PER_SECOND, USUAL_PER_SECOND = 1_000, 100

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

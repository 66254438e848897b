"""What GET /admin/audit takes and answers, as /openapi.json describes it. Plugin `audit` answers it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from discovery.rest.api import parameters
from discovery.rest.api.query import Table
from discovery.rest.api.replies import Perhaps, Reply, Time

MAX_LIMIT = 1000

AUDIT: Table = {
    "limit": parameters.whole(1, MAX_LIMIT, "at most so many lines; 100 where it is not given"),
    "actor": parameters.text(128, "writes of this token, by its name, or from this address"),
    "service": parameters.name("writes that name this service"),
    "from": parameters.moment("from this time on"),
    "to": parameters.moment("before this time"),
    "before": parameters.cursor((20, 15), "1835023.48213"),
}


class By(BaseModel):
    """`name`: the token's, empty without one."""

    name: str
    address: str


class AuditLine(BaseModel):
    """As it stands in the file: README.md of the plugin has its fields. Lines of earlier versions, and `lost`, have fewer."""

    model_config = ConfigDict(extra="allow")

    time: Time
    by: By
    action: str
    outcome: Perhaps[str] = None
    index: Perhaps[int] = None
    service: str | None = None
    instance: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class AuditReply(Reply):
    """Newest first."""

    lines: list[AuditLine]
    next: Annotated[
        str | None,
        Field(
            description="`before` of the following page; null at the end. A page may have fewer lines than `limit`, or none, and "
            "a next: the search went on for two seconds"
        ),
    ]
    broken: Annotated[int, Field(description="lines that were cut, or are not the audit's, and were passed over")]

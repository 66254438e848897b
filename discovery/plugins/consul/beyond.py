"""What is not kept here, besides keys: prepared queries, events, coordinates, the mesh, ACLs. Lists are empty; what would have to be kept
is refused with a text, and never acknowledged.
"""

from __future__ import annotations

from discovery.plugins.consul.manners import NO_INDEX
from discovery.plugins.consul.reading import Question, Reader, get, none, put, refusing
from discovery.plugins.consul.topics import NEVER
from discovery.rest.api.route import Route

_NO_QUERY = "Prepared queries are not kept here; ask /v1/health/service/NAME?passing&near=_agent&tag=…, or DNS"


def _never(question: Question) -> str:
    return NEVER


def routes(reader: Reader) -> list[Route]:
    acl, connect = (
        refusing(401, "ACL support disabled"),
        refusing(500, "Connect must be enabled in order to use this endpoint", NO_INDEX),
    )
    query = refusing(500, _NO_QUERY)
    unknown = refusing(404, "Query not found")
    list_of = reader.route
    return [
        list_of("/query", none, _never, summary="Prepared queries: none"),
        put("/query", query, "No query is kept", method="POST"),
        get("/query/{id}/execute", unknown, "There is none"),
        get("/query/{id}", unknown, "There is none"),
        *(put("/query/{id}", query, "No query is kept", method=method) for method in ("PUT", "DELETE")),
        list_of("/event/list", none, _never, summary="Events: none"),
        put("/event/fire/{name}", refusing(500, "Events are not sent on by this registry; use a queue"), "No event is sent"),
        list_of("/coordinate/nodes", none, _never, summary="Coordinates: none"),
        list_of("/config/{kind}", none, _never, summary="Configuration of the mesh: none"),
        get("/acl/{what:.*}", acl, "There are no ACLs"),
        *(put("/acl/{what:.*}", acl, "There are no ACLs", method=method) for method in ("PUT", "POST", "DELETE")),
        get("/connect/{what:.*}", connect, "There is no mesh"),
        get("/snapshot", refusing(500, "There are no snapshots here; `discovery backup` makes a backup"), "No snapshot"),
    ]  # fmt: skip

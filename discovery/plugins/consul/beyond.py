"""What is not kept here, besides keys: prepared queries, events, coordinates, the mesh, ACLs. Lists are empty; what would have to be kept
is refused with a text, and never acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping

from discovery.plugins.consul.manners import NO_INDEX, Refused
from discovery.plugins.consul.reading import LIST, Reader, get, put
from discovery.plugins.consul.topics import NEVER
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Handler, Reply, Route

_NO_QUERY = "Prepared queries are not kept here; ask /v1/health/service/NAME?passing&near=_agent&tag=…, or DNS"


def refusing(status: int, text: str, headers: Mapping[str, str] = {}) -> Handler:
    def handler(request: Request) -> Reply:
        raise Refused(status, text, headers)

    return handler


class Beyond:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        acl, connect = (
            refusing(401, "ACL support disabled"),
            refusing(500, "Connect must be enabled in order to use this endpoint", NO_INDEX),
        )
        never, nothing = (lambda _: NEVER), (lambda question: iter(()))
        query = refusing(500, _NO_QUERY)
        unknown = refusing(404, "Query not found")
        list_of = self._reader.route
        return [
            list_of("/query", nothing, never, LIST, summary="Prepared queries: none"),
            put("/query", query, "No query is kept", method="POST"),
            get("/query/{id}/execute", unknown, "There is none"),
            get("/query/{id}", unknown, "There is none"),
            *(put("/query/{id}", query, "No query is kept", method=method) for method in ("PUT", "DELETE")),
            list_of("/event/list", nothing, never, LIST, summary="Events: none"),
            put("/event/fire/{name}", refusing(500, "Events are not sent on by this registry; use a queue"), "No event is sent"),
            list_of("/coordinate/nodes", nothing, never, LIST, summary="Coordinates: none"),
            list_of("/config/{kind}", nothing, never, LIST, summary="Configuration of the mesh: none"),
            get("/acl/{what:.*}", acl, "There are no ACLs"),
            *(put("/acl/{what:.*}", acl, "There are no ACLs", method=method) for method in ("PUT", "POST", "DELETE")),
            get("/connect/{what:.*}", connect, "There is no mesh"),
            get("/snapshot", refusing(500, "There are no snapshots here; `discovery backup` makes a backup"), "No snapshot"),
        ]  # fmt: skip

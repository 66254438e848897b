"""What is not kept here: KV, sessions, transactions, prepared queries, events, the mesh, ACLs. Reads find nothing, calmly; what would have
to be kept is refused with a text, and never acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping

from discovery.plugins.consul.manners import NO_INDEX, Refused, as_json
from discovery.plugins.consul.reading import LIST, Question, Reader, get, put
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Handler, Reply, Route

# No commit is about it: who waits for it waits until his time is over.
_NEVER = "\0consul never"
_NO_KV = (
    "This is no Consul but a service registry that speaks its API: it keeps no keys. Keep them in Consul "
    "(CONSUL_KV_UPSTREAM=http://HOST:8500 hands /v1/kv, /v1/txn and /v1/session on to it) or in etcd"
)
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
        never, nothing = (lambda _: _NEVER), (lambda question: iter(()))
        query = refusing(500, _NO_QUERY)
        unknown = refusing(404, "Query not found")
        list_of = self._reader.route
        return [
            get("/kv/{key:.*}", self.key, "A key: there is none"),
            *(put("/kv/{key:.*}", refusing(500, _NO_KV), "No key is kept", method=method) for method in ("PUT", "DELETE")),
            put("/txn", refusing(500, _NO_KV), "No key is kept"),
            list_of("/session/list", nothing, never, LIST, summary="Sessions: none"),
            get("/session/{what:.*}", self.empty, "Sessions: none"),
            put("/session/{what:.*}", refusing(500, _NO_KV), "No session is kept"),
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

    def key(self, request: Request) -> Reply:
        """404 with an index, and blocking, so that who reads its configuration here starts, and waits calmly."""
        question = self._reader.question(request)
        form = ("kv", request.names["key"])
        return self._reader.wait_for(question, _NEVER, form, lambda: self._none(question))

    def _none(self, question: Question) -> Answer:
        headers = self._reader.headers(question.asked, self._reader.index_of(_NEVER))
        return Answer(404, b"", headers, media="")

    def empty(self, request: Request) -> Answer:
        return as_json([], headers=NO_INDEX)

"""What plugins remember besides instances: an admin looks at it, and removes what belongs to a plugin that is no more."""

from __future__ import annotations

from itertools import islice

import orjson

from discovery.core.schema import ANY, TEXT, WHOLE, by_name, described, or_null
from discovery.rest.api.answers import Json
from discovery.rest.api.example import Example
from discovery.rest.api.parameters import text, whole
from discovery.rest.api.query import Table, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import STORED, Kind, Right, Route
from discovery.rest.api.shapes import Shape, like, reply, said
from discovery.store.engine import Engine
from discovery.store.operations import MAX_KEY, PutDocument
from discovery.store.registry import Registry

HEADING = "The server itself"
_NONE = "There was no such document"
# Documents of one answer, 8 KiB each at the most.
_MOST = 100
_PAGE: Table = {
    "limit": whole(1, _MOST, "at most so many"),
    "after": text(MAX_KEY, "a document's key: those behind it, in the order of the keys"),
}


_SHOWN = Shape(
    "ShownDocument",
    {"owner": described(or_null(TEXT), "the service whose owners may change it; null: an admin"), "content": ANY},
)
_LISTED = reply(
    "DocumentsReply",
    {"total": WHOLE, "documents": like(by_name(_SHOWN), {}), "next": or_null(TEXT)},
    "`total`: of the plugin. `next`: what to send as `after`; null at the end.",
)
_REMOVED = reply("RemovedReply", {"message": said("Document removed")})


class Documents:
    def __init__(self, registry: Registry, engine: Engine) -> None:
        self._registry = registry
        self._engine = engine

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/admin/documents/{plugin}", self.listed, Right.ADMIN, Kind.OPERATION, "What a plugin remembers besides instances",
                HEADING, _LISTED, query=_PAGE, examples=(Example(more={"total": 0, "next": None}),),
            ),
            Route(
                "DELETE", "/admin/documents/{plugin}/{key}", self.remove, Right.ADMIN, Kind.OPERATION, "Remove what a plugin remembers",
                HEADING, _REMOVED, codes=STORED, examples=(Example(more={"message": _NONE}),),
            ),
        ]  # fmt: skip

    def listed(self, request: Request) -> Json:
        documents, asked = self._registry.documents(request.names["plugin"]), values_of(request)
        limit, after = asked.get("limit", _MOST), asked.get("after", "")
        page = list(islice((key for key in sorted(documents) if key > after), limit + 1))
        shown = {
            key: {"owner": documents[key].owner, "content": orjson.Fragment(documents[key].content)}
            for key in page[:limit]
        }
        return {"total": len(documents), "documents": shown, "next": page[limit - 1] if len(page) > limit else None}

    async def remove(self, request: Request) -> Json:
        """Also of one that is not there: it is not there afterwards."""
        plugin, key = request.names["plugin"], request.names["key"]
        known = key in self._registry.documents(plugin)
        await self._engine.submit(PutDocument(plugin, key, None, reason=request.reason), request.caller)
        return {"message": "Document removed" if known else _NONE}

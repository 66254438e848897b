"""What each route may answer, as /openapi.json describes it: successes by status, and errors by status, with their codes."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus

from pydantic import BaseModel

from discovery.rest.api import replies
from discovery.rest.api.answers import INDEX
from discovery.rest.api.codes import CODES
from discovery.rest.api.openapi_examples import of_errors, of_response
from discovery.rest.api.openapi_routes import DNS, JSON, Document, Operation, codes_of


def responses(method: str, path: str, operation: Operation) -> Document:
    """By status."""
    schema = {} if operation.reply is None else {"schema": reference(operation.reply)}
    found: Document = {}
    for status in operation.status:
        examples = of_response(method, path, status)
        headers = {INDEX: _header("the index of what was asked about", {"type": "integer"})}
        found[str(status)] = {"description": operation.summary, "headers": headers}
        if status == HTTPStatus.NOT_MODIFIED:
            found[str(status)]["description"] = "The same as the client has already"
        else:
            found[str(status)]["content"] = {operation.media: schema | ({"examples": examples} if examples else {})}
        if HTTPStatus.NOT_MODIFIED in operation.status:
            headers["ETag"] = _header("for If-None-Match", {"type": "string"}, required=False)
        if status == HTTPStatus.CREATED:
            headers["Location"] = _header("the instance", {"type": "string"})
        elif operation.media == DNS:
            headers["Cache-Control"] = _header("max-age: the shortest TTL", {"type": "string"})
    by_status: dict[int, set[str]] = defaultdict(set)
    for code in codes_of(method, path):
        by_status[CODES[code]].add(code)
    return found | {str(status): _error(status, by_status[status]) for status in sorted(by_status)}


def _error(status: int, codes: set[str]) -> Document:
    schema = {"allOf": [reference(replies.Error), {"properties": {"code": {"enum": sorted(codes)}}}]}
    content = {"schema": schema, "examples": of_errors(codes)}
    described: Document = {"description": HTTPStatus(status).phrase, "content": {JSON: content}}
    if status in _HEADERS:
        described["headers"] = _HEADERS[status]
    return described


def _header(description: str, schema: Document, required: bool = True) -> Document:
    return {"description": description, "required": required, "schema": schema}


_SECONDS = {"type": "integer", "minimum": 1}
_HEADERS: dict[int, Document] = {
    401: {"WWW-Authenticate": _header("RFC 6750 §3", {"type": "string"})},
    429: {"Retry-After": _header("seconds", _SECONDS)},
    503: {"Retry-After": _header("seconds, but for NOT_READY", _SECONDS, required=False)},
}


def reference(model: type[BaseModel]) -> Document:
    return {"$ref": f"#/components/schemas/{model.__name__}"}

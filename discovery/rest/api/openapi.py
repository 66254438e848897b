"""/openapi.json: the API as OpenAPI 3.1, made from its routes, the shapes of bodies and answers, and the codes of errors."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from discovery import __version__
from discovery.core.check import MAX_ID
from discovery.core.name import NAME
from discovery.core.schema import ANY, FLAG, OBJECT, TEXT, WHOLE, Schema, list_of, one_of
from discovery.rest.api import shapes
from discovery.rest.api.answers import INDEX, JSON, Answer
from discovery.rest.api.codes import CODES
from discovery.rest.api.dns import MEDIA_TYPE as DNS
from discovery.rest.api.errors import as_json
from discovery.rest.api.example import SERVICE, SHA256, Example, sample
from discovery.rest.api.query import Parameter, shown
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Manners, Right, Route, without_query
from discovery.rest.api.shapes import Shape, like, reply, without_shapes

Document = dict[str, Any]

_ALWAYS = (
    "BAD_REQUEST", "BROKEN_BODY", "REQUEST_TIMEOUT", "BODY_TOO_LARGE", "EXPECTATION_FAILED", "UNKNOWN_HOST", "INTERNAL",
    "TOO_MANY_CONNECTIONS", "TOO_BUSY", "CODING_UNSUPPORTED", "VERSION_UNSUPPORTED",
)  # fmt: skip
_TOKEN = ("UNAUTHORIZED", "FORBIDDEN")
_JSON_BODY = ("BODY_MISSING", "BROKEN_JSON", "NOT_AN_OBJECT", "INVALID_FIELD", "NOT_JSON", "ENCODED_BODY")
# What stands in the braces of a path: its schema, and the code of one that is none.
_IN_PATH: Mapping[str, tuple[Document, str]] = {
    "name": (NAME, "INVALID_FIELD"),
    "id": ({"type": "string", "minLength": 1, "examples": ["user-1"]}, "INSTANCE_UNKNOWN"),
    "check": ({"type": "string", "minLength": 1, "maxLength": MAX_ID, "examples": ["db-pool"]}, "CHECK_UNKNOWN"),
    "token": (
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "description": "its name, or the SHA-256 of its secret",
            "examples": ["deploy"],
        },
        "TOKEN_UNKNOWN",
    ),
    "sha256": ({"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "examples": [SHA256]}, "TOKEN_NOT_REVOKED"),
    "domain": (shapes.DOMAIN, "INVALID_FIELD"),
}
_OTHER_PLACE: tuple[Document, str] = ({"type": "string", "minLength": 1, "examples": [SERVICE]}, "INVALID_FIELD")


# What the examples of codes say stands for the types of facts.
_TYPES: Mapping[type, Schema] = {
    bool: FLAG,
    int: WHOLE,
    str: TEXT,
    list: list_of(ANY),
    tuple: list_of(ANY),
    dict: OBJECT,
}
_ERROR = reply(
    "Error",
    {"error": TEXT, "message": TEXT, "code": one_of(sorted(CODES))}
    | {f"{name}?": _TYPES[type(fact)] for each in CODES.values() for name, fact in each.facts.items()},
    "`error`: the status in words. `message`: what happened, to what, and what to do next. `code`: for programs. The others are facts of "
    "some codes.",
)


class OpenApi:
    """`routes()`: all that the server has. The document is made when it is first asked for."""

    def __init__(self, routes: Callable[[], Sequence[Route]]) -> None:
        self._routes = routes
        self._body = b""

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/openapi.json",
                self.get,
                Right.NONE,
                Kind.OPERATION,
                "This document",
                "The server itself",
                _REPLY,
                kept=without_query,
            )
        ]

    async def get(self, request: Request) -> Answer:
        if not self._body:
            self._body = await asyncio.to_thread(lambda: orjson.dumps(document(self._routes())))
        return Answer(200, self._body)


_REPLY = Shape(
    "DocumentReply", {"openapi": like(TEXT, "3.1.0"), "info": OBJECT, "paths": OBJECT}, "OpenAPI 3.1.", more=True
)


def described(routes: Iterable[Route]) -> list[Route]:
    """Those that are of the API."""
    return [route for route in routes if route.kind is not Kind.PAGE]


def document(routes: Iterable[Route]) -> Document:
    routes = described(routes)
    named: dict[str, Document] = {}
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = without_shapes(_operation(route), named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "discovery",
            "version": __version__,
            "description": "A service registry with two faces, HTTP and DNS. docs/http.md has what each route is for. HEAD goes wherever "
            "GET does. Another path is a 404 with the code ROUTE_UNKNOWN, another method a 405 with METHOD_NOT_ALLOWED.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "."}],  # beside this document, also where a proxy serves all of it below a path
        "tags": [{"name": heading} for heading in dict.fromkeys(route.heading for route in routes)],
        "paths": paths,
        "components": {
            "schemas": named,
            # Here, since many routes end in the same.
            "examples": {code: {"summary": code, "value": CODES[code].body(code)} for code in sorted(CODES)},
            "securitySchemes": {"token": _SCHEME},
        },
        "security": [{}, {"token": []}],  # without a token where the server has none configured
    }


_SCHEME = {
    "type": "http", "scheme": "bearer",
    "description": "Of TOKENS_FILE or API_TOKEN, where the server has such. docs/http.md has which right each route takes.",
}  # fmt: skip


def codes_of(route: Route) -> set[str]:
    """The errors that a route may end in."""
    codes = {*_ALWAYS, *route.codes, *(() if route.right is Right.NONE else _TOKEN)}
    codes |= {_IN_PATH.get(name, _OTHER_PLACE)[1] for name in route.places}
    if route.query:
        codes |= {"INVALID_FIELD", *(() if route.lenient else ("PARAMETER_UNKNOWN",))}
        codes |= {"PARAMETER_MISSING" for each in route.query.values() if each.required}
    return codes | {*(_JSON_BODY if route.body else ()), *(() if route.method == "GET" else ("FOREIGN_ORIGIN",))}


class Exchange(NamedTuple):
    """An example, whole. `body`: None: there is none. `reply`: JSON, or text."""

    example: Example
    body: Any
    reply: Any

    @property
    def name(self) -> str:
        return re.sub(r"\W+", "-", self.example.title.lower()) or "usual"

    def shown(self, value: object) -> Document:
        told = [f"Asked with ?{urlencode(self.example.query)}."] if self.example.query else []
        told += [f"After {line}." for line in self.example.after]
        told += ["An excerpt: there is more in it."] if isinstance(value, str) else []
        found: Document = {"value": value}
        if self.example.title:
            found["summary"] = self.example.title
        return found | ({"description": " ".join(told)} if told else {})


def exchanges(route: Route) -> list[Exchange]:
    """None of octets, of which JSON can show none."""
    found = []
    for example in route.examples if route.media != DNS else ():
        body = example.body
        if body is None and route.body is not None:
            body = sample(route.body)
        if route.reply is None:
            reply: Any = example.text() if callable(example.text) else example.text
        else:
            reply = sample(route.reply)
            if example.more:
                reply = {**reply, **example.more}
        found.append(Exchange(example, body, reply))
    return found


def _operation(route: Route) -> Document:
    examples = exchanges(route)
    operation: Document = {
        "summary": route.summary,
        "tags": [route.heading],
        "operationId": _id(route),
        "parameters": [_parameter(name, "path", True, _IN_PATH.get(name, _OTHER_PLACE)[0]) for name in route.places]
        + [_parameter(shown(name), "query", each.required, _schema(name, each)) for name, each in route.query.items()],
        "responses": _responses(route, examples),
    }
    if route.right is Right.NONE:
        operation["security"] = []
    if route.body is not None:
        bodies = {each.name: each.shown(each.body) for each in examples}
        content = {"schema": route.body, "examples": bodies}
        operation["requestBody"] = {"required": True, "content": {JSON: content}}
    elif route.method == "POST" and route.media == DNS:
        operation["requestBody"] = {"required": True, "content": {DNS: {}}}
    return operation


def _id(route: Route) -> str:
    """`put_instances_id_drain`."""
    parts = [part.strip("{}") for part in route.template.split("/")[1:]]
    return "_".join([route.method.lower(), *parts]).replace(".", "_")


def _parameter(name: str, where: str, required: bool, schema: Document) -> Document:
    """One that must be there has an example to try it with; the schemas of the others have some to read."""
    found = {"name": name, "in": where, "required": required, "schema": schema}
    return found | {"example": schema["examples"][0]} if required else found


def _schema(name: str, parameter: Parameter) -> Document:
    """What may come several times is sent as `tag=a&tag=b`."""
    schema = dict(parameter.schema)
    if parameter.most == 1 or name.endswith("."):
        return schema
    return {"type": "array", "items": schema, "maxItems": parameter.most}


# -- what it may answer


def _responses(route: Route, examples: Sequence[Exchange]) -> Document:
    """Successes by status, and errors by status, with their codes."""
    schema = {} if route.reply is None else {"schema": route.reply}
    found: Document = {}
    for status in route.status:
        headers = {INDEX: _header("the index of what was asked about", {"type": "integer"})}
        found[str(status)] = {"description": route.summary, "headers": headers}
        if status == HTTPStatus.NOT_MODIFIED:
            found[str(status)]["description"] = "The same as the client has already"
        else:
            replies = {each.name: each.shown(each.reply) for each in examples if each.example.status == status}
            found[str(status)]["content"] = {route.media: schema | ({"examples": replies} if replies else {})}
            if route.also is not None:
                found[str(status)]["content"][route.also] = {}
        if HTTPStatus.NOT_MODIFIED in route.status:
            headers["ETag"] = _header("for If-None-Match", {"type": "string"}, required=False)
        if status == HTTPStatus.CREATED:
            headers["Location"] = _header("the instance", {"type": "string"})
        elif route.media == DNS:
            headers["Cache-Control"] = _header("max-age: the shortest TTL", {"type": "string"})
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in sorted(codes_of(route)):
        by_status[CODES[code].status].append(code)
    return found | {str(status): _error(status, by_status[status], route.manners) for status in sorted(by_status)}


def _error(status: int, codes: list[str], manners: Manners) -> Document:
    found: Document = {"description": HTTPStatus(status).phrase}
    if manners.error is not as_json:
        return found
    schema = {"allOf": [_ERROR, {"properties": {"code": {"enum": codes}}}]}
    content = {"schema": schema, "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes}}
    found["content"] = {JSON: content}
    return found | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _header(description: str, schema: Document, required: bool = True) -> Document:
    return {"description": description, "required": required, "schema": schema}


_SECONDS = {"type": "integer", "minimum": 1}
_HEADERS: dict[int, Document] = {
    401: {"WWW-Authenticate": _header("RFC 6750 §3", {"type": "string"})},
    429: {"Retry-After": _header("seconds", _SECONDS)},
    503: {"Retry-After": _header("seconds, but for NOT_READY", _SECONDS, required=False)},
}

"""/openapi.json: the API as OpenAPI 3.1, made from the models of bodies and answers. Each route stands in OPERATIONS with what it takes
and what it may answer, each error in `codes.CODES`; the tests hold both to the routes and
errors that there are.
"""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from discovery import __version__
from discovery.rest.api import history, listing, observing, replies, resolving, schemas, waiting
from discovery.rest.api.answers import INDEX
from discovery.rest.api.codes import CODES
from discovery.rest.api.query import Parameter, Table, shown

_JSON = "application/json"
_DNS = "application/dns-message"
_STREAM = "text/event-stream"

Document = dict[str, Any]

_ALWAYS = (
    "BAD_REQUEST", "BROKEN_BODY", "REQUEST_TIMEOUT", "BODY_TOO_LARGE", "EXPECTATION_FAILED", "UNKNOWN_HOST", "INTERNAL",
    "TOO_MANY_CONNECTIONS", "TOO_BUSY", "CODING_UNSUPPORTED", "VERSION_UNSUPPORTED",
)  # fmt: skip
_TOKEN = ("UNAUTHORIZED", "FORBIDDEN")
_JSON_BODY = ("BODY_MISSING", "BROKEN_JSON", "NOT_AN_OBJECT", "INVALID_FIELD", "NOT_JSON", "ENCODED_BODY")
_REGISTER = (
    "SERVICE_FULL", "NAME_RESERVED", "ID_TAKEN", "REGISTRY_FULL", "TOO_MANY_REGISTRATIONS", "STORAGE_UNAVAILABLE",
    "ENGINE_UNAVAILABLE",
)  # fmt: skip
_HISTORY = ("NOT_RECORDED", "HISTORY_BUSY", "HISTORY_TOO_SLOW")
_UPSERT = (*_REGISTER, "INSTANCE_DEREGISTERED")
_OF_PLACE = {"name": "INVALID_FIELD", "id": "INSTANCE_UNKNOWN"}
_OF_QUERY = {"ip": ("INVALID_FIELD", "PARAMETER_MISSING"), "dns": ("INVALID_FIELD", "PARAMETER_MISSING")}
# Those that anybody may ask, whatever token they show.
_OPEN = ("/health", "/ready")


class Operation(NamedTuple):
    """`reply`: of status `status`; None: it is no JSON, but `media`. `codes`: besides those that any of its kind may get.

    `query`: parameters beside which any other is ignored. `known`: a table beside which any other is refused.
    """

    summary: str
    reply: type[BaseModel] | None
    body: type[BaseModel] | None = None
    status: tuple[int, ...] = (200,)
    codes: tuple[str, ...] = ()
    query: tuple[tuple[str, bool, Document], ...] = ()
    known: Table = {}  # noqa: RUF012 a value, never written to
    media: str = _JSON


_AT = (("ip", True, schemas.ADDRESS), ("port", True, schemas.PORT))
# With an entity tag, which the client may have already.
_KNOWN_ALREADY = (200, 304)
_DNS_QUERY = (
    ("dns", True, {"type": "string", "pattern": "^[A-Za-z0-9_-]*$", "description": "a DNS message in base64url"}),
)


def _operations() -> dict[tuple[str, str], Operation]:
    heartbeat, register, window = schemas.HeartbeatBody, schemas.RegisterBody, schemas.MaintenanceBody
    stored = ("STORAGE_UNAVAILABLE", "ENGINE_UNAVAILABLE")
    gone = ("SERVICE_UNKNOWN", *stored)
    unknown = ("INSTANCE_UNKNOWN", *stored)
    table = {
        ("POST", "/register"): Operation(
            "Register, or register again", replies.RegisterReply, register, (201,), _REGISTER
        ),
        ("PUT", "/instances"): Operation(
            "A heartbeat that carries the registration", replies.HeartbeatReply, register, (200, 201), _UPSERT
        ),
        ("POST", "/heartbeat"): Operation(
            "Renew a lease; with `register`, as PUT /instances",
            replies.HeartbeatReply,
            heartbeat,
            (200, 201),
            (*_UPSERT, "INSTANCE_UNKNOWN"),
        ),
        ("POST", "/registrations"): Operation(
            "Register many instances", replies.RegistrationsReply, schemas.RegistrationsBody
        ),
        ("POST", "/heartbeats"): Operation("Renew many leases", replies.HeartbeatsReply, schemas.HeartbeatsBody),
        ("GET", "/resolve/{name}"): Operation(
            "The instances to use",
            replies.ResolveReply,
            status=_KNOWN_ALREADY,
            codes=("SERVICE_UNKNOWN", "NO_HEALTHY_INSTANCE", "TOO_MANY_WATCHERS"),
            known=resolving.PARAMETERS,
        ),
        ("GET", "/instances/{id}"): Operation("One instance", replies.InstanceReply),
        ("DELETE", "/instances/{id}"): Operation("Deregister by id", replies.DeregisterReply, codes=stored),
        ("GET", "/services"): Operation(
            "All services, streamed, or a page",
            replies.ServicesReply,
            status=_KNOWN_ALREADY,
            codes=("TOO_MANY_WATCHERS",),
            known=listing.PARAMETERS,
        ),
        ("GET", "/events"): Operation(
            "What happens, as it happens (Server-Sent Events); each message is an `Event`",
            None,
            codes=("TOO_MANY_WATCHERS",),
            known=waiting.EVENTS,
            media=_STREAM,
        ),
        ("GET", "/changes"): Operation(
            "What has happened since an index", replies.ChangesReply, codes=("INDEX_GONE",), known=waiting.CHANGES
        ),
        ("GET", "/services/{name}/explain"): Operation(
            "Who was in the answers at an instant, and why the others were not",
            history.PastReply,
            codes=("SERVICE_UNKNOWN", *_HISTORY),
            known=history.EXPLAIN,
        ),
        ("GET", "/history"): Operation(
            "What happened, newest first", history.HistoryReply, codes=_HISTORY, known=history.HISTORY
        ),
        ("DELETE", "/services/{name}"): Operation(
            "Deregister a whole service", replies.DeregisterServiceReply, codes=gone
        ),
        ("DELETE", "/services/{name}/instances"): Operation(
            "Deregister an instance", replies.DeregisterReply, codes=unknown, query=_AT
        ),
        ("POST", "/admin/clear"): Operation("Deregister everything", replies.ClearReply, codes=stored),
        ("GET", "/stats"): Operation("Counters", replies.StatsReply),
        ("GET", "/top"): Operation(
            "Who asks most, and for what", observing.TopReply, codes=("INVALID_FIELD",), query=observing.TOP_QUERY
        ),
        ("GET", "/admin/log"): Operation("What is logged", observing.LogReply),
        ("PUT", "/admin/log"): Operation("Log more, for a time", observing.LogReply, observing.LogBody),
        ("GET", "/metrics"): Operation("Counters for Prometheus", None, media="text/plain"),
        ("GET", "/health"): Operation("Whether the process lives", replies.HealthReply),
        ("GET", "/ready"): Operation("Whether it can be asked", replies.ReadyReply, codes=("NOT_READY",)),
        ("GET", "/maintenance"): Operation("All maintenance windows", replies.MaintenancesReply),
        ("GET", "/dns-query"): Operation(
            "DNS over HTTPS (RFC 8484)", None, codes=("NO_QUERY",), query=_DNS_QUERY, media=_DNS
        ),
        ("POST", "/dns-query"): Operation("DNS over HTTPS (RFC 8484)", None, codes=("NO_QUERY", "NOT_DNS"), media=_DNS),
        ("GET", "/openapi.json"): Operation("This document", replies.DocumentReply),
    }
    for path, query in (("/services/{name}/instances", _AT), ("/instances/{id}", ())):
        table |= {
            ("PUT", f"{path}/drain"): Operation(
                "Out of new answers, still alive", replies.DrainReply, codes=unknown, query=query
            ),
            ("DELETE", f"{path}/drain"): Operation("Back into answers", replies.DrainReply, codes=unknown, query=query),
        }
    for path, query, missing in (
        ("/services/{name}", (), gone),
        ("/services/{name}/instances", _AT, unknown),
        ("/instances/{id}", (), unknown),
    ):
        table |= {
            ("PUT", f"{path}/maintenance"): Operation(
                "Begin maintenance", replies.MaintenanceReply, window, codes=(*missing, "TOO_MANY_WINDOWS"), query=query
            ),
            ("DELETE", f"{path}/maintenance"): Operation(
                "End maintenance", replies.MaintenanceReply, codes=(*stored, "NO_MAINTENANCE"), query=query
            ),
        }
    return table


OPERATIONS = _operations()


def routes() -> list[web.RouteDef]:
    body = orjson.dumps(document())

    async def openapi(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=_JSON)

    return [web.get("/openapi.json", openapi)]


def codes_of(method: str, path: str) -> set[str]:
    """The errors that an operation may end in."""
    operation = OPERATIONS[method, path]
    codes = {*_ALWAYS, *operation.codes, *(() if path in _OPEN else _TOKEN)}
    codes |= {_OF_PLACE[name] for name in _places(path)}
    codes |= {code for name, _, _ in operation.query for code in _OF_QUERY.get(name, ())}
    codes |= {*(("INVALID_FIELD", "PARAMETER_UNKNOWN") if operation.known else ())}
    codes |= {*(_JSON_BODY if operation.body else ()), *(() if method == "GET" else ("FOREIGN_ORIGIN",))}
    return codes


class _Schema(GenerateJsonSchema):
    """Without `"default": null`: that a field may be left out is said by its not being required."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


def document() -> Document:
    models: dict[str, type[BaseModel]] = {"Error": replies.Error}
    for operation in OPERATIONS.values():
        models |= {model.__name__: model for model in (operation.body, operation.reply) if model is not None}
    _, definitions = models_json_schema(
        [(model, "validation") for _, model in sorted(models.items())],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schema,
    )
    definitions["$defs"]["Error"]["properties"]["code"] = {"enum": sorted(CODES)}
    paths: dict[str, Document] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _described(method, path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "discovery",
            "version": __version__,
            "description": "A service registry with two faces, HTTP and DNS. The README has what each route is for. HEAD goes wherever GET "
            "does. Another path is a 404 with the code ROUTE_UNKNOWN, another method a 405 with METHOD_NOT_ALLOWED.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": _SECURITY,
    }


_SECURITY: list[Document] = [{}, {"token": []}]  # without a token where the server has none configured


def _described(method: str, path: str, operation: Operation) -> Document:
    described: Document = {
        "summary": operation.summary,
        "operationId": _id(method, path),
        "parameters": [_parameter(name, "path", True, _PLACES[name]) for name in _places(path)]
        + [_parameter(name, "query", required, schema) for name, required, schema in operation.query]
        + [_parameter(shown(name), "query", False, _schema(name, each)) for name, each in operation.known.items()],
        "responses": _responses(method, path, operation),
    }
    if path in _OPEN:
        described["security"] = []
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": _reference(operation.body)}}}
    elif method == "POST" and operation.media == _DNS:
        described["requestBody"] = {"required": True, "content": {_DNS: {}}}
    return described


_PLACES: dict[str, Document] = {"name": schemas.LABEL, "id": {"type": "string", "minLength": 1}}


def _places(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _id(method: str, path: str) -> str:
    """`put_instances_id_drain`."""
    return "_".join([method.lower(), *(part.strip("{}") for part in path.split("/")[1:])]).replace(".", "_")


def _responses(method: str, path: str, operation: Operation) -> Document:
    content = {operation.media: {} if operation.reply is None else {"schema": _reference(operation.reply)}}
    found: Document = {}
    for status in operation.status:
        headers = {INDEX: _header("the index of what was asked about", {"type": "integer"})}
        found[str(status)] = {"description": operation.summary, "headers": headers}
        if status == HTTPStatus.NOT_MODIFIED:
            found[str(status)]["description"] = "The same as the client has already"
        else:
            found[str(status)]["content"] = content
        if HTTPStatus.NOT_MODIFIED in operation.status:
            headers["ETag"] = _header("for If-None-Match", {"type": "string"}, required=False)
        if status == HTTPStatus.CREATED:
            headers["Location"] = _header("the instance", {"type": "string"})
        elif operation.media == _DNS:
            headers["Cache-Control"] = _header("max-age: the shortest TTL", {"type": "string"})
    by_status: dict[int, set[str]] = defaultdict(set)
    for code in codes_of(method, path):
        by_status[CODES[code]].add(code)
    return found | {str(status): _error(status, by_status[status]) for status in sorted(by_status)}


def _error(status: int, codes: set[str]) -> Document:
    schema = {"allOf": [_reference(replies.Error), {"properties": {"code": {"enum": sorted(codes)}}}]}
    described: Document = {"description": HTTPStatus(status).phrase, "content": {_JSON: {"schema": schema}}}
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


def _parameter(name: str, where: str, required: bool, schema: Document) -> Document:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _schema(name: str, parameter: Parameter) -> Document:
    """What may come several times is sent as `tag=a&tag=b`."""
    schema = dict(parameter.schema)
    if parameter.most == 1 or name.endswith("."):
        return schema
    return {"type": "array", "items": schema, "maxItems": parameter.most}


def _reference(model: type[BaseModel]) -> Document:
    return {"$ref": f"#/components/schemas/{model.__name__}"}

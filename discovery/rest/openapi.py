"""/openapi.json: the API as OpenAPI 3.1, made from the models of bodies and answers. Each route stands in the table below with what it
takes and what it may answer; the tests hold the table to the routes that there are.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from discovery import __version__
from discovery.rest import replies, schemas

_JSON = "application/json"
_DNS = "application/dns-message"

Document = dict[str, Any]

# What any request may get: it is malformed, not let in, too slow, for another host, or one of too many.
_ALWAYS = (400, 401, 403, 408, 413, 417, 421, 500, 503)
# What a body may get besides.
_WITH_BODY = (415,)
# What a write may get besides.
_WRITE = (404, 409, 507)


class Operation(NamedTuple):
    """`reply`: of status `status`; None: it is a DNS message. `errors`: besides those that any request may get."""

    summary: str
    reply: type[BaseModel] | None
    body: type[BaseModel] | None = None
    status: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()
    query: tuple[tuple[str, bool, Document], ...] = ()


_AT = (
    ("ip", True, {"type": "string", "description": "IPv4 or IPv6"}),
    ("port", True, {"type": "integer", "minimum": 1, "maximum": 65535}),
)
_PAGE = (
    ("limit", False, {"type": "integer", "minimum": 1, "maximum": 100}),
    ("after", False, {"type": "string"}),
)
_DNS_QUERY = (("dns", True, {"type": "string", "description": "a DNS message in base64url"}),)


def _operations() -> dict[tuple[str, str], Operation]:
    heartbeat, register, window = schemas.HeartbeatBody, schemas.RegisterBody, schemas.MaintenanceBody
    table = {
        ("POST", "/register"): Operation(
            "Register, or register again", replies.RegisterReply, register, (201,), (409, 429, 507)
        ),
        ("PUT", "/instances"): Operation(
            "A heartbeat that carries the registration", replies.HeartbeatReply, register, (200, 201), (*_WRITE, 429)
        ),
        ("POST", "/heartbeat"): Operation(
            "Renew a lease", replies.HeartbeatReply, heartbeat, (200, 201), (*_WRITE, 429)
        ),
        ("POST", "/heartbeats"): Operation("Renew many leases", replies.HeartbeatsReply, schemas.HeartbeatsBody),
        ("GET", "/resolve/{name}"): Operation("The instances to use", replies.ResolveReply, errors=(404,)),
        ("GET", "/instances/{id}"): Operation("One instance", replies.InstanceReply, errors=(404,)),
        ("DELETE", "/instances/{id}"): Operation("Deregister by id", replies.DeregisterReply, errors=(404,)),
        ("GET", "/services"): Operation("All services, streamed, or a page", replies.ServicesReply, query=_PAGE),
        ("DELETE", "/services/{name}"): Operation(
            "Deregister a whole service", replies.DeregisterServiceReply, errors=(404,)
        ),
        ("DELETE", "/services/{name}/instances"): Operation(
            "Deregister an instance", replies.DeregisterReply, errors=(404,), query=_AT
        ),
        ("POST", "/admin/clear"): Operation("Deregister everything", replies.ClearReply),
        ("GET", "/stats"): Operation("Counters", replies.StatsReply),
        ("GET", "/health"): Operation("Whether the process lives", replies.HealthReply),
        ("GET", "/ready"): Operation("Whether it can be asked", replies.ReadyReply),
        ("GET", "/maintenance"): Operation("All maintenance windows", replies.MaintenancesReply),
        ("GET", "/dns-query"): Operation("DNS over HTTPS (RFC 8484)", None, errors=(415,), query=_DNS_QUERY),
        ("POST", "/dns-query"): Operation("DNS over HTTPS (RFC 8484)", None, errors=(415,)),
        ("GET", "/openapi.json"): Operation("This document", replies.Reply),
    }
    for path, query in (("/services/{name}/instances", _AT), ("/instances/{id}", ())):
        table |= {
            ("PUT", f"{path}/drain"): Operation(
                "Out of new answers, still alive", replies.DrainReply, errors=(404,), query=query
            ),
            ("DELETE", f"{path}/drain"): Operation("Back into answers", replies.DrainReply, errors=(404,), query=query),
        }
    for path, query in (("/services/{name}", ()), ("/services/{name}/instances", _AT), ("/instances/{id}", ())):
        table |= {
            ("PUT", f"{path}/maintenance"): Operation(
                "Begin maintenance", replies.MaintenanceReply, window, errors=(404, 409), query=query
            ),
            ("DELETE", f"{path}/maintenance"): Operation(
                "End maintenance", replies.MaintenanceReply, errors=(404,), query=query
            ),
        }
    return table


OPERATIONS = _operations()


def routes() -> list[web.RouteDef]:
    body = orjson.dumps(document())

    async def openapi(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=_JSON)

    return [web.get("/openapi.json", openapi)]


def document() -> Document:
    models: dict[str, type[BaseModel]] = {"Error": replies.Error}
    for operation in OPERATIONS.values():
        models |= {model.__name__: model for model in (operation.body, operation.reply) if model is not None}
    _, definitions = models_json_schema(
        [(model, "validation") for _, model in sorted(models.items())], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, Document] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _described(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "discovery",
            "version": __version__,
            "description": "A service registry with two faces, HTTP and DNS. The README has what each route is for.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],  # without a token where the server has none configured
    }


def _described(path: str, operation: Operation) -> Document:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    described: Document = {
        "summary": operation.summary,
        "parameters": [_parameter(name, "path", True, {"type": "string", "minLength": 1}) for name in named]
        + [_parameter(name, "query", required, schema) for name, required, schema in operation.query],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": _reference(operation.body)}}}
    elif operation.reply is None and not operation.query:
        described["requestBody"] = {"required": True, "content": {_DNS: {"schema": {"type": "string"}}}}
    return described


def _responses(operation: Operation) -> Document:
    content = {_DNS: {}} if operation.reply is None else {_JSON: {"schema": _reference(operation.reply)}}
    found: Document = {
        str(status): {"description": operation.summary, "content": content} for status in operation.status
    }
    errors = {*_ALWAYS, *operation.errors, *(_WITH_BODY if operation.body else ())}
    for status in sorted(errors):
        error = {_JSON: {"schema": _reference(replies.Error)}}
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": error}
    return found


def _parameter(name: str, where: str, required: bool, schema: Document) -> Document:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _reference(model: type[BaseModel]) -> Document:
    return {"$ref": f"#/components/schemas/{model.__name__}"}

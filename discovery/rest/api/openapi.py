"""/openapi.json: the API as OpenAPI 3.1, made from `openapi_routes`, the models of bodies and answers, and `codes.CODES`."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from discovery import __version__
from discovery.rest.api import replies, schemas
from discovery.rest.api.answers import INDEX
from discovery.rest.api.codes import CODES
from discovery.rest.api.openapi_routes import DNS, JSON, OPEN, OPERATIONS, Document, Operation, codes_of, places_in
from discovery.rest.api.query import Parameter, shown


def routes() -> list[web.RouteDef]:
    body = orjson.dumps(document())

    async def openapi(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=JSON)

    return [web.get("/openapi.json", openapi)]


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
            "description": "A service registry with two faces, HTTP and DNS. docs/http.md has what each route is for. HEAD goes wherever "
            "GET does. Another path is a 404 with the code ROUTE_UNKNOWN, another method a 405 with METHOD_NOT_ALLOWED.",
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
        "parameters": [_parameter(name, "path", True, _PLACES[name]) for name in places_in(path)]
        + [_parameter(name, "query", required, schema) for name, required, schema in operation.query]
        + [_parameter(shown(name), "query", False, _schema(name, each)) for name, each in operation.known.items()],
        "responses": _responses(method, path, operation),
    }
    if path in OPEN:
        described["security"] = []
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(operation.body)}}}
    elif method == "POST" and operation.media == DNS:
        described["requestBody"] = {"required": True, "content": {DNS: {}}}
    return described


_PLACES: dict[str, Document] = {
    "name": schemas.LABEL,
    "id": {"type": "string", "minLength": 1},
    "token": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "description": "its name, or the SHA-256 of its secret",
    },
    "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
    "domain": schemas.DOMAIN,
}


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
        elif operation.media == DNS:
            headers["Cache-Control"] = _header("max-age: the shortest TTL", {"type": "string"})
    by_status: dict[int, set[str]] = defaultdict(set)
    for code in codes_of(method, path):
        by_status[CODES[code]].add(code)
    return found | {str(status): _error(status, by_status[status]) for status in sorted(by_status)}


def _error(status: int, codes: set[str]) -> Document:
    schema = {"allOf": [_reference(replies.Error), {"properties": {"code": {"enum": sorted(codes)}}}]}
    described: Document = {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}
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

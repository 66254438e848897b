"""/openapi.json: the API as OpenAPI 3.1, made from `openapi_routes`, the models of bodies and answers, and `codes.CODES`."""

from __future__ import annotations

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from discovery import __version__
from discovery.rest.api import replies, schemas
from discovery.rest.api.codes import CODES
from discovery.rest.api.examples import AREAS
from discovery.rest.api.examples.example import PLACES
from discovery.rest.api.openapi_examples import area_of, errors, of_request
from discovery.rest.api.openapi_responses import reference, responses
from discovery.rest.api.openapi_routes import DNS, JSON, OPEN, OPERATIONS, Document, Operation, places_in
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
        "servers": [{"url": "."}],  # beside this document, also where a proxy serves all of it below a path
        "tags": [{"name": area} for area in AREAS],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "examples": errors(),
            "securitySchemes": {"token": _SCHEME},
        },
        "security": _SECURITY,
    }


_SCHEME = {
    "type": "http", "scheme": "bearer",
    "description": "Of TOKENS_FILE or API_TOKEN, where the server has such. docs/http.md has which right each route takes.",
}  # fmt: skip
_SECURITY: list[Document] = [{}, {"token": []}]  # without a token where the server has none configured


def _described(method: str, path: str, operation: Operation) -> Document:
    described: Document = {
        "summary": operation.summary,
        "tags": [area_of(method, path)],
        "operationId": _id(method, path),
        "parameters": [_parameter(name, "path", True, _PLACES[name]) for name in places_in(path)]
        + [_parameter(name, "query", required, schema) for name, required, schema in operation.query]
        + [_parameter(shown(name), "query", False, _schema(name, each)) for name, each in operation.known.items()],
        "responses": responses(method, path, operation),
    }
    if path in OPEN:
        described["security"] = []
    if operation.body is not None:
        content = {"schema": reference(operation.body), "examples": of_request(method, path)}
        described["requestBody"] = {"required": True, "content": {JSON: content}}
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


def _parameter(name: str, where: str, required: bool, schema: Document) -> Document:
    """One that must be there has an example to try it with; the schemas of the others have some to read."""
    described = {"name": name, "in": where, "required": required, "schema": schema}
    return described | {"example": PLACES[name]} if required else described


def _schema(name: str, parameter: Parameter) -> Document:
    """What may come several times is sent as `tag=a&tag=b`."""
    schema = dict(parameter.schema)
    if parameter.most == 1 or name.endswith("."):
        return schema
    return {"type": "array", "items": schema, "maxItems": parameter.most}

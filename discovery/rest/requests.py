"""Reading what a client sent: a JSON body of a schema, required query parameters."""

from __future__ import annotations

from typing import TypeVar

import orjson
from aiohttp import hdrs, web

from discovery.core.caller import Caller
from discovery.core.instance import Key
from discovery.rest.errors import HttpError
from discovery.rest.schemas import Body

_JSON = "application/json"

# Octets of any body: room for a batch of 10,000 heartbeats of 200 each.
MAX_BODY = 2 * 1024 * 1024
# Octets of a body about one instance: 16 KiB of metadata in a wordy spelling, and the rest.
MAX_SINGLE = 128 * 1024

# Where a request keeps who sent it.
CALLER = web.RequestKey("caller", Caller)

B = TypeVar("B", bound=Body)


async def read(request: web.Request, schema: type[B], most: int = MAX_SINGLE) -> B:
    """HttpError 400 for no JSON, 415 for another content type; pydantic's ValidationError for another shape."""
    sent = request.headers.get(hdrs.CONTENT_TYPE, _JSON)
    if not _is_json(request.content_type if hdrs.CONTENT_TYPE in request.headers else _JSON):
        raise HttpError(415, "NOT_JSON", f"Content-Type is {sent}; send the body as {_JSON}")
    if coding := request.headers.get(hdrs.CONTENT_ENCODING):
        raise HttpError(415, "ENCODED_BODY", f"Content-Encoding is {coding}; send the body as it is")
    octets = await request.read()
    if len(octets) > most:
        raise HttpError(413, "BODY_TOO_LARGE", f"The body has {len(octets)} octets, at most {most} are read here")
    if not octets:
        raise HttpError(400, "BODY_MISSING", "The request has no body; send a JSON object")
    try:
        content = orjson.loads(octets)
    except orjson.JSONDecodeError as error:
        raise HttpError(400, "BROKEN_JSON", f"The body is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise HttpError(400, "NOT_AN_OBJECT", "The body must be a JSON object")
    return schema.model_validate(content)


def _is_json(content_type: str) -> bool:
    return content_type == _JSON or content_type.endswith("+json")


def parameter(request: web.Request, name: str, example: str) -> str:
    """A query parameter; HttpError 400 with an example when it is missing."""
    value = request.query.get(name)
    if not value:
        raise HttpError(
            400, "PARAMETER_MISSING", f"{name}: the query parameter is required", field=name, example=example
        )
    return value


def key_in_path(request: web.Request, example: str) -> Key:
    """Of `/services/NAME/…?ip=&port=`; InvalidField, or HttpError 400 with an example."""
    ip, port = parameter(request, "ip", example), parameter(request, "port", example)
    return Key.of(request.match_info["name"], ip, port)


def asked_by(request: web.Request) -> str:
    """The reason of a change that somebody asked for."""
    return f"asked for by {caller_of(request)}"


def caller_of(request: web.Request) -> Caller:
    """Who was let in; see `admission`."""
    return request[CALLER]

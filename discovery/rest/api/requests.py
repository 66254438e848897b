"""Reading what a client sent: a JSON body of a schema, required query parameters."""

from __future__ import annotations

from typing import TypeVar

import orjson
from aiohttp import hdrs, web

from discovery.core.caller import Caller
from discovery.core.instance import Key
from discovery.rest.api.errors import HttpError
from discovery.rest.api.schemas import Body

_JSON = "application/json"

# Octets of any body: room for a batch of 10,000 heartbeats of 200 each.
MAX_BODY = 2 * 1024 * 1024
# Octets of a body about one instance: 16 KiB of metadata in a wordy spelling, and the rest.
MAX_SINGLE = 128 * 1024

# Octets of all bodies that are being read at a time, but for those of at most SMALL.
BODIES = 64 * 1024 * 1024
SMALL = 8 * 1024

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
    octets = await body(request, most)
    if not octets:
        raise HttpError(400, "BODY_MISSING", "The request has no body; send a JSON object")
    try:
        content = orjson.loads(octets)
    except orjson.JSONDecodeError as error:
        raise HttpError(400, "BROKEN_JSON", f"The body is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise HttpError(400, "NOT_AN_OBJECT", "The body must be a JSON object")
    return schema.model_validate(content)


async def body(request: web.Request, most: int) -> bytes:
    """The octets of the body, read as they come; asked again they are there still.

    HttpError 413 when they are more than `most`, 503 when the bodies in hand are more than BODIES.
    """
    if _BODY in request:
        return request[_BODY]
    if (request.content_length or 0) > most:
        raise _too_large(f"has {request.content_length} octets", most)
    found, in_hand, counted = bytearray(), request.config_dict[IN_HAND], 0
    try:
        async for part in request.content.iter_any():
            found += part
            if len(found) > most:
                raise _too_large("is longer", most)
            counted = in_hand.grown(counted, len(found))
    finally:
        in_hand.done(counted)
    octets = bytes(found)
    request[_BODY] = octets
    return octets


def _too_large(what: str, most: int) -> HttpError:
    error = HttpError(413, "BODY_TOO_LARGE", f"The body {what}, at most {most} are read here")
    error.headers = {"Connection": "close"}  # the rest of it is not waited for
    return error


class InHand:
    """The octets of the bodies that are being read: small ones are not counted and always welcome, heartbeats among them."""

    def __init__(self) -> None:
        self._sum = 0

    def grown(self, counted: int, size: int) -> int:
        """A body of which `counted` were counted has `size` now; what is counted of it from now on. HttpError 503."""
        if size <= SMALL:
            return 0
        if self._sum + size - counted > BODIES:
            raise HttpError(503, "TOO_BUSY", "Too many large bodies are being sent at once; try again", retryAfter=1)
        self._sum += size - counted
        return size

    def done(self, counted: int) -> None:
        self._sum -= counted


IN_HAND = web.AppKey("in_hand", InHand)
_BODY = web.RequestKey("body", bytes)


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

"""Bodies of requests: JSON objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from discovery.core import exact_json
from discovery.rest.api.answers import JSON
from discovery.rest.api.errors import HttpError

if TYPE_CHECKING:
    from discovery.rest.api.requests import Request

# Octets of any body: room for a batch of 10,000 heartbeats of 200 each.
MAX_BODY = 2 * 1024 * 1024
# Octets of a body about one instance: 16 KiB of metadata in a wordy spelling, and the rest.
MAX_SINGLE = 128 * 1024
# What a JSON body may hold: each comma counts 1, each list and object 3, which is about what they cost orjson. 10,000 heartbeats
# of three fields make 60,000; the most allowed is parsed in 10 ms, and the most of a small body in 5.
MAX_JSON_WORK = 120_000


def json_object(request: Request, loads: Callable[[bytes], Any] = exact_json.loads) -> dict[str, Any]:
    """HttpError 400 for no JSON object, 413 for too much in it, 415 for another content type."""
    check_media(request)
    octets = request.body
    if not octets:
        raise HttpError.usual("BODY_MISSING")
    if len(octets) > MAX_SINGLE and _work(octets) > MAX_JSON_WORK:
        text = "The body has too many lists, objects and commas to be read at once; send it in several requests"
        raise HttpError("BODY_TOO_LARGE", text)
    try:
        content = loads(octets)
    except ValueError as error:
        raise HttpError("BROKEN_JSON", f"The body is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise HttpError.usual("NOT_AN_OBJECT")
    return content


def check_media(request: Request) -> None:
    """HttpError 415 for a body that is no JSON as it stands."""
    media = request.headers.get(b"content-type", b"application/json")
    if media != b"application/json" and not _is_json(media):
        text = f"Content-Type is {request.header(b'content-type')}; send the body as {JSON}"
        raise HttpError("NOT_JSON", text)
    if request.headers.get(b"content-encoding"):
        coding = request.header(b"content-encoding")
        raise HttpError("ENCODED_BODY", f"Content-Encoding is {coding}; send the body as it is")


def _work(octets: bytes) -> int:
    return octets.count(b",") + 3 * (octets.count(b"[") + octets.count(b"{"))


def _is_json(media: bytes) -> bool:
    kind = media.partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")

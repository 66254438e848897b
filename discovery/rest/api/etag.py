"""Entity tags (RFC 9110 §8.8.3), weak: of the index, of what was asked, and of the instances that are served. Pure.

The index alone would not do: a lease may have ended before anybody was told. Heartbeats do not change the tag, so a 304 says that the
same instances are there, not when they were heard of last.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable

from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.store.service import Entry, Service

_NOT_MODIFIED = 304
# Of this process, as all tags: another's index may be of other instances.
_ALL = f"-{hash('all') & 0xFFFFFFFFFFFFFFFF:x}"


def etag(index: int, of: Hashable = ()) -> str:
    """`of`: what else it is of. Other processes make other tags: theirs do not match, which costs a body."""
    return f'W/"{index}-{hash(of) & 0xFFFFFFFFFFFFFFFF:x}"'


def tag_of(service: Service, served: Collection[Entry], now: float, view: Hashable = None, asked: Hashable = ()) -> str:
    """Whatever their order. `view`: the registry's. Where all instances are served, and nearly always they are, the index says which."""
    if view is None and len(served) == len(service.entries):
        return etag(service.index, asked) if asked else f'W/"{service.index}{_ALL}"'
    return etag(service.index, (view, asked, frozenset([(entry.instance.id, entry.suspect(now)) for entry in served])))


def headers(tag: str | None) -> dict[str, str]:
    """`no-store`: a browser that keeps the answer would revalidate it by itself, and show heartbeats that are long past. None: what is
    told may be another thing under the same index.
    """
    return {"Cache-Control": "no-store"} if tag is None else {"ETag": tag, "Cache-Control": "no-store"}


def conditional(request: Request, answer: Answer) -> Answer:
    """A 304 when the client has it already (RFC 9110 §13.1.2)."""
    tag = answer.headers.get("ETag")
    if tag is None or answer.status != 200 or not is_known(request, tag):
        return answer
    return Answer(_NOT_MODIFIED, b"", answer.headers, answer.index)


def takes_gzip(request: Request) -> bool:
    """RFC 9110 §12.5.3, as browsers write it: who weighs codings gets it as it is."""
    accepted = request.headers.get(b"accept-encoding", b"")
    return b"gzip" in [each.strip() for each in accepted.lower().split(b",")]


def is_known(request: Request, tag: str) -> bool:
    """Whether If-None-Match names it, compared weakly."""
    sent = request.header(b"if-none-match")
    if sent is None:
        return False
    opaque = tag.removeprefix("W/")
    return sent == "*" or any(each.strip().removeprefix("W/") == opaque for each in sent.split(","))

"""The files of a web page: read into memory once, and served from there with a content security policy and an entity tag.

No path that a client sends reaches the disk: it is looked up among the files that were read. Files that are long are sent as gzip to who
takes it; each is packed once, when it is first asked for, in a thread.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import partial
from hashlib import sha256
from pathlib import Path

from aiohttp import hdrs, web

from discovery.rest.api.answers import Answer, ByAiohttp
from discovery.rest.api.etag import is_known
from discovery.rest.api.requests import Request, sent
from discovery.rest.api.route import Handler, Kind, Right, Route, nothing_here

# Content types by suffix. Other files of the folder are for who reads the source (README.md, licences), and are not served.
MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_PACKED = (".css", ".html", ".js", ".svg")
# Octets. What is shorter fits a packet or two as it is.
_LONG = 2048
INDEX = "index.html"


def page(path: str, handler: Handler) -> Route:
    """Anybody's: it knows nothing of the registry, and its scripts ask for that with the token that is typed on it."""
    return Route("GET", path, handler, Right.NONE, Kind.PAGE)


def lead(to: str) -> Answer:
    """Elsewhere. Relative, since a proxy may serve all this below a path."""
    return Answer(302, b"", {"Location": to}, media="text/plain")


class File:
    """The entity tag is weak: gzip and the file as it is have the same."""

    def __init__(self, path: Path) -> None:
        self.media = MEDIA[path.suffix]
        self._body = path.read_bytes()
        self.tag = f'W/"{sha256(self._body).hexdigest()[:32]}"'
        self._is_worth_packing = path.suffix in _PACKED and len(self._body) > _LONG
        self._packed: bytes | None = None

    async def body(self, takes_gzip: bool) -> tuple[bytes, dict[str, str]]:
        """The octets, and the headers that say how they are coded."""
        if not takes_gzip or not self._is_worth_packing:
            return self._body, {}
        if self._packed is None:
            self._packed = await asyncio.to_thread(gzip.compress, self._body, mtime=0)
        return self._packed, {hdrs.CONTENT_ENCODING: "gzip"}


class Pages:
    """All files below `folder` that have a type of MEDIA. `policy`: the Content-Security-Policy of each."""

    def __init__(self, folder: Path, policy: str) -> None:
        self._policy = policy
        self._files = {
            path.relative_to(folder).as_posix(): File(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in MEDIA and path.is_file()
        }

    def routes(self, at: str) -> list[Route]:
        """index.html at `at`, and each file below it; its links are relative to the parent of `at`."""

        def file(request: Request) -> ByAiohttp:
            return ByAiohttp(partial(self._answer, request.names.get("file", INDEX)))

        def back(request: Request) -> Answer:
            """A slash too many: the page's links would miss from there."""
            return lead(f"..{at}")

        return [page(at, file), page(f"{at}/", back), page(f"{at}/{{file:.+}}", file)]

    async def _answer(self, name: str, request: web.Request) -> web.Response:
        """HttpError 404 for what is no file of ours."""
        file = self._files.get(name)
        if file is None:
            nothing_here(sent(request))
        headers = {
            hdrs.ETAG: file.tag,
            hdrs.CACHE_CONTROL: "no-cache",  # kept, and asked about each time: an upgrade is seen at once
            hdrs.VARY: "Origin, Accept-Encoding",
            "Content-Security-Policy": self._policy,
            "Referrer-Policy": "no-referrer",
        }
        if is_known(sent(request), file.tag):
            return web.Response(status=304, headers=headers)
        body, coding = await file.body(_takes_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: file.media, **headers, **coding})


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110 §12.5.3, as browsers write it: who weighs codings gets the file as it is."""
    return "gzip" in [each.strip() for each in accepted.lower().split(",")]

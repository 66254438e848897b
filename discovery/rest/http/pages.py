"""The files of a web page: read into memory once, and served from there with a content security policy and an entity tag.

No path that a client sends reaches the disk: it is looked up among the files that were read. Files that are long are sent as gzip to who
takes it; each is packed once, when it is first asked for, in a thread.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path

from discovery.rest.api.answers import Answer, KeptBody
from discovery.rest.api.etag import is_known, takes_gzip
from discovery.rest.api.requests import Request
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
        self._body = KeptBody(path.read_bytes())
        self.tag = f'W/"{sha256(self._body.octets).hexdigest()[:32]}"'
        self._is_worth_packing = path.suffix in _PACKED and len(self._body) > _LONG
        self._packed: KeptBody | None = None

    async def body(self, takes_gzip: bool) -> tuple[KeptBody, dict[str, str]]:
        """The octets, and the headers that say how they are coded."""
        if not takes_gzip or not self._is_worth_packing:
            return self._body, {}
        if self._packed is None:
            self._packed = KeptBody(await asyncio.to_thread(gzip.compress, self._body.octets, mtime=0))
        return self._packed, {"Content-Encoding": "gzip"}


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

        def file(request: Request) -> Awaitable[Answer]:
            return self._answer(request, request.names.get("file", INDEX))

        def back(request: Request) -> Answer:
            """A slash too many: the page's links would miss from there."""
            return lead(f"..{at}")

        return [page(at, file), page(f"{at}/", back), page(f"{at}/{{file:.+}}", file)]

    async def _answer(self, request: Request, name: str) -> Answer:
        """HttpError 404 for what is no file of ours."""
        file = self._files.get(name)
        if file is None:
            nothing_here(request)
        headers = {
            "ETag": file.tag,
            "Cache-Control": "no-cache",  # kept, and asked about each time: an upgrade is seen at once
            "Vary": "Origin, Accept-Encoding",
            "Content-Security-Policy": self._policy,
            "Referrer-Policy": "no-referrer",
        }
        if is_known(request, file.tag):
            return Answer(304, b"", headers)
        body, coding = await file.body(takes_gzip(request))
        return Answer(200, body, {**headers, **coding}, media=file.media)

"""The files of a web page: read into memory once, and served from there with a content security policy and an entity tag.

No path that a client sends reaches the disk: it is looked up among the files that were read. Files that are long are sent as gzip to who
takes it; each is packed once, when it is first asked for, in a thread.
"""

from __future__ import annotations

import asyncio
import gzip
from hashlib import sha256
from pathlib import Path

from aiohttp import hdrs, web

from discovery.rest.api.etag import is_known
from discovery.rest.api.requests import sent

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

    def routes(self, at: str) -> list[web.RouteDef]:
        """index.html at `at`, and each file below it; its links are relative to the parent of `at`."""

        async def index(request: web.Request) -> web.Response:
            return await self._answer(request, INDEX)

        async def file(request: web.Request) -> web.Response:
            return await self._answer(request, request.match_info["file"])

        async def back(request: web.Request) -> web.Response:
            """A slash too many: the page's links would miss from there."""
            raise web.HTTPFound(f"..{at}")

        return [web.get(at, index), web.get(f"{at}/", back), web.get(f"{at}/{{file:.+}}", file)]

    async def _answer(self, request: web.Request, name: str) -> web.Response:
        """HTTPNotFound for what is no file of ours."""
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
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

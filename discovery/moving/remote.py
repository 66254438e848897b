"""JSON over HTTP, or HTTPS, with another registry."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from zlib import crc32

import aiohttp

from discovery.client.access import Tls, TlsNames
from discovery.client.errors import UnusableCertificate, printable
from discovery.client.replies import UNANSWERED, body_of, number_in, parsed, why
from discovery.moving.found import SourceAway, SourceError

# Seconds for an answer that does not block.
TIMEOUT = 10.0
# Octets: 100,000 instances of Eureka, with 1 KB each.
_MOST = 256 * 1024 * 1024
# Connections: one Consul takes 200 of one client (http_max_conns_per_client).
_CONNECTIONS = 20
# Of an error's text.
_SHOWN = 200


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: Any

    def number(self, header: str) -> int:
        """0: there is none."""
        return number_in(self.headers, header) or 0


class Remote:
    """`url`: `consul://HOST:8500`, `eurekas://USER:SECRET@HOST/eureka` (an `s` for TLS). `name`: the same without a secret. `mark`: whose
    it is what is told there; `prefix`: of the ids of that, since those of two registries may be the same.
    """

    def __init__(self, url: str, port: int, path: str, headers: Mapping[str, str], names: TlsNames, mark: str) -> None:
        """`port`, `path`: where the URL has none. SourceError; of files of TLS, too."""
        self.mark = mark
        self.prefix = f"discovery-{crc32(mark.encode()):08x}-"
        try:
            parts = urlsplit(url)
            host, given = parts.hostname, parts.port
        except ValueError as error:
            raise SourceError(f"{url!r} is no address: {error}") from None
        if not host or parts.query or parts.fragment:
            raise SourceError(
                f"{printable(url)} is no address of another registry; write it as {parts.scheme}://HOST:{port}{path}"
            )
        place = f"{f'[{host}]' if ':' in host else host}:{given or port}{parts.path.rstrip('/') or path}"
        self.name = f"{parts.scheme}://{place}"
        self._base = f"{'https' if parts.scheme.endswith('s') else 'http'}://{place}"
        self._headers = {"Accept": "application/json", **headers}
        self._tls_names = names
        try:
            self._tls = Tls(names=names) if self._base.startswith("https:") else None
        except UnusableCertificate as error:
            raise SourceError(str(error)) from None
        if parts.password is not None:
            pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Any = None, seconds: float = TIMEOUT,
        accept: Container[int] = (),
    ) -> Answer:  # fmt: skip
        """`accept`: statuses from 300 on that are answers. SourceAway for all others; SourceError where it refuses what is written."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        limits = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.request(
                method, self._base + path, params=params, json=json, headers=self._headers, timeout=limits, allow_redirects=False,
                ssl=self._tls is None or self._tls.read(),
            ) as response:  # fmt: skip
                text = await body_of(response, _MOST)
        except UNANSWERED as error:
            raise SourceAway(
                f"{self.name} does not answer: {why(error, seconds, self._base, self._tls_names)}"
            ) from None
        if text is None:
            raise SourceAway(f"{self.name} answered {method} {path} with more than {_MOST} octets")
        if response.status == HTTPStatus.BAD_REQUEST and method != "GET":
            raise SourceError(
                f"{self.name} takes no such thing: {printable(text[:_SHOWN].decode(errors='replace').strip())}"
            )
        if response.status >= HTTPStatus.MULTIPLE_CHOICES and response.status not in accept:
            said = printable(text[:_SHOWN].decode(errors="replace").strip())
            hint = (
                " (it is shown CONSUL_HTTP_TOKEN, or the address's USER:PASSWORD)"
                if response.status in (401, 403)
                else ""
            )
            raise SourceAway(f"{self.name} answered {method} {path} with {response.status}: {said or 'no text'}{hint}")
        try:
            content = parsed(text) if text and response.content_type.endswith("json") else None
        except ValueError:
            raise SourceAway(f"{self.name} answered {method} {path} with JSON that is broken") from None
        return Answer(response.status, response.headers, content)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

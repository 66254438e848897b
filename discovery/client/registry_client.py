"""One registry over HTTP: requests to whichever of its servers answers, its events, its long polls.

The server that answered last is asked first. One that gives no answer, or says that it cannot serve now (502, 503, 504), is
passed over for the next; every request may be sent again, since registering, beating and removing twice come to the same.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, NotRequired, Self

import aiohttp
from typing_extensions import TypedDict

from discovery.client.access import Servers, Tls, Token
from discovery.client.errors import Attempt, NotARegistry, RegistryError, Unreachable
from discovery.client.replies import UNANSWERED, Finite, Reply, read, refusal, why

TIMEOUT = 5.0  # seconds for one server to answer
# A server waits up to 1/16 longer than it was asked to, so that its clients do not come back in step; and the way there and back.
_SPREAD, _WAY = 1 / 16, 5.0
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_CANNOT_SERVE = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)

# What POST /register takes, for good; it wants labels in `name` and `tags`, and an address with a port. POST /registrations takes all.
_PLAIN_FIELDS = frozenset(
    (
        "name", "ip", "port", "metadata", "tags", "ports", "protocol", "weight", "priority", "warningWeight", "zone", "ttl", "maxAnswers",
        "check", "id", "replace",
    )
)  # fmt: skip
_LABEL = re.compile("[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

Params = Mapping[str, str | int | float | None]


class _Result(TypedDict):
    status: int
    id: NotRequired[str]


class _Results(TypedDict):
    results: list[_Result]
    heartbeatIntervalMs: Finite


class RegistryClient:
    """Use it as `async with RegistryClient() as registry`, or call `close` at the end.

    >>> import asyncio
    >>> async def example():
    ...     async with RegistryClient() as registry:
    ...         await registry.request("POST", "/register", json={"name": "api", "ip": "127.0.0.1", "port": 3001})
    ...         reply = await registry.request("GET", "/resolve/api")
    ...         return [(each["ip"], each["port"]) for each in reply.content["instances"]]
    >>> asyncio.run(example())
    [('127.0.0.1', 3001)]
    """

    def __init__(
        self,
        urls: str | Sequence[str] | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        tls: str | Path | ssl.SSLContext | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """All of it but `timeout`, seconds for each server, is from the environment when None, see `access`.

        `tls`: a PEM file of the authorities that servers are checked against, or a context; without one, the system's authorities.
        `cert`, `key`: PEM files, what is shown to a server that asks for a certificate. InvalidAddress; UnusableCertificate.
        """
        self.servers = Servers(urls)
        self._token = Token(token, token_file)
        self.timeout = timeout
        self._tls = Tls(tls, cert, key)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """It may be used again afterwards, and must be closed again then."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of each server, not of the whole
        accept: Container[int] = (),
    ) -> Reply:
        """`path` begins with `/`. Params that are None are left out. `json` is sent as the body. `timeout`: seconds for each server.

        Statuses from 400 on raise Refused, but for those in `accept`. Unreachable; NotARegistry; UnreadableToken.
        """
        seconds = timeout or self.timeout
        tried: list[Attempt] = []
        failure: RegistryError | None = None  # of a server that did answer
        for url in self.servers:
            try:
                reply = await self._ask(url, method, path, params, json, seconds)
            except NotARegistry as error:
                failure = failure or error
                continue
            except UNANSWERED as error:
                tried.append(Attempt(url, why(error, seconds, url)))
                continue
            if reply.status in _CANNOT_SERVE and reply.status not in accept:
                failure = refusal(reply)
                continue
            self.servers.answered(url)
            if reply.status >= HTTPStatus.BAD_REQUEST and reply.status not in accept:
                raise refusal(reply)
            return reply
        raise failure or Unreachable(tried)

    async def register(self, instance: Mapping[str, Any], timeout: float | None = None) -> Reply:  # noqa: ASYNC109 - as of `request`
        """Adds it, or renews what is at its address, with all that PUT /instances takes. The content has `instance` with its `id`, and
        `heartbeatIntervalMs`. As `request`.
        """
        if is_plain(instance):
            return await self.request("POST", "/register", json=instance, timeout=timeout)
        reply = await self.request("POST", "/registrations", json={"instances": [instance]}, timeout=timeout)
        many = reply.of_shape(_Results)
        if len(many["results"]) != 1:
            raise NotARegistry(reply.url, f"{len(many['results'])} results of one registration")
        result = many["results"][0]
        if result["status"] >= HTTPStatus.BAD_REQUEST:
            raise refusal(replace(reply, status=result["status"], content=result))
        named = {field: instance.get(field) for field in ("name", "ip", "port")}
        content = {"instance": {"id": result.get("id"), **named}, "heartbeatIntervalMs": many["heartbeatIntervalMs"]}
        return replace(reply, status=result["status"], content=content)

    async def poll(self, path: str, index: int, wait: float = 60.0, params: Params | None = None) -> Reply:
        """`GET path` that is answered when its index passes `index`, or after `wait` seconds with what is true then.

        Also 404, when nobody is there: read on from `reply.index`. Other errors as `request`; begin again from index 0 then.
        """
        given = {
            **(params or {}),
            "index": index,
            "wait": f"{wait:g}s" if wait == int(wait) else f"{round(wait * 1000)}ms",
        }
        timeout = wait * (1 + _SPREAD) + _WAY
        return await self.request("GET", path, params=given, timeout=timeout, accept=(HTTPStatus.NOT_FOUND,))

    @asynccontextmanager
    async def stream(
        self, url: str, path: str, params: Params, headers: Mapping[str, str], silence: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One server's event stream, as it arrives. `silence`: seconds without an octet after which it counts as gone.

        Refused; NotARegistry; what `why` explains.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout, sock_read=silence)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self.timeout):  # the head comes at once, even where nothing happens
                sent = self._send(url, "GET", path, params, None, limits, headers)
                response = await stack.enter_async_context(sent)
            if response.content_type != "text/event-stream":
                reply = await read(response, url)
                raise (
                    refusal(reply)
                    if reply.status >= HTTPStatus.BAD_REQUEST
                    else NotARegistry(url, "no stream of events")
                )
            yield response

    async def _ask(self, url: str, method: str, path: str, params: Params | None, json: Any, seconds: float) -> Reply:
        limits = aiohttp.ClientTimeout(total=seconds)
        for again in (True, False):
            try:
                async with self._send(url, method, path, params, json, limits) as response:
                    return await read(response, url)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # A kept connection that the server had closed in its own time: a new one tells whether it is there.
                if not again or isinstance(error, aiohttp.ClientConnectorError):
                    raise
        raise AssertionError("unreachable")

    def _send(
        self,
        url: str,
        method: str,
        path: str,
        params: Params | None,
        json: Any,
        limits: aiohttp.ClientTimeout,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        token = self._token.read()
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session.request(
            method,
            url + path,
            params={name: value for name, value in (params or {}).items() if value is not None},
            json=json,
            headers={"Accept": "application/json, text/event-stream", **authorization, **headers},
            timeout=limits,
            ssl=self._tls.read(),
            allow_redirects=False,
        )


def is_plain(instance: Mapping[str, Any]) -> bool:
    """Whether POST /register takes it, and POST /heartbeat what names it."""
    labels = [instance.get("name", ""), *instance.get("tags", ())]
    try:
        ip_address(instance.get("ip", ""))
    except ValueError:
        return False
    plain = instance.get("port") is not None and instance.keys() <= _PLAIN_FIELDS
    return plain and all(_LABEL.fullmatch(label) for label in labels)

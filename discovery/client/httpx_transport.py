"""httpx, with URLs that name services: `http://user-service.svc.local/…` goes to one of its instances. Needs `discovery-server[httpx]`.

The `Host` header, and over TLS the name that the certificate is checked for, stay those of the URL.
"""

from __future__ import annotations

import httpx

from discovery.client import blocking
from discovery.client.instance import Instance
from discovery.client.resolver import Resolver
from discovery.client.service_urls import DOMAIN, MAX_TRIES, service_of

# Nothing was sent, so another instance can be tried.
_UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout)


class AsyncTransport(httpx.AsyncBaseTransport):
    """`httpx.AsyncClient(transport=AsyncTransport(resolver))`. `inner`: what connects, httpx's own by default; it is closed with this.

    An instance that takes no connection is reported to the resolver, and another is tried. Raises as `Resolver.pick` does.
    """

    def __init__(self, resolver: Resolver, inner: httpx.AsyncBaseTransport | None = None, domain: str = DOMAIN) -> None:
        self._resolver = resolver
        self._inner = inner or httpx.AsyncHTTPTransport()
        self._domain = domain

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = service_of(request.url.host, self._domain)
        if name is None:
            return await self._inner.handle_async_request(request)
        url = request.url
        for tries_left in reversed(range(MAX_TRIES)):
            instance = await self._resolver.pick(name)
            _send_to(request, url, instance)
            try:
                return await self._inner.handle_async_request(request)
            except httpx.TransportError as error:
                self._resolver.failed(instance)
                if not tries_left or not isinstance(error, _UNCONNECTED):
                    raise
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        await self._inner.aclose()


class Transport(httpx.BaseTransport):
    """`httpx.Client(transport=Transport(resolver))`: AsyncTransport's twin, since httpx has two interfaces.

    >>> with blocking.Resolver() as resolver, httpx.Client(transport=Transport(resolver)) as http:
    ...     http.get("http://nobody.svc.local/users")
    Traceback (most recent call last):
    discovery.client.resolver.NoInstance: no instance of 'nobody' is registered and healthy
    """

    def __init__(
        self, resolver: blocking.Resolver, inner: httpx.BaseTransport | None = None, domain: str = DOMAIN
    ) -> None:
        self._resolver = resolver
        self._inner = inner or httpx.HTTPTransport()
        self._domain = domain

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = service_of(request.url.host, self._domain)
        if name is None:
            return self._inner.handle_request(request)
        url = request.url
        for tries_left in reversed(range(MAX_TRIES)):
            instance = self._resolver.pick(name)
            _send_to(request, url, instance)
            try:
                return self._inner.handle_request(request)
            except httpx.TransportError as error:
                self._resolver.failed(instance)
                if not tries_left or not isinstance(error, _UNCONNECTED):
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        self._inner.close()


def _send_to(request: httpx.Request, url: httpx.URL, instance: Instance) -> None:
    """`url`: as it was asked for. Its `Host` header was made already."""
    request.url = url.copy_with(host=instance.ip, port=url.port or instance.port)
    if url.scheme == "https":
        request.extensions = {"sni_hostname": url.host, **request.extensions}

"""aiohttp, with URLs that name services: `http://user-service.svc.local/…` goes to one of its instances.

The `Host` header, and over TLS the name that the certificate is checked for, stay those of the URL.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType

from discovery.client.resolver import Resolver
from discovery.client.service_urls import DOMAIN, MAX_TRIES, service_of


def session(resolver: Resolver, *, domain: str = DOMAIN, **options: Any) -> aiohttp.ClientSession:
    """A ClientSession whose URLs may name services. `options`: ClientSession's.

    >>> import asyncio
    >>> from discovery.client import Resolver
    >>> async def example():
    ...     async with Resolver() as resolver, session(resolver) as http:
    ...         async with http.get("http://nobody.svc.local/users") as response:
    ...             return response.status
    >>> asyncio.run(example())
    Traceback (most recent call last):
    discovery.client.resolver.NoInstance: no instance of 'nobody' is registered and healthy
    """
    own = options.pop("middlewares", ())
    return aiohttp.ClientSession(middlewares=(*own, discovering(resolver, domain)), **options)


def discovering(resolver: Resolver, domain: str = DOMAIN) -> ClientMiddlewareType:
    """The middleware alone. A port that stands in the URL is kept, else it is the instance's. Raises as `Resolver.pick` does.

    An instance that takes no connection is reported to the resolver, and another is tried.
    """

    async def middleware(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        url = request.url
        name = service_of(url.host, domain)
        if name is None:
            return await handler(request)
        if request.is_ssl() and request.server_hostname is None:
            request.server_hostname = url.host
        for tries_left in reversed(range(MAX_TRIES)):
            instance = await resolver.pick(name)
            request.url = url.with_host(instance.ip).with_port(url.explicit_port or instance.port)
            try:
                return await handler(request)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                resolver.failed(instance)
                if not tries_left:
                    raise
            except (aiohttp.ClientConnectionError, TimeoutError):
                resolver.failed(instance)
                raise
        raise AssertionError("unreachable")

    return middleware

"""Names outside our zones, asked of other servers for clients of trusted networks. README.md beside this file.

A look-up that nobody here answers becomes an Elsewhere; the DNS side waits for it and encodes it like any other Answer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache

from discovery.dns.catalog import Lookup
from discovery.dns.message import Answer, Class, Elsewhere, Question
from discovery.plugins import Plugin
from discovery.plugins.forward.settings import ForwardSettings, Network, Upstream
from discovery.plugins.forward.upstream import ask_first
from discovery.store.engine import Engine
from discovery.store.registry import Registry


class Forward(Plugin):
    def __init__(self, upstreams: Sequence[Upstream], clients: Sequence[Network], timeout: float) -> None:
        self._upstreams = upstreams
        self._clients = clients
        self._timeout = timeout
        self._is_served = lru_cache(maxsize=4096)(self._is_in_networks)

    def recurses(self, client: str) -> bool:
        return self._is_served(client)

    def lookup(self, inner: Lookup) -> Lookup:
        def lookup(question: Question, now: float, client: str) -> Answer | Elsewhere | None:
            answer = inner(question, now, client)
            if answer is None and question.klass == Class.IN and self._is_served(client):
                return Elsewhere(lambda: ask_first(self._upstreams, question, self._timeout))
            return answer

        return lookup

    def _is_in_networks(self, client: str) -> bool:
        ip = ipaddress.ip_address(client.partition("%")[0])
        return any(ip in network for network in self._clients)


def make(registry: Registry, engine: Engine, clock: Callable[[], float]) -> Forward | None:
    settings = ForwardSettings.read()
    if not settings.forward_to:
        return None
    return Forward(settings.forward_to, settings.forward_clients, settings.forward_timeout_seconds)

"""Whom a check may ask: who registers an instance chooses its address, and must not choose whom this server connects to."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from ipaddress import ip_address
from typing import Any

from discovery.core.address import is_host_name
from discovery.core.caller import NOBODY
from discovery.core.check import Check
from discovery.core.instance import Instance
from discovery.core.network import Networks, ip_of, is_off_limits
from discovery.plugins.check.probe import CannotProbe, NoAddress
from discovery.system.threads import start_in_daemon_thread

# How each refusal begins.
NOT_ASKED = "not asked:"


def target(instance: Instance, check: Check) -> tuple[str, int]:
    """The host and the port that it is about: the instance's own, where it names no others."""
    return check.address or instance.spec.ip, check.port or instance.spec.port


def refusal(instance: Instance, host: str, port: int, ip: str, networks: Networks, is_alone: bool) -> str | None:
    """Why an address (`ip`: `host`, or one that it has now) is not asked; None when it is. `networks`: CHECK_NETWORKS. `is_alone`: see
    `is_off_limits`.

    One that was restored without its registrant, from before there was a record of that, is asked until it registers again.
    """
    by, spec, is_name = instance.registrant, instance.spec, is_host_name(host)
    if not port:
        return f"{NOT_ASKED} it has no port; give the check one"
    if by == NOBODY and not is_name and (host, port) == (spec.ip, spec.port):
        return None
    what = f"{host} is {ip}, which" if is_name else ip
    if is_off_limits(ip, by.address, is_alone):
        return f"{NOT_ASKED} {what} is link-local, or loopback and registered from elsewhere, which CHECK_NETWORKS cannot allow"
    if ip in networks:
        return None
    if port != spec.port and port not in dict(spec.ports).values():
        return f"{NOT_ASKED} {port} is no port of its registration, and {ip} is not in CHECK_NETWORKS"
    if ip_of(by.address) == ip_of(ip) or ip_address(ip).is_loopback:
        return None
    return f"{NOT_ASKED} {what} is not the address that registered it, and not in CHECK_NETWORKS"


# A look-up blocks its thread, for as long as a resolver is silent. Those beyond wait for a place.
MAX_LOOKUPS = 16
# Who says so may know it in a moment; it is no answer.
_NOT_NOW = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)


class Lookups:
    """The addresses that a host name has now, as this host's own resolver (hosts file, resolv.conf) says. Asked anew for each probe, which
    then goes to an address that was looked at: between a look and a connection no name is asked (DNS rebinding).
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_LOOKUPS)

    async def addresses(self, name: str, seconds: float) -> list[str]:
        """At least one, the preferred first. NoAddress; CannotProbe when the resolver cannot tell, which is no fault of the instance."""
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
                ask = partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
                _, answer = start_in_daemon_thread(ask)
                answer.add_done_callback(self._ended)
                found = await asyncio.shield(answer)  # a thread keeps its place for as long as it blocks
        except TimeoutError:
            raise CannotProbe(f"no resolver answered for {name} within {seconds:g} s") from None
        except socket.gaierror as error:
            if error.errno in _NOT_NOW:
                raise CannotProbe(f"{name} could not be looked up: {error.strerror}") from None
            raise NoAddress(name) from None
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

    def _ended(self, answer: asyncio.Future[Any]) -> None:
        self._places.release()
        if not answer.cancelled():
            answer.exception()  # nobody may wait for it any more

"""Whom a check may ask: who registers an instance chooses its address, and must not choose whom this server connects to. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from discovery.core.address import is_host_name
from discovery.core.caller import NOBODY
from discovery.core.check import Check
from discovery.core.instance import Instance
from discovery.core.network import Networks, ip_of, is_off_limits

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

"""Whom a check may ask: who registers an instance chooses its address, and must not choose whom this server connects to. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from discovery.core.caller import NOBODY
from discovery.core.instance import Instance
from discovery.core.network import Networks, ip_of, is_off_limits


def refusal(instance: Instance, ip: str, networks: Networks, is_alone: bool) -> str | None:
    """Why an address of it (`ip`, or one that its host name has now) is not asked; None when it is. `networks`: CHECK_NETWORKS. `is_alone`:
    see `is_off_limits`.

    One that was restored without its registrant, from before there was a record of that, is asked until it registers again.
    """
    by, is_name = instance.registrant, instance.spec.is_host_name
    if by == NOBODY and not is_name:
        return None
    what = f"{instance.spec.ip} is {ip}, which" if is_name else ip
    if is_off_limits(ip, by.address, is_alone):
        return f"not asked: {what} is link-local, or loopback and registered from elsewhere, which CHECK_NETWORKS cannot allow"
    if ip_of(by.address) == ip_of(ip) or ip in networks or ip_address(ip).is_loopback:
        return None
    return f"not asked: {what} is not the address that registered it, and not in CHECK_NETWORKS"

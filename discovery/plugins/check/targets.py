"""Whom a check may ask: who registers an instance chooses its address, and must not choose whom this server connects to. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from discovery.core.caller import NOBODY
from discovery.core.instance import Instance, Vouched
from discovery.core.network import Networks, is_off_limits


def refusal(instance: Instance, networks: Networks, is_alone: bool) -> str | None:
    """Why its address is not asked; None when it is. `networks`: CHECK_NETWORKS. `is_alone`: see `is_off_limits`.

    One that was restored without its registrant, from before there was a record of that, is asked until it registers again.
    """
    ip, by = instance.spec.ip, instance.registrant
    if by == NOBODY:
        return None
    if instance.spec.is_host_name:
        return f"not asked: {ip} is a host name"
    if is_off_limits(ip, by.address, is_alone):
        return f"not asked: {ip} is link-local, or loopback and registered from elsewhere, which CHECK_NETWORKS cannot allow"
    if instance.vouched is Vouched.ITS_ADDRESS or ip in networks or ip_address(ip).is_loopback:
        return None
    return f"not asked: {ip} is not the address that registered it, and not in CHECK_NETWORKS"

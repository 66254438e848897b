"""Whom a check may ask, by who registered it and from where."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from discovery.core.caller import UNKNOWN, Caller
from discovery.core.instance import Instance
from discovery.core.network import Networks
from discovery.plugins.check.targets import refusal
from tests.store.making import WALL, spec

LISTED = Networks(map(ip_network, ("10.1.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fe80::/10", "::1")))


def refused(ip: str, by: str, networks: Networks = LISTED, alone: bool = True) -> str | None:
    name, _, address = by.rpartition(" at ")
    """The same of an address and of a host name that has it now."""
    why, of_name = (
        refusal(
            Instance("id", WALL, spec("web", host), registrant=Caller(address, name)), host, 80, ip, networks, alone
        )
        for host in (ip, "db.example.com")
    )
    assert by == "" or (why and why.replace(ip, f"db.example.com is {ip}, which", 1)) == of_name
    return why


@pytest.mark.parametrize(
    ("ip", "by"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "::ffff:10.0.0.7"),  # as a socket for both families sees it
        ("2001:db8::7", "2001:db8::7"),
        ("10.1.0.7", "10.0.0.9"),
        ("10.1.0.7", "ci at 10.0.0.9"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.1"),
        ("::1", "127.0.0.1"),
        ("10.0.0.7", ""),  # an older version did not keep who registered it
    ],
)
def test_asked_is_what_registered_itself_and_what_is_listed(ip: str, by: str) -> None:
    assert refused(ip, by) is None


@pytest.mark.parametrize(
    ("ip", "by"),
    [
        ("10.0.0.7", "10.0.0.9"),
        ("10.0.0.7", "ci at 10.0.0.9"),
        ("10.0.0.7", "127.0.0.1"),
        ("10.0.0.7", UNKNOWN),
        ("127.0.0.1", "10.0.0.9"),
        ("127.0.0.1", "ci at 10.1.0.9"),
        ("::1", "10.0.0.9"),
        ("127.0.0.1", UNKNOWN),
        ("169.254.169.254", "ci at 127.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("fe80::1", "fe80::1%eth0"),
    ],
)
def test_nobody_else_is_and_the_reason_names_the_setting(ip: str, by: str) -> None:
    why = refused(ip, by)
    assert why is not None
    assert "CHECK_NETWORKS" in why
    assert ip in why
    assert by.rpartition(" at ")[0] not in why or " at " not in by, "who registered it is not everybody's to read"


def test_loopback_is_another_host_to_each_of_several_nodes() -> None:
    assert refused("127.0.0.1", "127.0.0.1", alone=False) is not None


def test_where_nothing_is_listed_everybody_may_have_their_own_address_checked() -> None:
    none = Networks(())
    assert [refused(ip, "10.0.0.9", none) is None for ip in ("10.0.0.9", "10.1.0.7")] == [True, False]

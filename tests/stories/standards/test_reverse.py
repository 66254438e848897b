"""Reverse names (RFC 1035 §3.5, RFC 3596 §2.5): every instance at an address, in a stable order; nothing is claimed for others."""

from __future__ import annotations

import pytest

from tests.stories.dig import dig
from tests.stories.process import Discovery, running, until
from tests.stories.standards.clients import drill, host, kdig, rdata

AT_10_0_0_1 = [
    "ip-10-0-0-1-p9000.admin.svc.local.",
    "ip-10-0-0-1-p9001.admin.svc.local.",
    "ip-10-0-0-1-p8080.shop.svc.local.",
]
AT_V6 = ["ip-2001-db8--1-p9000.admin.svc.local.", "ip-2001-db8--1-p8080.shop.svc.local."]


@pytest.mark.parametrize(("ip", "names"), [("10.0.0.1", AT_10_0_0_1), ("2001:db8::1", AT_V6)])
def test_every_instance_at_the_address_is_named_in_the_same_order_each_time(
    shops: Discovery, ip: str, names: list[str]
) -> None:
    orders = [[record.rdata for record in dig(shops, "-x", ip).answer] for _ in range(8)]
    assert sorted(orders[0]) == sorted(names)
    assert orders == orders[:1] * 8
    assert rdata(kdig(shops, "-x", ip)) == rdata(drill(shops, "-x", ip)) == set(names)
    pointers = {line.rpartition(" ")[2] for line in host(shops, ip)}
    assert pointers == set(names)


def test_each_name_leads_back_to_the_address(shops: Discovery) -> None:
    for name in AT_10_0_0_1:
        assert dig(shops, name).rdata == {"10.0.0.1"}
    for name in AT_V6:
        assert dig(shops, name, "AAAA").rdata == {"2001:db8::1"}


@pytest.mark.parametrize("ip", ["10.0.0.77", "127.0.0.1", "2001:db8::77", "::1"])
def test_an_address_that_nobody_registered_is_refused(shops: Discovery, ip: str) -> None:
    dug = dig(shops, "-x", ip)
    assert (dug.status, dug.answer, dug.authority) == ("REFUSED", [], [])
    assert "aa" not in dug.flags


@pytest.mark.parametrize(
    "name", ["in-addr.arpa", "10.in-addr.arpa", "0.0.10.in-addr.arpa", "1.1.0.0.10.in-addr.arpa", "01.0.0.10.in-addr.arpa",
             "256.0.0.10.in-addr.arpa", "ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"],
)  # fmt: skip
def test_names_around_a_registered_address_are_not_claimed(shops: Discovery, name: str) -> None:
    assert dig(shops, name, "PTR").status == "REFUSED"


def test_the_name_exists_for_other_types_and_has_an_soa(shops: Discovery) -> None:
    dug = dig(shops, "1.0.0.10.in-addr.arpa", "A")
    assert (dug.status, dug.answer) == ("NOERROR", [])
    assert [record.type for record in dug.authority] == ["SOA"]


def test_an_address_is_forgotten_with_its_last_instance_and_hidden_when_it_dies() -> None:
    with running(HEARTBEAT_TIMEOUT_SECONDS=3600, CLEANUP_INTERVAL_SECONDS=1) as server:
        server.register("a", "10.0.0.1", 1)
        server.register("b", "10.0.0.1", 2)
        assert len(dig(server, "-x", "10.0.0.1").answer) == 2
        server.register("b", "10.0.0.1", 2, ttl=1)
        until(lambda: dig(server, "-x", "10.0.0.1").rdata == {"ip-10-0-0-1-p1.a.svc.local."})
        assert server.request("DELETE", "/services/a").status == 200
        until(lambda: dig(server, "-x", "10.0.0.1").status == "REFUSED")

"""`dig` for each row of the DNS table: every name form and type, the zone's own records, the negatives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.dig import dig
from tests.stories.fleet import AT_1, AT_2, AT_6, SRV_1, SRV_2, SRV_6, register_fleet
from tests.stories.process import Discovery, running

Z = "svc.local"
METRICS = "0 30 9100 ip-10-0-0-1-p3001.user-service.svc.local."
SYSLOG = "0 30 514 ip-10-0-0-9-p514.syslog.svc.local."
AT_9 = "ip-10-0-0-9-p514.syslog.svc.local. 10.0.0.9"
V4 = {"10.0.0.1", "10.0.0.2"}
V6 = {"2001:db8::1"}
AUTHORITATIVE = frozenset({"qr", "aa"})


@pytest.fixture(scope="module")
def fleet() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        register_fleet(server)
        yield server


@pytest.mark.parametrize(
    ("name", "rtype", "rdata"),
    [
        # a service
        ("user-service", "A", V4),
        ("user-service", "AAAA", V6),
        ("user-service", "TXT", {'"version=1.0.0"', '"slot=2"', '""'}),
        # a tag, a port, a locality
        ("blue.user-service", "A", {"10.0.0.1"}),
        ("blue.user-service", "AAAA", V6),
        ("green.user-service", "A", {"10.0.0.2"}),
        ("p3001.user-service", "A", {"10.0.0.1"}),
        ("p3001.user-service", "AAAA", V6),
        ("p3002.user-service", "A", {"10.0.0.2"}),
        ("eu-1.zone.user-service", "A", {"10.0.0.1"}),
        ("eu-1.zone.user-service", "AAAA", V6),
        ("eu-2.zone.user-service", "A", {"10.0.0.2"}),
        # one instance
        ("ip-10-0-0-1-p3001.user-service", "A", {"10.0.0.1"}),
        ("ip-10-0-0-1-p3001.user-service", "TXT", {'"version=1.0.0"'}),
        ("ip-2001-db8--1-p3001.user-service", "AAAA", V6),
        ("ip-2001-db8--1-p3001.user-service", "TXT", {'""'}),
        # the zone file's fixed host
        ("registry", "A", {"127.0.0.1"}),
        ("ns", "A", {"127.0.0.1"}),
    ],
)
def test_addresses_and_texts(fleet: Discovery, name: str, rtype: str, rdata: set[str]) -> None:
    dug = dig(fleet, f"{name}.{Z}", rtype)
    assert (dug.status, dug.flags, dug.rdata) == ("NOERROR", AUTHORITATIVE, rdata)
    assert len(dug.answer) == len(rdata), "each once"
    assert {(record.name, record.type) for record in dug.answer} == {(f"{name}.{Z}.", rtype)}


@pytest.mark.parametrize(
    ("name", "rdata", "addresses"),
    [
        ("user-service", {SRV_1, SRV_2, SRV_6}, {AT_1, AT_2, AT_6}),
        ("_user-service._tcp", {SRV_1, SRV_2, SRV_6}, {AT_1, AT_2, AT_6}),
        ("_syslog._udp", {SYSLOG}, {AT_9}),
        ("_metrics._tcp.user-service", {METRICS}, {AT_1}),
        ("blue.user-service", {SRV_1, SRV_6}, {AT_1, AT_6}),
        ("p3001.user-service", {SRV_1, SRV_6}, {AT_1, AT_6}),
        ("p3002.user-service", {SRV_2}, {AT_2}),
        ("eu-2.zone.user-service", {SRV_2}, {AT_2}),
        ("ip-10-0-0-2-p3002.user-service", {SRV_2}, {AT_2}),
        ("ip-2001-db8--1-p3001.user-service", {SRV_6}, {AT_6}),
    ],
)
def test_srv_with_the_targets_addresses_beside_it(
    fleet: Discovery, name: str, rdata: set[str], addresses: set[str]
) -> None:
    dug = dig(fleet, f"{name}.{Z}", "SRV")
    assert (dug.status, dug.flags, dug.rdata) == ("NOERROR", AUTHORITATIVE, rdata)
    assert dug.additional_addresses == addresses


def test_every_srv_target_resolves_on_its_own(fleet: Discovery) -> None:
    beside = dig(fleet, f"user-service.{Z}", "SRV").additional
    assert {record.rdata for record in beside} == V4 | V6
    for record in beside:
        assert dig(fleet, record.name, record.type).rdata == {record.rdata}


def test_the_apex_has_soa_and_ns_and_the_name_server_an_address(fleet: Discovery) -> None:
    soa = dig(fleet, Z, "SOA")
    [record] = soa.answer
    assert record.rdata.split()[:2] == ["ns.svc.local.", "hostmaster.svc.local."]
    ns = dig(fleet, Z, "NS")
    assert ns.rdata == {"ns.svc.local."}
    assert ns.additional_addresses == {"ns.svc.local. 127.0.0.1"}


def test_the_soa_serial_moves_by_one_with_each_visible_change(fleet: Discovery) -> None:
    def serial() -> int:
        return int(dig(fleet, Z, "SOA").answer[0].rdata.split()[2])

    before = serial()
    fleet.register("passing-by", "10.9.9.9", 1)
    assert serial() == before + 1
    fleet.heartbeat("passing-by", "10.9.9.9", 1)
    assert serial() == before + 1, "a heartbeat is no change"
    fleet.request("DELETE", "/services/passing-by/instances?ip=10.9.9.9&port=1")
    assert serial() == before + 2


@pytest.mark.parametrize(
    ("name", "rtype", "status"),
    [
        ("nobody", "A", "NXDOMAIN"),
        ("nobody", "SRV", "NXDOMAIN"),
        ("_nobody._tcp", "SRV", "NXDOMAIN"),
        ("red.user-service", "A", "NXDOMAIN"),
        ("p3003.user-service", "A", "NXDOMAIN"),
        ("eu-3.zone.user-service", "A", "NXDOMAIN"),
        ("_nothing._tcp.user-service", "SRV", "NXDOMAIN"),
        ("ip-10-0-0-1-p3002.user-service", "A", "NXDOMAIN"),
        ("ip-10-0-0-9-p514.user-service", "A", "NXDOMAIN"),
        ("user-service", "MX", "NOERROR"),
        ("syslog", "AAAA", "NOERROR"),
        ("ip-10-0-0-1-p3001.user-service", "AAAA", "NOERROR"),
        ("_tcp", "A", "NOERROR"),
        ("_tcp.user-service", "A", "NOERROR"),
        ("zone.user-service", "A", "NOERROR"),
        ("registry", "AAAA", "NOERROR"),
    ],
)
def test_a_negative_carries_the_soa_for_two_seconds(fleet: Discovery, name: str, rtype: str, status: str) -> None:
    dug = dig(fleet, f"{name}.{Z}", rtype)
    assert (dug.status, dug.flags, dug.answer) == (status, AUTHORITATIVE, [])
    [soa] = dug.authority
    assert (soa.name, soa.ttl, soa.type) == ("svc.local.", 2, "SOA")
    assert soa.rdata.split()[-1] == "2"


@pytest.mark.parametrize("name", ["example.com", "local", "xsvc.local", "."])
def test_what_is_in_no_zone_of_ours_is_refused(fleet: Discovery, name: str) -> None:
    dug = dig(fleet, name, "A")
    assert (dug.status, dug.answer, dug.authority) == ("REFUSED", [], [])
    assert "aa" not in dug.flags


def test_any_gets_one_small_answer(fleet: Discovery) -> None:
    dug = dig(fleet, f"user-service.{Z}", "ANY", "+notcp")
    assert (dug.status, [record.type for record in dug.answer]) == ("NOERROR", ["HINFO"])
    assert dug.size < 150

"""How a reply travels, seen by `dig`: UDP and TCP, EDNS or none, cut to size, spelt as asked, kept no longer than it is true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.dig import dig
from tests.stories.fleet import AT_1, AT_2, AT_6, SRV_1, SRV_2, SRV_6, register_fleet
from tests.stories.process import Discovery, running

MANY = 60
SERVICE = "user-service.svc.local"
CROWD = "crowd.svc.local"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Discovery]:
    """And a service of so many instances that no datagram holds them."""
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, DNS_TTL_SECONDS=60, MAX_INSTANCES_PER_SERVICE=MANY) as server:
        register_fleet(server)
        for number in range(MANY):
            server.register("crowd", f"10.1.0.{number}", 8000 + number, metadata={"number": number})
        yield server


@pytest.mark.parametrize(
    "option", ["+notcp", "+tcp", "+noedns", "+bufsize=512", "+bufsize=4096", "+dnssec", "+nocookie"]
)
def test_the_answer_is_the_same_however_it_is_asked(fleet: Discovery, option: str) -> None:
    dug = dig(fleet, SERVICE, "SRV", option)
    assert (dug.status, dug.rdata) == ("NOERROR", {SRV_1, SRV_2, SRV_6})
    assert dug.additional_addresses == {AT_1, AT_2, AT_6}
    assert dug.transport == ("TCP" if option == "+tcp" else "UDP")
    assert (dug.edns is None) == (option == "+noedns"), "OPT only for whom sent one"


@pytest.mark.parametrize("rtype", ["A", "SRV", "TXT"])
@pytest.mark.parametrize(("option", "limit"), [("+noedns", 512), ("+bufsize=512", 512), ("+bufsize=1232", 1232)])
def test_what_does_not_fit_is_cut_with_tc_and_complete_over_tcp(
    fleet: Discovery, option: str, limit: int, rtype: str
) -> None:
    cut = dig(fleet, CROWD, rtype, option, "+ignore")
    if rtype == "A" and limit == 1232:  # 60 addresses of 16 octets fit
        assert "tc" not in cut.flags
        assert len(cut.answer) == MANY
        return
    assert (cut.status, cut.transport) == ("NOERROR", "UDP")
    assert "tc" in cut.flags
    assert 0 < len(cut.answer) < MANY
    assert cut.size <= limit

    whole = dig(fleet, CROWD, rtype, option)  # dig asks again over TCP by itself
    assert "Truncated, retrying in TCP mode" in whole.text
    assert (whole.status, whole.transport, "tc" in whole.flags) == ("NOERROR", "TCP", False)
    assert len(whole.answer) == MANY
    assert cut.rdata < whole.rdata
    assert {address.split()[0] for address in whole.additional_addresses} == {
        record.rdata.split()[3] for record in whole.answer if record.type == "SRV"
    }


def test_no_datagram_is_above_1232_octets_whatever_the_client_could_take(fleet: Discovery) -> None:
    cut = dig(fleet, CROWD, "SRV", "+bufsize=65535", "+ignore")
    assert cut.size <= 1232
    assert "tc" in cut.flags


@pytest.mark.parametrize("name", ["UsEr-SeRvIcE.sVc.LoCaL", "USER-SERVICE.SVC.LOCAL", "_User-Service._TCP.svc.LOCAL"])
def test_case_does_not_matter_and_the_question_comes_back_as_it_was_spelt(fleet: Discovery, name: str) -> None:
    dug = dig(fleet, name, "SRV")
    assert dug.question == f"{name}."
    assert len(dug.answer) == 3
    assert dig(fleet, "NoBody.SVC.local").question == "NoBody.SVC.local."


@pytest.mark.parametrize("rtype", ["A", "SRV", "TXT"])
def test_the_ttl_is_never_above_the_lease(fleet: Discovery, rtype: str) -> None:
    """How exactly it follows what is left of the lease is `test_freshness`'s to show."""
    service = f"short-{rtype.lower()}"
    fleet.register(service, "10.2.0.1", 80, ttl=20, metadata={"a": "b"})
    dug = dig(fleet, f"{service}.svc.local", rtype)
    assert dug.answer, "it is alive"
    assert all(record.ttl <= 20 for record in (*dug.answer, *dug.additional))
    assert {record.ttl for record in dig(fleet, SERVICE, rtype).answer} == {60}, "the bound where leases are long"

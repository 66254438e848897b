"""SVCB and HTTPS records (RFC 9460) for services that say they speak HTTP or HTTPS, read by dig and by dnspython."""

from __future__ import annotations

import pytest
from dns.rdtypes.svcbbase import ParamKey, SVCBBase

from tests.stories.dig import dig
from tests.stories.process import Discovery

TARGET = "ip-10-0-0-1-p8080.shop.svc.local."


@pytest.mark.parametrize("rtype", ["HTTPS", "SVCB"])
@pytest.mark.parametrize(
    "name", ["shop.svc.local", "_8443._https.shop.svc.local", "shop.default.svc.local", "blue.shop.svc.local"]
)
def test_dig_shows_port_and_address_of_the_instance_with_an_https_port(shops: Discovery, name: str, rtype: str) -> None:
    dug = dig(shops, name, rtype)
    assert dug.rdata == {f"10 {TARGET} port=8443 ipv4hint=10.0.0.1"}
    assert dug.additional_addresses == {f"{TARGET} 10.0.0.1"}


@pytest.mark.parametrize("rtype", ["HTTPS", "SVCB"])
def test_dnspython_reads_the_same(shops: Discovery, rtype: str) -> None:
    [record] = shops.ask("shop.svc.local", rtype).answer[0]
    assert isinstance(record, SVCBBase)
    assert record.priority > 0, "priority 0 would be an alias (RFC 9460 §2.4.1)"
    assert str(record.target) == TARGET
    assert {key: str(value) for key, value in record.params.items()} == {
        int(ParamKey.PORT): str(record.params[ParamKey.PORT]),
        int(ParamKey.IPV4HINT): str(record.params[ParamKey.IPV4HINT]),
    }
    assert record.to_text() == f'10 {TARGET} port="8443" ipv4hint="10.0.0.1"'


def test_rfc9460_9_5_plain_http_has_svcb_but_no_https_record(shops: Discovery) -> None:
    assert dig(shops, "web.svc.local", "SVCB").rdata == {
        "10 ip-10-0-0-20-p80.web.svc.local. port=80 ipv4hint=10.0.0.20"
    }
    dug = dig(shops, "web.svc.local", "HTTPS")
    assert (dug.status, dug.answer, len(dug.authority)) == ("NOERROR", [], 1), "browsers would insist on TLS"


@pytest.mark.parametrize("name", ["admin.svc.local", "green.shop.svc.local", "_9100._https.shop.svc.local"])
def test_a_service_that_does_not_say_how_it_speaks_has_none(shops: Discovery, name: str) -> None:
    for rtype in ("HTTPS", "SVCB"):
        assert dig(shops, name, rtype).answer == []


def test_the_target_has_the_address_of_the_hint(shops: Discovery) -> None:
    assert dig(shops, TARGET).rdata == {"10.0.0.1"}
    assert dig(shops, TARGET, "HTTPS").rdata == {f"10 {TARGET} port=8443 ipv4hint=10.0.0.1"}

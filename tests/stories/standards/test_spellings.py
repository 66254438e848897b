"""Names as clients of Consul and Kubernetes spell them, several zones that each answer in themselves, and names between (RFC 8020)."""

from __future__ import annotations

import pytest

from tests.stories.dig import dig
from tests.stories.process import Discovery

BOTH = {"10.0.0.1", "10.0.0.2"}


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("shop.service.consul", BOTH),
        ("shop.service.dc1.consul", BOTH),
        ("SHOP.Service.Consul", BOTH),
        ("blue.shop.service.consul", {"10.0.0.1"}),
        ("green.shop.service.dc1.consul", {"10.0.0.2"}),
        ("_shop._green.service.consul", {"10.0.0.2"}),
        ("shop.consul", BOTH),
        *(("shop.default." + zone, BOTH) for zone in ("svc.local", "legacy.example", "consul")),
        ("green.shop.default.svc.local", {"10.0.0.2"}),
    ],
)
def test_addresses_by_other_registries_spellings(shops: Discovery, name: str, addresses: set[str]) -> None:
    dug = dig(shops, name)
    assert (dug.status, dug.rdata) == ("NOERROR", addresses)
    assert {record.name.lower() for record in dug.answer} == {f"{name.lower()}."}, (
        "the owner is the name that was asked"
    )


@pytest.mark.parametrize(
    ("name", "ports", "zone"),
    [
        ("shop.service.consul", {8080}, "consul"),
        ("_shop._tcp.service.consul", {8080}, "consul"),
        ("_shop._tcp.service.dc1.consul", {8080}, "consul"),
        ("_shop._blue.service.consul", {8080}, "consul"),
        ("shop.default.svc.local", {8080}, "svc.local"),
        ("_metrics._tcp.shop.default.svc.local", {9100}, "svc.local"),
        ("_metrics._tcp.shop.default.legacy.example", {9100}, "legacy.example"),
    ],
)
def test_srv_by_other_registries_spellings(shops: Discovery, name: str, ports: set[int], zone: str) -> None:
    dug = dig(shops, name, "SRV")
    assert {int(record.rdata.split()[2]) for record in dug.answer} == ports
    targets = {record.rdata.split()[3] for record in dug.answer}
    assert all(target.endswith(f".shop.{zone}.") for target in targets), "the target is in the zone that was asked"
    assert {line.split()[0] for line in dug.additional_addresses} == targets
    for target in targets:
        assert dig(shops, target).rdata | dig(shops, target, "AAAA").rdata


@pytest.mark.parametrize(
    "name",
    ["shop.service.svc.local", "shop.service.legacy.example", "shop.service.dc2.consul", "nobody.service.consul",
     "red.shop.service.consul", "shop.kube-system.svc.local"],
)  # fmt: skip
def test_what_no_registry_would_know_does_not_exist(shops: Discovery, name: str) -> None:
    assert dig(shops, name).status == "NXDOMAIN"


@pytest.mark.parametrize(
    "name",
    ["service.consul", "dc1.consul", "service.dc1.consul", "_tcp.service.consul", "_green.service.consul", "default.svc.local",
     "_tcp.shop.default.svc.local", "zone.shop.svc.local", "_tcp.shop.svc.local", "_https.shop.svc.local"],
)  # fmt: skip
def test_rfc8020_a_name_above_existing_names_exists(shops: Discovery, name: str) -> None:
    dug = dig(shops, name)
    assert (dug.status, dug.answer) == ("NOERROR", []), "NXDOMAIN would say that nothing is below either"


@pytest.mark.parametrize("zone", ["svc.local", "legacy.example", "consul"])
def test_each_zone_answers_in_itself(shops: Discovery, zone: str) -> None:
    for rtype in ("SRV", "HTTPS"):
        for record in (dug := dig(shops, f"shop.{zone}", rtype)).answer:
            assert f".shop.{zone}." in record.rdata
        assert all(record.name.endswith(f".shop.{zone}.") for record in dug.additional)
        assert dug.answer
    negative = dig(shops, f"nobody.{zone}")
    assert [(soa.name, soa.ttl) for soa in negative.authority] == [(f"{zone}.", 2)]
    assert [record.name for record in dig(shops, zone, "SOA").answer] == [f"{zone}."]
    [ns] = dig(shops, zone, "NS").rdata
    assert dig(shops, ns).rdata == {"127.0.0.1"}

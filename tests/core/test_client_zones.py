"""Networks and the zones of their clients: the longest prefix, the scope, and what a file may say."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.client_zones import MAX_NETWORKS, MAX_ZONES, NOWHERE, ClientZones, ClientZonesError, Place


def zones(text: str) -> ClientZones:
    return ClientZones.read((f"line {number}", line) for number, line in enumerate(text.split(), 1))


TWO = zones("10.1.0.0/16=eu-a 10.1.128.0/17=EU-B fd00:1::/48=eu-a ::ffff:192.0.2.0/120=eu-c")


@pytest.mark.parametrize(
    ("client", "zone"),
    [
        ("10.1.2.3", "eu-a"),
        ("10.1.127.255", "eu-a"),
        ("10.1.128.0", "eu-b"),
        ("10.0.255.255", None),
        ("10.2.0.0", None),
        ("fd00:1::7", "eu-a"),
        ("fd00:1::7%eth0", "eu-a"),
        ("fd00:2::7", None),
        ("::ffff:10.1.2.3", "eu-a"),
        ("192.0.2.9", "eu-c"),
        ("a.socket", None),
        ("", None),
    ],
)
def test_the_longest_prefix_around_a_client_says_its_zone(client: str, zone: str | None) -> None:
    assert TWO.zone_of(client) == zone


@pytest.mark.parametrize(
    ("network", "place"),
    [
        ("10.1.2.0/24", Place("eu-a", 17)),
        ("10.1.128.0/24", Place("eu-b", 17)),
        ("10.1.0.0/17", Place("eu-a", 17)),
        ("10.1.0.0/16", Place(None, 17)),  # half of it is in eu-b
        ("10.0.0.0/8", Place(None, 16)),
        ("10.2.0.0/24", Place(None, 15)),
        ("0.0.0.0/0", Place(None, 5)),
        ("fd00:1::/56", Place("eu-a", 48)),
        ("::ffff:10.1.2.0/120", Place("eu-a", 113)),
    ],
)
def test_a_network_is_in_a_zone_when_all_of_it_is(network: str, place: Place) -> None:
    assert TWO.place_of(ip_network(network)) == place


def test_without_networks_nobody_is_anywhere() -> None:
    assert not ClientZones()
    assert ClientZones().zone_of("10.1.2.3") is None
    assert ClientZones().place_of(ip_network("0.0.0.0/0")) == NOWHERE


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 255), st.integers(0, 8)).map(
            lambda pair: IPv4Network((0x0A000000 | (pair[0] >> (8 - pair[1]) << (8 - pair[1])), 24 + pair[1]))
        ),
        st.sampled_from(["a", "b", "c"]),
        max_size=8,
    ),
    st.integers(0, 255),
)
def test_zone_and_scope_are_what_a_look_at_every_network_says(networks: dict[IPv4Network, str], last: int) -> None:
    address, found = ip_address(0x0A000000 | last), ClientZones(networks)  # type: ignore[arg-type]  # as a Mapping of one kind
    around = [network for network in networks if address in network]
    longest = max(around, key=lambda network: network.prefixlen, default=None)
    assert found.zone_of(str(address)) == (None if longest is None else networks[longest])
    others = [network for network in networks if network not in around]
    scope = next(
        length
        for length in range(33)
        if all(length >= each.prefixlen for each in around)
        and not any(ip_network((int(address), length), strict=False).overlaps(other) for other in others)
    )
    assert found.place_of(ip_network(str(address))).prefix == scope


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("10.1.0.0/16", "line 1: '10.1.0.0/16' has no zone; write NETWORK=ZONE, such as 10.1.0.0/16=eu-a"),
        ("10.1.0.1/16=eu-a", "line 1: '10.1.0.1/16' is no network such as 10.1.0.0/16 or fd00:1::/48"),
        ("10.1.0.0/33=eu-a", "line 1: '10.1.0.0/33' is no network"),
        ("=eu-a", "line 1: '' is no network"),
        ("10.1.0.0/16=", "line 1: '' is no zone: "),
        ("10.1.0.0/16=eu.a", "line 1: 'eu.a' is no zone: "),
        ("10.1.0.0/16=a 10.1.0.0/16=b", "line 2: 10.1.0.0/16 is there twice, as a and as b: leave one"),
        ("10.1.0.0/16=a ::ffff:10.1.0.0/112=a", "line 2: 10.1.0.0/16 is there twice"),
        (" ".join(f"10.1.{n}.0/33=a" for n in range(20)), "and 12 more"),
        (
            " ".join(f"10.0.{n // 256}.{n % 256}=a" for n in range(MAX_NETWORKS + 1)),
            "line 10001: 10,001 networks are too many",
        ),
        (" ".join(f"10.0.{n // 256}.{n % 256}=z{n}" for n in range(MAX_ZONES + 1)), "line 257: 257 zones are too many"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, error: str) -> None:
    with pytest.raises(ClientZonesError) as raised:
        zones(text)
    assert error in str(raised.value)


def test_networks_may_lie_in_each_other() -> None:
    nested = zones("10.0.0.0/8=eu 10.1.0.0/16=eu-a 10.1.1.0/24=eu")
    assert [nested.zone_of(ip) for ip in ("10.9.9.9", "10.1.9.9", "10.1.1.9")] == ["eu", "eu-a", "eu"]
    assert nested.zones == ("eu", "eu-a")

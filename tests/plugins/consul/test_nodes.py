"""Hosts as Consul's nodes; Go's durations; what a query asks."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.address import parse_ip
from discovery.core.errors import InvalidField
from discovery.core.network import Networks
from discovery.plugins.consul import durations, parameters
from discovery.plugins.consul.directory import Directory
from discovery.plugins.consul.manners import Refused
from discovery.plugins.consul.nodes import Node, Nodes, named_after
from discovery.plugins.consul.reading import Reader
from discovery.plugins.consul.settings import ConsulSettings
from discovery.rest.api.requests import Request
from discovery.system.env import SettingsError
from tests.store.making import a_registry

NODES = Nodes({"10.0.0.7": "Web-Host", "192.168.0.7": "Web-Host", "::1": "six"})


def test_a_host_has_one_name_and_one_address_whichever_of_its_addresses_it_asks_from() -> None:
    assert NODES.at("10.0.0.7") == NODES.at("192.168.0.7") == Node("Web-Host", "10.0.0.7")
    assert NODES.at("10.0.0.8") == Node("ip-10-0-0-8", "10.0.0.8")
    assert NODES.at("10.0.0.7").id == Nodes({"1.2.3.4": "web-host"}).at("1.2.3.4").id != NODES.at("10.0.0.8").id


@pytest.mark.parametrize(
    ("address", "advertise", "host"),
    [
        ("10.0.0.8", None, "10.0.0.8"),
        ("::ffff:10.0.0.8", None, "10.0.0.8"),
        ("127.0.0.1", "10.0.0.5", "10.0.0.5"),
        ("127.3.2.1", "10.0.0.5", "10.0.0.5"),
        ("::1", "2001:db8::5", "2001:db8::5"),
        ("", "10.0.0.5", "10.0.0.5"),  # of a Unix socket
        ("10.0.0.5", "10.0.0.5", "10.0.0.5"),
        ("127.0.0.1", None, None),
        ("::1", None, None),
        ("10.0.0.1", "10.0.0.5", None),  # a proxy that does not say from where
    ],
)
def test_who_asks_is_his_host_and_this_one_is_what_it_advertises(
    address: str, advertise: str | None, host: str | None
) -> None:
    registry = a_registry()
    settings = ConsulSettings(consul_advertise=advertise)
    reader = Reader(registry, lambda: 0.0, Directory(registry, Nodes({})), settings)
    reader.proxies, reader.is_public = Networks([ip_network("10.0.0.1")]), True
    request = Request()
    request.address = address

    def told() -> str:
        reader.require_reachable(request)
        return reader.host_of(request)

    if host is None:
        with pytest.raises(Refused, match=r"CONSUL_ADVERTISE|TRUSTED_PROXIES") as refused:
            told()
        assert refused.value.status == 400
    else:
        assert told() == host


@given(
    st.builds(
        str, st.builds(IPv4Address, st.integers(0, 2**32 - 1)) | st.builds(IPv6Address, st.integers(0, 2**128 - 1))
    )
)
def test_a_name_made_of_an_address_is_a_label_of_its_own(text: str) -> None:
    try:
        address = parse_ip(text)
    except InvalidField:
        return
    assert set(named_after(address)) <= set("abcdefip-0123456789")
    assert not named_after(address).endswith("-")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("500ms", 0.5),
        ("10000ms", 10),
        ("-2s", -2),
        (".5m", 30),
        ("0", 0),
        ("2µs", 2e-6),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert durations.seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["soon", "1", "10", "s", "1 s", "1d", "", "1h2", "9" * 50 + "s", "1s" * 100])
def test_what_go_does_not_read_is_no_duration(text: str) -> None:
    assert durations.seconds_of(text) is None


@given(st.integers(0, 10**6))
def test_a_duration_is_shown_so_that_it_can_be_read_again(seconds: int) -> None:
    assert durations.seconds_of(durations.shown(seconds)) == seconds
    assert (durations.shown(5400), durations.shown(90), durations.shown(0.5)) == ("1h30m0s", "1m30s", "0.5s")


REFUSED = {
    "index=abc": (400, "Invalid index"),
    "index=-1": (400, "Invalid index"),
    f"index={2**64}": (400, "Invalid index"),
    "index=١": (400, "Invalid index"),
    "wait=soon": (400, "Invalid wait time"),
    "wait=1": (400, "Invalid wait time"),
    "passing=maybe": (400, "Invalid value for ?passing"),
    "stale&consistent": (400, "Cannot specify ?stale with ?consistent, conflicting semantics."),
    "dc=nowhere": (500, "No path to datacenter"),
    "&".join(["a=b"] * 65): (400, "the query has more than 64 parameters"),
}


@pytest.mark.parametrize("query", REFUSED)
def test_a_query_is_refused_as_consul_refuses_it(query: str) -> None:
    with pytest.raises(Refused) as failure:
        parameters.read(query, "dc1")
    assert (failure.value.status, str(failure.value)) == REFUSED[query]


def test_a_query_says_what_is_asked_and_how_long_it_waits() -> None:
    asked = parameters.read(
        "tag=a&tag=b&passing=false&stale=&index=7&wait=1h&token=x&node-meta=a:b:c&dc=dc1&unknown=1", "dc1"
    )
    assert (asked.seen, asked.wait, asked.consistency, asked.node_meta) == (7, 600.0, "stale", [("a", "b:c")])
    assert not asked.flag("passing")
    assert (
        asked.form
        == parameters.read("stale&unknown=1&dc=dc1&passing=false&node-meta=a:b:c&tag=a&tag=b&index=9", "dc1").form
    )
    plain = parameters.read(f"index=0&wait=0s&passing&token={'x' * 10}", "dc1")
    assert (plain.seen, plain.wait, plain.flag("passing"), plain.consistency) == (None, None, True, "leader")
    assert parameters.read(f"index={2**64 - 1}", "dc1").seen == 2**64 - 1


@pytest.mark.parametrize("value", ["10.0.0.7", "10.0.0.7=", "x=y", "10.0.0.7=a b", "10.0.0.7=a,10.0.0.7=b"])
def test_a_list_of_nodes_that_names_none_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_NODES", value)
    with pytest.raises(SettingsError, match="CONSUL_NODES"):
        ConsulSettings.read()

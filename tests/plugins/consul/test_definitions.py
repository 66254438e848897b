"""Whatever a client sends is a registration, or refused in Consul's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.check import Check
from discovery.core.health import Health
from discovery.plugins.consul import decode, definitions
from discovery.plugins.consul.manners import Refused

DAY = 86400.0
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["10s", "0s", "http://x/", "https://[::1]:99999/", "10.0.0.1:80", "a/b", "passing", "127.0.0.1", "[::1]:1", "::"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)  # fmt: skip
_CHECK_KEYS = (
    "HTTP",
    "TCP",
    "GRPC",
    "TTL",
    "Interval",
    "Timeout",
    "Status",
    "Header",
    "Method",
    "Body",
    "CheckID",
    "Notes",
    "UDP",
    "Args",
)
_KEYS = (
    "Name",
    "ID",
    "Address",
    "Port",
    "Tags",
    "Meta",
    "Weights",
    "TaggedAddresses",
    "Kind",
    "Proxy",
    "Connect",
    "Check",
    "Checks",
)
_CHECKS = st.dictionaries(st.sampled_from(_CHECK_KEYS), _VALUES, max_size=5)
_BODIES = st.dictionaries(st.sampled_from(_KEYS), _VALUES | _CHECKS | st.lists(_CHECKS, max_size=3), max_size=8)


def tried(make: Callable[[], Any]) -> Any:
    """What it makes, or how it refuses."""
    try:
        return make()
    except Refused as refused:
        return refused


@given(_BODIES)
def test_any_body_is_a_registration_or_refused(body: dict[str, Any]) -> None:
    try:
        sent = json.dumps({"Name": "web", "Port": 80, **body}, allow_nan=False)
    except ValueError:
        return
    found = tried(
        lambda: definitions.service(decode.body(sent.encode("utf-8", "surrogatepass"), decode.SERVICE), "10.0.0.7", DAY)
    )
    if isinstance(found, Refused):
        assert found.status in (400, 500)
        assert str(found)
        return
    assert found.spec.lease == "none"
    assert all(check.group == found.peer.key for check in found.checks)


@given(st.binary(max_size=40) | _VALUES.map(repr).map(str.encode))
def test_any_octets_are_a_body_or_refused(octets: bytes) -> None:
    for read in (decode.SERVICE, decode.CHECK, decode.ENTRY, decode.UPDATE):
        found = tried(partial(decode.body, octets, read))
        assert isinstance(found, dict) or found.status == 400


def check(**said: Any) -> Check:
    [made] = definitions.service(
        decode.body(json.dumps({"Name": "web", "Port": 80, "Check": said}).encode(), decode.SERVICE), "10.0.0.7", DAY
    ).checks
    return made


def test_names_of_fields_have_any_case_and_null_is_nothing() -> None:
    body = {
        "name": "web",
        "PORT": 80,
        "tagged_addresses": {"Lan_X": {"address": "10.0.0.1", "port": 1}},
        "Meta": None,
        "checks": [{"ttl": "5s"}],
    }
    said = definitions.service(decode.body(json.dumps(body).encode(), decode.SERVICE), "10.0.0.7", DAY)
    assert (said.spec.port, said.peer.said["TaggedAddresses"]) == (80, {"Lan_X": {"Address": "10.0.0.1", "Port": 1}})
    assert [made.ttl for made in said.checks] == [5.0]


def test_a_check_is_as_consul_makes_it() -> None:
    made = check(
        HTTP="https://10.0.0.9:8443/h?x=1", Interval="5s", Method="PUT", Header={"A": ["b", "c"]}, TLSSkipVerify=True
    )
    assert (made.kind, made.address, made.port, made.path, made.method, made.headers) == (
        "http", "10.0.0.9", 8443, "/h?x=1", "PUT", (("A", "b, c"),),
    )  # fmt: skip
    assert (made.tls, made.tls_skip_verify, made.failures, made.successes, made.status) == (
        True,
        True,
        1,
        1,
        Health.FAILING,
    )
    made = check(
        GRPC="localhost:80/svc",
        Interval="0.1s",
        FailuresBeforeCritical=2,
        DeregisterCriticalServiceAfter="1s",
        Status="passing",
    )
    assert (made.kind, made.address, made.port, made.path, made.interval, made.failures, made.critical_after, made.status) == (
        "grpc", "", 0, "svc", 1.0, 3, 60.0, Health.PASSING,
    )  # fmt: skip
    beat = check(TTL="8760h", Status="warning")
    assert (beat.ttl, beat.critical_after, beat.status, beat.id) == (7 * DAY, DAY, Health.WARNING, "service:web")


def test_a_name_that_only_the_hosts_network_knows_is_shown_and_stands_for_the_host() -> None:
    """Spring's in a container: its address and its check have the container's id for a name."""
    for name in ("3f2a1b", "web", "my_app_1.net"):
        body = {
            "Name": "web",
            "Address": name,
            "Port": 80,
            "Check": {"HTTP": f"http://{name}:80/health", "Interval": "5s"},
        }
        said = definitions.service(decode.body(json.dumps(body).encode(), decode.SERVICE), "10.0.0.7", DAY)
        assert (said.spec.ip, said.peer.said["Address"]) == ("10.0.0.7", name)
        assert [(made.address, made.port, made.path) for made in said.checks] == [("", 0, "/health")]
    assert check(TCP="db:5432", Interval="5s").port == 5432
    for address in ("10.0.0.256", "a b", "-", "x" * 254):
        with pytest.raises(Refused):
            definitions.service({"Name": "web", "Address": address}, "10.0.0.7", DAY)


@pytest.mark.parametrize(
    ("said", "status", "text"),
    [
        ({"Args": ["/bin/true"], "Interval": "10s"}, 500, "Scripts are disabled"),
        ({"UDP": "x:1", "Interval": "10s"}, 400, "UDP checks are not made here"),
        ({"AliasService": "x"}, 400, "AliasService checks are not made here"),
        ({"HTTP": "ftp://x/", "Interval": "10s"}, 400, "no URL of http"),
        ({"HTTP": "http://x:99999/", "Interval": "10s"}, 400, "no port from 1 to 65535"),
        ({"HTTP": "http://[::1/", "Interval": "10s"}, 400, "neither a URL nor HOST:PORT"),
        ({"TCP": "[::1:80", "Interval": "10s"}, 400, "neither a URL nor HOST:PORT"),
        ({"TCP": "nowhere", "Interval": "10s"}, 400, "no HOST:PORT"),
        ({"TTL": "10s", "TCP": "x:1", "Interval": "10s"}, 400, "cannot both be specified"),
        ({"Name": "empty"}, 400, "TTL must be > 0"),
    ],
)
def test_a_check_that_is_not_made_is_told(said: dict[str, Any], status: int, text: str) -> None:
    with pytest.raises(Refused, match=text) as refused:
        check(**said)
    assert refused.value.status == status

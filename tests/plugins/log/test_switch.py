"""Which queries and requests a filter lets through, and what a rate holds back."""

from __future__ import annotations

import pytest

from discovery.core.errors import InvalidField
from discovery.dns.message.names import from_text
from discovery.plugins.log.switch import Filter, Rate


@pytest.mark.parametrize(
    ("wanted", "name", "found"),
    [
        (None, "anything.example.com", True),
        ("user-service", "user-service.svc.local", True),
        ("user-service", "_http._tcp.user-service.svc.local", True),
        ("user-service", "user.svc.local", False),
        ("user-service.svc.local", "user-service.svc.local", True),
        ("User-Service.svc.local.", "blue.user-service.svc.local", True),
        ("user-service.svc.local", "user-service.svc.local.example.com", False),
        ("svc.local", "x.svc.local", True),
        ("svc.local", "xsvc.local", False),
    ],
)
def test_a_name_means_itself_and_what_is_below_it_and_a_label_wherever_it_is(
    wanted: str | None, name: str, found: bool
) -> None:
    assert Filter(wanted, None).has_name(from_text(name)) is found


@pytest.mark.parametrize(
    ("wanted", "path", "found"),
    [
        (None, "/anything", True),
        ("user-service", "/resolve/User-Service", True),
        ("user-service", "/services/user-service/instances", True),
        ("user-service", "/resolve/user-service-2", False),
        ("user-service.svc.local", "/resolve/user-service", False),
    ],
)
def test_of_requests_the_path_has_the_label(wanted: str | None, path: str, found: bool) -> None:
    assert Filter(wanted, None).has_path(path) is found


@pytest.mark.parametrize(
    ("network", "client", "found"),
    [
        (None, "10.0.0.1", True),
        (None, "", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.0.0/8", "::ffff:10.9.9.9", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("2001:db8::/32", "10.0.0.1", False),
    ],
)
def test_a_client_is_an_address_or_in_a_network(network: str | None, client: str, found: bool) -> None:
    assert Filter(None, network).has_client(client) is found


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", ""), ("name", "."), ("name", "a..b"), ("name", "x" * 64), ("name", "bücher"), ("name", "a." * 200),
        ("client", ""), ("client", "10.0.0.1/8"), ("client", "host"), ("client", "10.0.0.0/33"), ("client", "\x1b[2J"),
    ],
)  # fmt: skip
def test_what_is_neither_is_refused(field: str, text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        Filter(text if field == "name" else None, text if field == "client" else None)
    assert refused.value.field == field
    assert text not in str(refused.value) or not text.strip(".")


def test_more_than_the_rate_is_held_back_and_told_once() -> None:
    rate = Rate(3)
    assert [rate.take(10.0 + number / 10) for number in range(5)] == [True] * 3 + [False] * 2
    assert (rate.written, rate.held_back) == (3, 2)
    assert rate.take(11.0)
    assert (rate.untold(), rate.untold()) == (2, 0)
    assert (rate.written, rate.held_back) == (4, 2)

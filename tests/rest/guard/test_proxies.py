"""Who the caller is behind proxies, and that everything that asks for an address has that one."""

from __future__ import annotations

import logging
from ipaddress import ip_network

import pytest

from discovery.core.caller import Caller
from discovery.core.network import Network, Networks
from discovery.rest.api.requests import Request
from discovery.rest.guard.admission import caller_of
from tests.rest.harness import USER, serving

PROXIES: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.9, 192.0.2.7", "192.0.2.7"),  # whoever asked the proxy may have sent the first
        ("10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.9,192.0.2.7,10.0.0.2 , fd00::2", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("192.0.2.1", "192.0.2.7", "192.0.2.1"),
        ("192.0.2.1", "10.0.0.3", "192.0.2.1"),
        ("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("fd00::1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7:50124", "192.0.2.7"),
        ("10.0.0.1", "[2001:db8::7]:50124", "2001:db8::7"),
        ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("", "192.0.2.7", ""),
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxys(peer: str, forwarded: str | None, caller: str) -> None:
    request = Request(headers={} if forwarded is None else {b"x-forwarded-for": forwarded.encode()})
    assert caller_of(request, peer, Networks(PROXIES)) == caller
    assert caller_of(request, peer, Networks(())) == peer


@pytest.mark.parametrize("trusted", [True, False])
async def test_bounds_rates_and_the_log_go_by_it(trusted: bool, caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    def admit(request: Request) -> Caller:
        seen.append(request.address)
        return Caller(request.address)

    networks = (ip_network("127.0.0.0/8"),) if trusted else ()
    caplog.set_level(logging.INFO, "discovery.requests")
    async with serving(trusted=networks, registers_per_second=1, admit=admit) as api:
        statuses = []
        for number in range(4):
            headers = {"X-Forwarded-For": f"203.0.113.9, 192.0.2.{number}"}
            statuses.append((await api.request("POST", "/register", USER, headers)).status)
    assert statuses == ([201] * 4 if trusted else [201, 201, 429, 429])
    assert seen == [f"192.0.2.{number}" if trusted else "127.0.0.1" for number in range(4)]
    lines = [record.getMessage() for record in caplog.records if record.name == "discovery.requests"]
    assert [line.rpartition(" ")[2] for line in lines] == seen


async def test_behind_a_trusted_proxy_on_this_machine_nobody_is_its_operator() -> None:
    from discovery.rest.guard.admission import without_tokens

    async with serving(trusted=[ip_network("127.0.0.0/8")], admit=without_tokens) as api:
        assert (await api.post("/admin/clear")).status == 200
        for address in ("127.0.0.1", "192.0.2.7"):
            reply = await api.request("POST", "/admin/clear", None, {"X-Forwarded-For": address})
            assert (reply.status, reply.body["code"]) == (403, "FORBIDDEN")

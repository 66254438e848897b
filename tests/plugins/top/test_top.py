"""GET /top of a server that is really started: what it lists, to whom, and that nothing of a stranger's moves a cursor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import pytest

from discovery.dns.message.names import from_wire, to_text
from discovery.dns.message.reason import Reason
from discovery.dns.server.traffic import Outcome
from discovery.plugins.top import REPLY, Top
from tests.plugins.started import LIMIT, Running, running, settings
from tests.shapes import fits

SECRET = "a secret of the tests"  # noqa: S105


@pytest.fixture
async def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("discovery.dns.server.traffic.SAMPLE", 1)  # look at each
    monkeypatch.setattr("discovery.rest.http.traffic.SAMPLE", 1)
    async with running(settings(tmp_path)) as running_one:
        yield running_one


async def top(it: Running, query: str = "", status: int = 200, **headers: str) -> Any:
    async with it.session.get(it.http + "/top" + query, headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_it_lists_who_asks_for_what_and_what_is_not_there(it: Running) -> None:
    for port in range(3):
        await it.register(port=3001 + port)
    await it.register(name="quiet")
    for name, times in (("user-service.svc.local", 3), ("usr-service.svc.local", 2), ("example.com", 1)):
        for _ in range(times):
            await it.ask(name)
    found = await top(it)
    assert fits(REPLY, found)
    assert [each["name"] for each in found["names"]] == [
        "user-service.svc.local",
        "usr-service.svc.local",
        "example.com",
    ]
    assert [each["name"] for each in found["unknownNames"]] == ["usr-service.svc.local"]
    assert (
        [each["client"] for each in found["clients"]]
        == [each["client"] for each in found["httpClients"]]
        == ["127.0.0.1"]
    )
    assert [(each["service"], each["changes"]) for each in found["services"]] == [("user-service", 3), ("quiet", 1)]
    assert found["clients"][0]["queries"] == 6 * 16
    assert len((await top(it, "?limit=1"))["names"]) == 1
    assert (await top(it, "?minutes=1"))["minutes"] == 1


async def test_names_of_strangers_are_escaped_and_garbage_is_left_out(it: Running) -> None:
    evil = b'\x0d\x1b[2J\x07\xe2\x80\xae\n.x\\"\x03com\x00'
    query = dns.message.make_query("x", "A").to_wire()[:12] + evil + b"\0\1\0\1"
    await dns.asyncquery.udp(dns.message.from_wire(query), "127.0.0.1", port=it.dns_port, timeout=LIMIT)
    found = await top(it)
    assert [each["name"] for each in found["names"]] == [r"\027[2j\007\226\128\174\010\046x\092\034.com"]


async def test_a_zero_in_a_label_does_not_end_the_name(it: Running) -> None:
    query = dns.message.make_query("x", "A").to_wire()[:12] + b"\x03a\0b\x03com\0" + b"\0\1\0\1"
    await dns.asyncquery.udp(dns.message.from_wire(query), "127.0.0.1", port=it.dns_port, timeout=LIMIT)
    assert [each["name"] for each in (await top(it))["names"]] == [r"a\000b.com"]


@pytest.mark.parametrize(
    "wire", [b"\xc0\x0c\0\1\0\1", b"\x3f" + b"x" * 63 + b"\0", b"\x3fx", b"", (b"\x3f" + b"x" * 63) * 4 + b"\0"]
)
async def test_what_was_refused_unread_is_no_name(wire: bytes) -> None:
    clock = lambda: 0.0  # noqa: E731
    it = Top(clock)
    refused = Outcome("other", "other", "REFUSED", Reason.NOT_ALLOWED, False)
    it.see_queries([(b"\0" * 12 + wire, b"", "10.0.0.9", "udp", refused, 0.0)])
    found = [heavy.key for heavy in it._windows["names"].top(10, 1, 0.0)]
    shown = [to_text(from_wire(key)) for key in found if isinstance(key, bytes)]
    assert shown == (["x" * 63] if wire.endswith(b"\0") and len(wire) == 65 else [])


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=101", "?limit=ten", "?limit=²", "?minutes=11", "?minutes=-1", "?limit="]
)
async def test_a_limit_is_a_whole_number_in_bounds(it: Running, query: str) -> None:
    reply = await top(it, query, status=400)
    assert (reply["code"], reply["field"]) == ("INVALID_FIELD", query[1:].partition("=")[0])


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-proto", "Forwarded", "X-Real-IP", "Via"])
async def test_without_tokens_it_is_for_this_machine_and_not_through_a_proxy(it: Running, header: str) -> None:
    reply = await top(it, status=403, **{header: "203.0.113.7"})
    assert reply["code"] == "FORBIDDEN"
    assert "API_TOKEN" in reply["message"]


async def test_with_tokens_it_is_for_those_with_the_right_admin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_TOKEN", SECRET)
    async with running(settings(tmp_path)) as it:
        await top(it, status=401)
        await top(it, Authorization=f"Bearer {SECRET}")
        async with it.session.get(it.http + "/%74op") as response:  # another spelling of the path
            assert response.status in (401, 403, 404)

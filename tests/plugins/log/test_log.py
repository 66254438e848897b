"""PUT /admin/log on a server that is really started: lines appear at once, only those that were asked for, and end by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import pytest

from discovery.cli.logs import escaped, fields_of
from discovery.plugins.log import REPLY, LogSwitch
from tests.plugins.started import LIMIT, REGISTRATION, Running, running, settings
from tests.shapes import fits

SECRET = "a secret of the tests"  # noqa: S105


@pytest.fixture
async def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    async with running(settings(tmp_path)) as running_one:
        yield running_one


async def switch(it: Running, status: int = 200, headers: dict[str, str] | None = None, **body: object) -> Any:
    async with it.session.put(it.http + "/admin/log", json=body, headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def state(it: Running) -> Any:
    async with it.session.get(it.http + "/admin/log") as response:
        return await response.json()


def lines(caplog: pytest.LogCaptureFixture, logger: str = "discovery.queries") -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == logger]


def said(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [fields_of(record) for record in caplog.records if record.name == "discovery.queries"]


async def test_each_query_has_a_line_from_the_next_on(it: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)  # whatever the log's level is
    caplog.handler.setLevel(logging.NOTSET)
    await it.register()
    await it.ask("user-service.svc.local")
    assert lines(caplog) == []
    assert fits(REPLY, reply := await switch(it, queries=True))
    assert reply["until"] > reply["timestamp"]
    for _ in range(40):  # from kept answers, too
        await it.ask("User-Service.svc.local")
    query = dns.message.make_query("nobody.svc.local", "AAAA", use_edns=0, want_dnssec=True)
    await dns.asyncquery.tcp(query, "127.0.0.1", port=it.dns_port, timeout=LIMIT)
    assert len(lines(caplog)) == 41
    assert lines(caplog)[0].startswith("127.0.0.1 udp user-service.svc.local A rd -> NOERROR answer, 56 octets, ")
    last = said(caplog)[-1]
    assert last.pop("octets") > 100
    assert 0 < last.pop("seconds") < LIMIT
    assert last == {
        "event": "query.answered", "client": "127.0.0.1", "transport": "tcp", "name": "nobody.svc.local", "type": "AAAA",
        "flags": "rd edns do", "rcode": "NXDOMAIN", "reason": "unknown_name", "answer": "",
    }  # fmt: skip
    assert (await state(it))["written"] == 41
    assert (await switch(it))["queries"] is False
    await it.ask("user-service.svc.local")
    assert len(lines(caplog)) == 41


async def test_only_queries_that_were_asked_for_and_no_more_than_the_rate(
    it: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await switch(it, queries=True, name="user-service", client="127.0.0.0/8", perSecond=1)
    for name in ("nobody.svc.local", "user-service.svc.local", "user-service.svc.local", "user-service.svc.local"):
        await it.ask(name)
    shown = await state(it)
    assert shown["written"] + shown["heldBack"] == 3
    assert shown["written"] == len([each for each in said(caplog) if each["event"] == "query.answered"])
    assert {each["name"] for each in said(caplog) if each["event"] == "query.answered"} == {"user-service.svc.local"}
    await switch(it, queries=True, client="203.0.113.0/24")
    await it.ask("user-service.svc.local")
    assert (await state(it))["written"] == 0


async def test_the_records_of_a_reply_can_be_in_it(it: Running, caplog: pytest.LogCaptureFixture) -> None:
    await it.register()
    await switch(it, queries=True, answer=True)
    await it.ask("user-service.svc.local")
    await it.ask("nobody.svc.local")
    assert lines(caplog)[0].endswith(": user-service.svc.local. 5 IN A 10.1.2.3")
    assert "svc.local. 2 IN SOA" in lines(caplog)[1]


async def test_hostile_packets_have_a_line_that_moves_no_cursor(it: Running, caplog: pytest.LogCaptureFixture) -> None:
    await switch(it, queries=True, answer=True)
    evil = b'\x0d\x1b[2J\x07\xe2\x80\xae\n.x\\"\x03com\x00'
    packets = [
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + evil + b"\0\1\0\1",
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + evil,
        b"\0\1\1\0\0\1\0\0\0\0\0\0",
        b"\0\1\1\0\0\1\0\0\0\0\0\0\x03abc",
        b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",
        b"\0\1\1\0\0\1\0\0\0\0\0\5\1a\0\0\1\0\1\0\0\x29",
        b"\0\1\1\0\0\0\0\0\0\0\0\0",
        b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\xff\x07\0\xfe",
        b"\0",
    ]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", it.dns_port))
    for packet in packets:
        transport.sendto(packet)
    async with asyncio.timeout(LIMIT):
        while len(lines(caplog)) < len(packets):  # noqa: ASYNC110 - some get no answer to wait for
            await asyncio.sleep(0.001)
    transport.close()
    for line in lines(caplog):
        assert line.isascii()
        assert line == escaped(line)
    assert r"\027[2j\007\226\128\174\010\046x\092\034.com A" in lines(caplog)[0]
    assert [each["reason"] for each in said(caplog)][1:7] == ["malformed"] * 6


async def test_requests_that_the_log_does_not_tell_of_anyway(it: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await it.register()
    await switch(it, accesses=True, name="user-service")
    await it.session.post(it.http + "/heartbeat", json=REGISTRATION)
    await it.session.get(it.http + "/resolve/user-service?_token=secret")
    await it.session.get(it.http + "/resolve/other")
    await it.session.get(it.http + "/maintenance")  # has its line
    assert [line.rpartition(",")[0].rpartition(",")[0] for line in lines(caplog, "discovery.requests.watched")] == [
        "GET /resolve/user-service -> 200"
    ]
    assert sum("/maintenance" in line for line in lines(caplog, "discovery.requests")) == 1
    await switch(it, accesses=True)
    await it.session.post(it.http + "/heartbeat", json=REGISTRATION)
    assert "POST /heartbeat -> 200" in lines(caplog, "discovery.requests.watched")[-1]


async def test_the_level_is_another_until_it_is_over(it: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = root.level
    assert (await switch(it, level="debug", seconds=3600))["level"] == "debug"
    assert root.level == logging.DEBUG
    assert (await switch(it, level="error"))["level"] == "error"
    await switch(it)
    assert root.level == before
    await switch(it, level="debug", queries=True)
    [plugin] = [plugin for plugin in it.server._plugins if isinstance(plugin, LogSwitch)]
    plugin._over()  # the time has run out
    assert root.level == before
    assert (await state(it))["until"] is None
    assert (await state(it))["queries"] is False


async def test_a_server_that_ends_leaves_the_level_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = logging.getLogger().level
    async with running(settings(tmp_path)) as it:
        await switch(it, level="debug", queries=True, accesses=True)
    assert logging.getLogger().level == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("querys", True), ("queries", "yes"), ("queries", 1), ("accesses", None), ("level", "loud"), ("level", "DEBUG"),
        ("seconds", 0), ("seconds", 86_401), ("seconds", "60"), ("seconds", 1.5), ("seconds", True), ("perSecond", 0),
        ("perSecond", 1001), ("per_second", 5), ("name", ""), ("name", 5), ("client", "10.0.0.1/8"), ("client", []),
        ("answer", "true"), ("\x1b[2J", 1),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_changes_nothing(it: Running, field: str, value: object) -> None:
    await switch(it, queries=True, name="kept")
    reply = await switch(it, status=400, **{"accesses": True, field: value})  # type: ignore[arg-type]
    assert (reply["code"], reply["field"]) == ("INVALID_FIELD", field)
    shown = await state(it)
    assert (shown["queries"], shown["accesses"], shown["name"]) == (True, False, "kept")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_without_tokens_it_is_for_this_machine_and_not_through_a_proxy(it: Running, header: str) -> None:
    assert (await switch(it, status=403, headers={header: "203.0.113.7"}, queries=True))["code"] == "FORBIDDEN"
    assert (await state(it))["queries"] is False


async def test_with_tokens_it_is_for_those_with_the_right_admin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_TOKEN", SECRET)
    async with running(settings(tmp_path)) as it:
        await switch(it, status=401, queries=True)
        await switch(it, headers={"Authorization": f"Bearer {SECRET}"}, queries=True)
        async with it.session.put(it.http + "/%61dmin/log", json={"queries": True}) as response:
            assert response.status in (401, 403, 404)

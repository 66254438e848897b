"""Every seam, reached in a server that is really started, in the order of the plugins: the first is outermost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from discovery import app
from discovery.core.caller import SERVER, Caller
from discovery.core.errors import Forbidden
from discovery.dns.message.query import Transport
from discovery.dns.server.responder import Respond
from discovery.plugins import LookupSeam, Plugin, Seams
from discovery.rest.api.requests import Request
from discovery.rest.guard.admission import Admit
from discovery.store.errors import NotDurable
from tests.plugins.started import LIMIT, REGISTRATION, ZONE, Recorder, Running, recorders, running, settings


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of zone files; the working folder has no `.env`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "zones"
    folder.mkdir()
    return folder


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches two plugins, with a feature between them that is off."""
    events: list[str] = []
    first, second = recorders(events, "first", "second")
    monkeypatch.setattr(app, "PLUGINS", (first, lambda registry, clock: None, second))
    return events


def both(*what: str) -> list[str]:
    return [f"{who} {each}" for each in what for who in ("first", "second")]


async def test_they_are_opened_before_anything_is_restored_and_closed_in_reverse(
    zones: Path, events: list[str]
) -> None:
    async with running(settings(zones)) as it:
        assert events[:6] == both("zones", "open", "restore")
        events.clear()
        async with it.session.get(it.http + "/stats") as response:
            assert {"first", "second"} <= (await response.json()).keys()
        events.clear()
    assert events == ["second close", "first close"]


async def test_a_write_goes_through_all_who_have_a_say_in_it(zones: Path, events: list[str]) -> None:
    async with running(settings(zones)) as it:
        events.clear()
        assert await it.register() == 201
        assert events == both("admit /register", "authorize user-service", "check", "commit register", "settled")
        events.clear()
        async with it.session.post(it.http + "/heartbeat", json=REGISTRATION) as response:
            assert response.status == 200
        assert events == both("admit /heartbeat", "authorize user-service")
        events.clear()
        async with it.session.delete(it.http + "/instances/nobody") as response:
            assert response.status == 404
        assert events == both("admit /instances/nobody", "refused deregister")


async def test_look_ups_and_other_messages_come_by_them(zones: Path, events: list[str]) -> None:
    async with running(settings(zones)) as it:
        await it.register()
        events.clear()
        for expected in (both("lookup"), []):  # answered once, its answer is ready
            assert await it.ask("user-service.svc.local") == (dns.rcode.NOERROR, {"10.1.2.3"})
            assert events == expected
            events.clear()
        assert (await send(it, dns.opcode.STATUS)).rcode() == dns.rcode.NOTIMP
        assert events == both("message")


async def test_zones_that_are_read_again_are_told(zones: Path, events: list[str]) -> None:
    async with running(settings(zones)) as it:
        events.clear()
        (zones / "a.example.zone").write_text(ZONE.format(ip="10.0.0.9").replace("svc.local", "a.example"))
        await it.server.reload()
        seen = [event for event in events if event.split()[1] in ("zones", "commit")]
        assert seen[:4] == both("zones", "commit reload-zones")
        assert await it.ask("fixed.a.example") == (dns.rcode.NOERROR, {"10.0.0.9"})


async def test_a_plugin_has_routes_of_its_own(zones: Path, events: list[str]) -> None:
    async with running(settings(zones)) as it:
        await it.register()
        events.clear()
        async with it.session.get(it.http + "/second") as response:
            assert await response.json() == {"plugin": "second", "instances": 1}
        assert events == both("admit /second")


async def send(it: Running, opcode: dns.opcode.Opcode = dns.opcode.QUERY) -> dns.message.Message:
    query = dns.message.make_query("user-service.svc.local", "A")
    query.set_opcode(opcode)
    return await dns.asyncquery.udp(query, "127.0.0.1", port=it.dns_port, timeout=LIMIT)


def install(monkeypatch: pytest.MonkeyPatch, **lists: Any) -> None:
    """One plugin that is in these seams."""

    class One(Plugin):
        def install(self, seams: Seams) -> None:
            for name, one in lists.items():
                getattr(seams, name).append(one)

    monkeypatch.setattr(app, "PLUGINS", (lambda registry, clock: One(),))


async def test_a_plugin_can_answer_in_the_registrys_stead(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lookups=LookupSeam(lambda inner: lambda request, now: None))
    async with running(settings(zones)) as it:
        assert await it.register() == 201
        assert await it.ask("user-service.svc.local") == (dns.rcode.REFUSED, set())


async def test_one_that_turns_callers_away_at_the_door(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(inner: Admit) -> Admit:
        def admit(request: Request) -> Caller:
            raise Forbidden("somebody", "admin")

        return admit

    install(monkeypatch, admits=closed)
    async with running(settings(zones)) as it:
        assert await it.register() == 403
        assert len(it.server._registry) == 0


async def test_one_that_forbids_a_write(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def authorize(owner: str | None, by: Caller) -> None:
        if by is not SERVER and owner != "user-service":
            raise Forbidden(by.name, f"register:{owner}")

    install(monkeypatch, authorize=authorize)
    async with running(settings(zones)) as it:
        assert [await it.register(), await it.register(name="other")] == [201, 403]
        assert [service.name for service in it.server._registry.services.values()] == ["user-service"]


async def test_a_keeper_that_cannot_keep_anything_refuses_and_all_hear_of_it(zones: Path, events: list[str]) -> None:
    async with running(settings(zones)) as it:
        recorder = it.server._plugins[1]
        assert isinstance(recorder, Recorder)
        recorder.refuses = NotDurable("no space")
        events.clear()
        assert await it.register() == 503
        assert events[-4:] == [*both("check"), *both("refused register")]
        assert len(it.server._registry) == 0


@pytest.mark.parametrize("recurses", [False, True])
async def test_whether_names_outside_are_answered_is_said_in_each_reply(
    zones: Path, monkeypatch: pytest.MonkeyPatch, recurses: bool
) -> None:
    install(monkeypatch, recurses=lambda client: recurses)
    async with running(settings(zones)) as it:
        await it.register()
        assert bool((await send(it)).flags & dns.flags.RA) is recurses


async def test_a_responder_may_answer_what_is_no_plain_query(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def responder(inner: Respond) -> Respond:
        def respond(packet: bytes, now: float, client: str, transport: Transport) -> Any:
            status = packet[2] >> 3 & 0xF == dns.opcode.STATUS
            return packet[:2] + b"\x94\x05" + packet[4:] if status else inner(packet, now, client, transport)

        return respond

    install(monkeypatch, responders=responder)
    async with running(settings(zones)) as it:
        assert (await send(it, dns.opcode.STATUS)).rcode() == dns.rcode.REFUSED
        await it.register()
        assert (await send(it)).rcode() == dns.rcode.NOERROR

"""The composition root, really started on free ports: two faces of one table, starts that fail and leave nothing open, zone files
read again.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dns.rcode
import pytest

from discovery import app
from discovery.app import Server
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Registration
from discovery.nameserver import NameServer
from discovery.store.registration import Register
from discovery.system.background_writer import BackgroundWriter
from discovery.system.sockets import BindError
from discovery.web import Web
from tests.plugins.started import LIMIT, ZONE, Running, lives, open_sockets, recorders, running, settings


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with svc.local, which fixes `fixed`; the working folder has no `.env`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "zones"
    folder.mkdir()
    (folder / "svc.local.zone").write_text(ZONE.format(ip="10.0.0.1"))
    return folder


@pytest.fixture
def taken() -> Iterable[int]:
    """A port of 127.0.0.1 in use, TCP and UDP."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.bind(("127.0.0.1", 0))
        stream.listen()
        datagram.bind(stream.getsockname())
        yield stream.getsockname()[1]


# -- both faces


async def test_both_faces_answer_from_one_table_when_it_says_ready(zones: Path) -> None:
    async with running(settings(zones)) as it:
        assert it.lines == [f"listening {it.http}", f"listening dns://127.0.0.1:{it.dns_port}", "ready"]
        assert await it.ask("user-service.svc.local") == (dns.rcode.NXDOMAIN, set())
        assert await it.register() == 201
        assert await it.ask("user-service.svc.local") == (dns.rcode.NOERROR, {"10.1.2.3"})
        async with it.session.get(it.http + "/ready") as response:
            assert response.status == 200


async def test_a_disk_that_hangs_holds_the_end_for_no_longer_than_one_file_may(
    zones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_FILE", str(tmp_path / "audit.jsonl"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    lets_go, stored = threading.Event(), BackgroundWriter._stored
    server = Server(settings(zones))
    await server.start()
    with patch.object(BackgroundWriter, "_stored", lambda *group: (lets_go.wait(LIMIT), stored(*group))[1]):
        writing = asyncio.create_task(server._engine.submit(Register(Registration.of("web", "10.0.0.1", 80))))
        await asyncio.sleep(0.1)
        await server.stop()
        assert not lets_go.is_set()
        lets_go.set()
        await asyncio.gather(writing, return_exceptions=True)


async def test_both_faces_finish_what_is_in_hand_at_the_same_time(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting: set[str] = set()
    both = asyncio.Event()

    def meets(
        close: Callable[[Any], Coroutine[Any, Any, None]], face: str
    ) -> Callable[[Any], Coroutine[Any, Any, None]]:
        async def closes(self: Any) -> None:
            meeting.add(face)
            if len(meeting) == 2:
                both.set()
            await both.wait()
            await close(self)

        return closes

    monkeypatch.setattr(NameServer, "close", meets(NameServer.close, "DNS"))
    monkeypatch.setattr(Web, "close", meets(Web.close, "HTTP"))
    async with asyncio.timeout(LIMIT), running(settings(zones)):
        pass
    assert meeting == {"DNS", "HTTP"}


@pytest.mark.parametrize("face", [NameServer, Web])
async def test_one_that_fails_to_close_keeps_no_other_from_it(
    zones: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, face: type[NameServer | Web]
) -> None:
    close = face.close

    async def fails(self: Any) -> None:
        await close(self)
        raise OSError("no")

    monkeypatch.setattr(face, "close", fails)
    before = open_sockets()
    async with running(settings(zones)):
        pass
    assert open_sockets() == before
    assert "failed; the rest is closed all the same" in caplog.text


async def test_it_listens_on_every_address(zones: Path) -> None:
    async with running(settings(zones, host="localhost")) as it:
        http, dns_port = it.http.rpartition(":")[2], it.dns_port
        assert it.lines == [
            f"listening http://127.0.0.1:{http}",
            f"listening http://[::1]:{http}",
            f"listening dns://127.0.0.1:{dns_port}",
            f"listening dns://[::1]:{dns_port}",
            "ready",
        ]


async def test_stats_say_where_dns_is_answered(zones: Path) -> None:
    async with running(settings(zones, dns_ttl_seconds=7)) as server, server.session.get(f"{server.http}/stats") as got:
        dns = (await got.json())["dns"]
    assert dns["listening"] == [{"ip": "127.0.0.1", "port": server.dns_port}]
    assert (dns["domains"], dns["ttlSeconds"], dns["negativeTtlSeconds"]) == (["svc.local"], 7, 2)


async def test_after_stop_nothing_is_open(zones: Path) -> None:
    before = open_sockets()
    async with running(settings(zones)) as it:
        await it.register()
        await it.ask("user-service.svc.local")
    assert open_sockets() == before


async def test_a_zone_that_is_listed_twice_keeps_its_file(zones: Path) -> None:
    async with running(settings(zones, dns_domain="svc.local,SVC.local.")) as it:
        assert await it.ask("fixed.svc.local") == (dns.rcode.NOERROR, {"10.0.0.1"})


# -- starts that fail


@pytest.mark.parametrize(
    ("which", "said"), [("port", "PORT"), ("dns_port", "DNS_PORT")], ids=["http is taken", "dns is taken"]
)
async def test_a_port_in_use_leaves_nothing_open(
    zones: Path, monkeypatch: pytest.MonkeyPatch, taken: int, which: str, said: str
) -> None:
    events: list[str] = []
    monkeypatch.setattr(app, "PLUGINS", recorders(events, "first", "second"))
    before = open_sockets()
    with pytest.raises(BindError, match=f"127.0.0.1:{taken}.*{said}"):
        await Server(settings(zones, **{which: taken})).start()
    assert lives(events) == ["first open", "second open", "second close", "first close"]
    assert open_sockets() == before


async def test_a_plugin_that_cannot_open_leaves_nothing_open(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(app, "PLUGINS", recorders(events, "first", "second", failing="second"))
    before = open_sockets()
    with pytest.raises(DiscoveryError, match="second cannot open"):
        await Server(settings(zones)).start()
    assert "first close" in events
    assert open_sockets() == before


async def test_a_bad_zone_file_at_start_is_an_error_that_names_it(zones: Path) -> None:
    (zones / "svc.local.zone").write_text("this is no zone\n")
    before = open_sockets()
    with pytest.raises(DiscoveryError, match=r"svc\.local\.zone"):
        await Server(settings(zones)).start()
    assert open_sockets() == before


# -- zone files, read again


async def ready(it: Running) -> Any:
    async with it.session.get(it.http + "/ready") as response:
        assert response.status == 200
        return await response.json()


async def ready_with(it: Running, warnings: int) -> Any:
    """The list asks its parts at most every 0.1 s."""
    for _ in range(int(LIMIT / 0.05)):
        if len((content := await ready(it))["warnings"]) == warnings:
            return content
        await asyncio.sleep(0.05)
    raise AssertionError(content["warnings"])


async def test_ready_warns_of_a_bad_zone_file_with_its_line_until_it_is_mended(zones: Path) -> None:
    async with running(settings(zones)) as it:
        assert (await ready(it))["warnings"] == []
        good = (zones / "svc.local.zone").read_text()
        (zones / "svc.local.zone").write_text(good + "broken IN A no-address\u202e\n")
        await it.server.reload()
        content = await ready_with(it, 1)
        assert (content["ready"], content["notReady"]) == (True, {})
        [warning] = content["warnings"]
        assert (warning["code"], warning["severity"], warning["count"]) == ("zones_failed", "warning", 1)
        assert warning["see"] == "discovery/docs/troubleshooting.md#zones_failed"
        assert f"{zones}/svc.local.zone: line 7: " in warning["text"]
        assert "'broken IN A no-address\\u202e'" in warning["text"], "the line's text, with nothing raw in it"
        assert "what was read before stays in use" in warning["text"]
        assert await metric(it, r'discovery_warning\{code="zones_failed",severity="warning"\}') == ["1.0"]
        [failed] = await metric(it, "discovery_zones_failed_reloads_total")
        assert float(failed) >= 1
        (zones / "svc.local.zone").write_text(good)
        await it.server.reload()
        await ready_with(it, 0)
        assert await metric(it, "discovery_zones_failed_reloads_total") >= [failed], "a counter does not go back"


async def metric(it: Running, name: str) -> list[str]:
    async with it.session.get(it.http + "/metrics") as response:
        return re.findall(rf"^{name} (\S+)$", await response.text(), re.M)


async def test_a_folder_of_zone_files_that_is_not_there_is_told_at_the_start(
    zones: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing = zones.parent / "missing"
    async with asyncio.timeout(LIMIT), running(settings(missing)):
        while f"ZONES_DIR: there is no folder {missing}, so there are no fixed records" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


# -- who may do what without a token


async def test_without_tokens_only_this_machine_may_clear_and_not_through_a_proxy(zones: Path) -> None:
    async with running(settings(zones)) as it:
        await it.register()
        for header in ("X-Forwarded-For", "Forwarded"):
            async with it.session.post(it.http + "/admin/clear", headers={header: "for=192.0.2.1"}) as response:
                assert response.status == 403
                assert "set API_TOKEN or TOKENS_FILE" in (await response.json())["message"]
        assert await it.ask("user-service.svc.local") == (dns.rcode.NOERROR, {"10.1.2.3"})
        async with it.session.post(it.http + "/admin/clear") as response:
            assert (response.status, (await response.json())["instancesRemoved"]) == (200, 1)


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        (
            {"host": "0.0.0.0", "allow_anonymous": "true"},
            "0.0.0.0 can register, change, drain and deregister every instance of every service",
        ),
        (
            {"host": "127.0.0.1", "dns_host": "0.0.0.0", "allow_anonymous": "true"},
            "0.0.0.0 can look up every name over DNS",
        ),
        ({"host": "127.0.0.1", "allow_anonymous": "true"}, None),
    ],
    ids=["open to others", "DNS is open to others", "this machine alone"],
)
def test_whoever_lets_strangers_in_is_told_what_is_open(
    zones: Path, caplog: pytest.LogCaptureFixture, given: dict[str, str], warned: str | None
) -> None:
    Server(settings(zones, **given))
    said = [record.getMessage() for record in caplog.records if "ALLOW_ANONYMOUS" in record.getMessage()]
    assert len(said) == (warned is not None)
    if warned is not None:
        assert warned in said[0]
        assert "API_TOKEN or TOKENS_FILE" in said[0]


def test_only_origins_that_were_set_get_credentials(zones: Path) -> None:
    assert not settings(zones).sets_origins
    assert settings(zones, allowed_origins="http://localhost:3000").sets_origins


async def test_reload_serves_the_new_file(zones: Path) -> None:
    async with running(settings(zones)) as it:
        assert await it.ask("fixed.svc.local") == (dns.rcode.NOERROR, {"10.0.0.1"})
        assert await it.register(name="fixed") == 409
        (zones / "svc.local.zone").write_text(ZONE.format(ip="10.0.0.2").replace("fixed", "other"))
        await it.server.reload()
        assert await it.ask("other.svc.local") == (dns.rcode.NOERROR, {"10.0.0.2"})
        assert await it.register(name="fixed") == 201
        assert await it.register(name="other") == 409


@pytest.mark.parametrize(
    "bad",
    [b"this is no zone\n", b"", b"\xff\xfe\0", ZONE.format(ip="no-ip").encode(), b"@ IN A 10.0.0.1\n"],
    ids=["words", "empty", "binary", "bad-address", "no-soa"],
)
async def test_a_bad_file_at_reload_keeps_every_zone(zones: Path, bad: bytes) -> None:
    async with running(settings(zones)) as it:
        (zones / "a.example.zone").write_text(ZONE.format(ip="10.0.0.9").replace("svc.local", "a.example"))
        (zones / "svc.local.zone").write_bytes(bad)
        await it.server.reload()
        warnings = (await ready_with(it, 1))["warnings"]
        assert [each["code"] for each in warnings] == ["zones_failed"]
        assert "svc.local.zone" in warnings[0]["text"]
        assert await it.ask("fixed.svc.local") == (dns.rcode.NOERROR, {"10.0.0.1"})
        assert await it.register(name="fixed") == 409
        assert (await it.ask("fixed.a.example"))[0] == dns.rcode.REFUSED, "no part of a set that failed is served"
        await it.register()
        assert await it.ask("user-service.svc.local") == (dns.rcode.NOERROR, {"10.1.2.3"})

"""The composition root, really started on free ports: two faces of one table, starts that fail and leave nothing open, zone files
read again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

from discovery import app
from discovery.app import Server
from discovery.core.errors import DiscoveryError
from discovery.nameserver import NameServer
from discovery.system.sockets import BindError
from discovery.web import Web
from tests.plugins.started import LIMIT, ZONE, lives, open_sockets, recorders, running, settings


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
async def test_a_bad_file_at_reload_keeps_every_zone(zones: Path, caplog: pytest.LogCaptureFixture, bad: bytes) -> None:
    async with running(settings(zones)) as it:
        (zones / "a.example.zone").write_text(ZONE.format(ip="10.0.0.9").replace("svc.local", "a.example"))
        (zones / "svc.local.zone").write_bytes(bad)
        await it.server.reload()
        assert [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert "svc.local.zone" in caplog.text
        assert await it.ask("fixed.svc.local") == (dns.rcode.NOERROR, {"10.0.0.1"})
        assert await it.register(name="fixed") == 409
        assert (await it.ask("fixed.a.example"))[0] == dns.rcode.REFUSED, "no part of a set that failed is served"
        await it.register()
        assert await it.ask("user-service.svc.local") == (dns.rcode.NOERROR, {"10.1.2.3"})

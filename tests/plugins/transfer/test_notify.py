"""NOTIFY to a socket that stands for a secondary: what is told, when, how often, and what is made of no answer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from discovery.plugins.transfer import Transfer, notify
from discovery.plugins.transfer.settings import Secondary
from tests.dns.sockets import LIMIT
from tests.dns.world import World, load
from tests.plugins.transfer.primary import FILE, key
from tests.waiting import until


class Listening:
    """A secondary's socket, and the primary's world and plugin."""

    def __init__(self, world: World, plugin: Transfer, sock: socket.socket) -> None:
        self.world = world
        self.plugin = plugin
        self._sock = sock

    async def told(
        self,
        answer: bool = True,
        rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
        signed: bool = True,
        tsig_error: dns.rcode.Rcode | None = None,
    ) -> dns.message.Message:
        """The next NOTIFY, its signature verified."""
        loop = asyncio.get_running_loop()
        packet, client = await asyncio.wait_for(loop.sock_recvfrom(self._sock, 4096), LIMIT)
        message = dns.message.from_wire(packet, keyring=key())
        assert message.had_tsig
        if answer:
            reply = dns.message.make_response(message)
            reply.set_rcode(rcode)
            if not signed:
                reply.tsig = None
            elif tsig_error is not None:
                reply.use_tsig(key(), tsig_error=tsig_error)
            await loop.sock_sendto(self._sock, reply.to_wire(), client)
        return message

    def quiet(self) -> bool:
        try:
            self._sock.recv(4096)
        except BlockingIOError:
            return True
        return False


@asynccontextmanager
async def listening(folder: Path, fixed: dict[str, str] | None = None) -> AsyncIterator[Listening]:
    world = World(fixed=fixed or {})
    path = folder / "keys.conf"
    path.write_text(FILE)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        plugin = Transfer(path, (), [Secondary(*sock.getsockname())], (), world.registry, lambda: 0.0, time.time)
        world.registry.index_followers.append(plugin.follow_index)
        plugin.follow(world.catalog.zones)
        await plugin.open(None)  # type: ignore[arg-type]
        try:
            yield Listening(world, plugin, sock)
        finally:
            await plugin.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "GATHER_SECONDS", 0.02)
    monkeypatch.setattr(notify, "RETRY_SECONDS", 60.0)  # a secondary that gets no core for a while is told once


@pytest.fixture(name="impatient")
def _impatient(_quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "RETRY_SECONDS", 0.05)


def serial(message: dns.message.Message) -> int:
    [soa] = message.answer
    assert soa.rdtype == dns.rdatatype.SOA
    value: int = soa[0].serial
    return value


async def test_rfc1996_3_7_every_zone_is_told_of_with_its_serial(tmp_path: Path) -> None:
    async with listening(tmp_path, {"legacy.example": ""}) as secondary:
        messages = [await secondary.told() for _ in range(2)]
        assert {message.question[0].name.to_text() for message in messages} == {"svc.local.", "legacy.example."}
        for message in messages:
            assert message.opcode() == dns.opcode.NOTIFY
            assert message.flags & dns.flags.AA
            assert message.question[0].rdtype == dns.rdatatype.SOA
            assert serial(message) == secondary.world.registry.index


@pytest.mark.parametrize(
    ("secondary", "addresses", "source"),
    [
        ("10.0.0.53", ["10.0.0.1", "10.0.0.2"], "10.0.0.1"),
        ("10.0.0.53", ["127.0.0.1", "::1", "10.0.0.2"], "10.0.0.2"),
        ("10.0.0.53", ["0.0.0.0"], None),
        ("10.0.0.53", ["127.0.0.1"], None),
        ("127.0.0.1", ["127.0.0.3"], "127.0.0.3"),
        ("2001:db8::53", ["10.0.0.1", "2001:db8::1"], "2001:db8::1"),
        ("2001:db8::53", ["10.0.0.1", "::"], None),
        ("10.0.0.53", [], None),
    ],
)
def test_a_secondary_is_told_from_the_address_that_it_asks(
    secondary: str, addresses: list[str], source: str | None
) -> None:
    assert notify.source_for(secondary, addresses) == source


async def test_a_change_is_told_soon_and_many_are_told_together(tmp_path: Path) -> None:
    async with listening(tmp_path) as secondary:
        first = serial(await secondary.told())
        for number in range(500):
            secondary.world.add("web", "10.0.0.1", 1 + number)
        told = [await secondary.told()]
        while serial(told[-1]) < first + 500:
            told.append(await secondary.told())
        assert len(told) <= 2
        await asyncio.sleep(0.1)
        assert secondary.quiet()


async def test_zones_read_anew_are_told(tmp_path: Path) -> None:
    async with listening(tmp_path) as secondary:
        await secondary.told()
        await asyncio.sleep(0.1)
        assert secondary.quiet(), "nothing has changed"
        secondary.world.reload(load({"svc.local": "new IN A 192.0.2.2\n"})[0])
        secondary.plugin.follow(secondary.world.catalog.zones)
        assert serial(await secondary.told()) == secondary.world.registry.index


@pytest.mark.usefixtures("impatient")
async def test_who_does_not_answer_is_told_again_and_then_left_alone_and_warned_of_until_it_answers(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path) as secondary:
        for name in ("10.0.0.1", "10.0.0.2"):
            told = [await secondary.told(answer=False) for _ in range(notify.TRIES)]
            assert len({message.id for message in told}) == 1
            await until(lambda: "(no reply)" in warned(secondary.plugin))
            assert secondary.quiet()
            secondary.world.add("web", name)
        assert serial(await secondary.told()) == secondary.world.registry.index
        await until(lambda: not warned(secondary.plugin))


async def test_who_refuses_is_warned_of(tmp_path: Path) -> None:
    async with listening(tmp_path) as secondary:
        await secondary.told(rcode=dns.rcode.REFUSED)
        await until(lambda: "(it answers REFUSED)" in warned(secondary.plugin))


@pytest.mark.parametrize(("rcode", "tsig_error", "said"), [
    (dns.rcode.REFUSED, None, "its answer cannot be used: response requires a TSIG"),
    (dns.rcode.NOTAUTH, dns.rcode.BADKEY, "it answers NOTAUTH"),
    (dns.rcode.NOTAUTH, dns.rcode.BADTIME, "it answers NOTAUTH"),
])  # fmt: skip
async def test_what_is_wrong_with_a_key_is_said(
    tmp_path: Path, rcode: dns.rcode.Rcode, tsig_error: dns.rcode.Rcode | None, said: str
) -> None:
    async with listening(tmp_path) as secondary:
        await secondary.told(rcode=rcode, tsig_error=tsig_error, signed=tsig_error is not None)
        await until(lambda: said in warned(secondary.plugin))


@pytest.mark.usefixtures("impatient")
async def test_nobody_at_the_port_is_no_failure(tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        nobody = Secondary(*sock.getsockname())
    path = tmp_path / "keys.conf"
    path.write_text(FILE)
    world = World()
    plugin = Transfer(path, (), [nobody], (), world.registry, lambda: 0.0, time.time)
    plugin.follow(world.catalog.zones)
    await plugin.open(None)  # type: ignore[arg-type]
    await until(lambda: f"the secondary {nobody} does not take NOTIFY" in warned(plugin))
    await plugin.close()


def warned(plugin: Transfer) -> str:
    return " ".join(filter(None, (each.warning() for each in plugin._notifiers)))

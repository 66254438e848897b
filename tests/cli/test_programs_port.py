"""How `discovery run` finds out that its program's port is open, and whose it is."""

from __future__ import annotations

import asyncio
import socket

import pytest

from discovery.cli import program
from discovery.cli.program import ProgramsPort
from tests.client.servers import nobody
from tests.ports import free_port


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WARN_AFTER", 0.02)


async def said(port: ProgramsPort, caplog: pytest.LogCaptureFixture) -> str:
    """The first that is said while the port does not answer."""
    waiting = asyncio.create_task(port.answering())
    async with asyncio.timeout(60):
        while not caplog.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()
    return caplog.messages[0]


async def test_it_is_waited_until_the_port_answers() -> None:
    number = free_port()
    waiting = asyncio.create_task(ProgramsPort(number, "127.0.0.1").answering())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    with socket.create_server(("127.0.0.1", number)):
        await asyncio.wait_for(waiting, 60)


async def test_a_port_that_does_not_answer_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    number = free_port()
    told = await said(ProgramsPort(number, "127.0.0.1"), caplog)
    assert f"port {number} does not answer at 127.0.0.1; the program runs, and is not registered" in told


async def test_a_program_that_listens_on_loopback_alone_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        told = await said(ProgramsPort(number, "127.0.0.2"), caplog)
    assert f"port {number} answers on loopback but not at 127.0.0.2, which would be registered" in told


async def test_a_registry_that_is_away_is_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOVERY_URL", nobody())
    assert "no registry answers" in await said(ProgramsPort(free_port(), None), caplog)

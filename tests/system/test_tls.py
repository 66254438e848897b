"""The TLS listener when there is no room for a connection."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any, cast

import pytest

from discovery.system import tls
from discovery.system.sockets import STREAM, bind


class Full:
    """A listening socket whose accept() fails for so many times; it counts them."""

    def __init__(self, sock: socket.socket, failures: int, number: int) -> None:
        self._sock = sock
        self._failures = failures
        self._number = number
        self.asked = 0

    def accept(self) -> Any:
        self.asked += 1
        if self.asked <= self._failures:
            raise OSError(self._number, "there is no room")
        return self._sock.accept()

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_without_room_it_waits_instead_of_spinning_and_goes_on_later(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "_PAUSE_SECONDS", 0.05)
    [sock] = bind(["127.0.0.1"], 0, [STREAM], "PORT")
    full = Full(sock, 2, number)
    begun = asyncio.Event()

    class Listener(tls.TlsListener):
        def _begin(self, connection: socket.socket, address: str) -> None:
            connection.close()
            begun.set()

    listener = Listener(cast("socket.socket", full), cast("tls.Tls", None), asyncio.Protocol)
    try:
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        for _ in range(20):
            await asyncio.sleep(0)
        assert full.asked == 1
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "no room" in caplog.text
        await asyncio.wait_for(begun.wait(), 5)
        assert full.asked >= 3
        writer.close()
        del reader
    finally:
        listener.close()
        await listener.wait_closed()

"""`discovery serve`: settings, log, event loop, signals; the server itself is `app`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from discovery.app import Server
from discovery.cli import logs
from discovery.settings import Settings

_log = logging.getLogger("discovery")


def run() -> int:
    settings = Settings.read()
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    server = Server(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGINT, stop.set)
        loop.add_signal_handler(signal.SIGHUP, server.reload)
    for line in await server.start():
        print(line, flush=True)
    try:
        await stop.wait()
        _log.info("stopping")
    finally:
        await server.stop()


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.Loop

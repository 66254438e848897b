"""The server's process: settings, log, event loop, signals; the server itself is `app`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket

import uvloop

from discovery import __version__
from discovery.app import Server
from discovery.cli import gc_tuning, logs
from discovery.core.errors import reason_of
from discovery.settings import Settings
from discovery.system.limits import raise_open_files

_log = logging.getLogger("discovery")


def run() -> None:
    """Until it is told to stop."""
    settings = Settings.read()
    logs.configure(settings.log_level, settings.log_format)
    raise_open_files()
    with asyncio.Runner(loop_factory=uvloop.Loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    _log.info(
        "discovery %(version)s starts, environment %(environment)s",
        {"event": "server.starting", "version": __version__, "environment": settings.environment},
    )
    server = Server(settings)
    stop = asyncio.Event()
    server.on_failure = stop.set
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    gc_tuning.tune()  # before a large table is restored
    server.followers.append(gc_tuning.EventCollector().follow_commit)
    for line in await server.start():
        print(line, flush=True)
    notify("READY=1")
    try:
        await stop.wait()
        _log.info("stopping", {"event": "server.stopping"})
        notify("STOPPING=1")
    finally:
        await server.stop()
    if server.failure is not None:
        raise server.failure


def notify(state: str) -> None:
    """What systemd wants to hear of a service of Type=notify (sd_notify(3)). Nothing, where it did not start us."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state.encode(), "\0" + where[1:] if where.startswith("@") else where)
    except OSError as error:
        _log.warning(
            "systemd cannot be told %(state)s: %(reason)s",
            {"event": "systemd.not_told", "state": state, "reason": reason_of(error)},
        )

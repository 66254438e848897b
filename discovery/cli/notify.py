"""What systemd wants to hear of a service of Type=notify (sd_notify(3)): READY=1, STOPPING=1. Nothing, where it did not start us."""

from __future__ import annotations

import logging
import os
import socket
import sys

from discovery.core.log_fields import fields

_log = logging.getLogger("discovery")


def notify(state: str) -> None:
    where = os.environ.get("NOTIFY_SOCKET", "")
    if sys.platform == "win32" or not where:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state.encode(), "\0" + where[1:] if where.startswith("@") else where)
    except OSError as error:
        _log.warning(
            "systemd cannot be told %s: %s",
            state,
            error.strerror or error,
            extra=fields("systemd.not_told", state=state),
        )

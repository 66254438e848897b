"""`discovery serve`: the server, with settings on its command line. Without, `main` calls `server.run` itself."""

from __future__ import annotations

from discovery.cli import server
from discovery.cli.flags import Flags


def serve(*, flags: Flags | None = None) -> None:
    (flags or Flags()).put()
    server.run()

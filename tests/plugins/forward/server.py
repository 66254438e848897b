"""The whole process with the plugin, and dig as a stub resolver before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.plugins.forward.upstream import FakeUpstream
from tests.stories.dig import Dug, dig
from tests.stories.process import Discovery, running

SHOP = "shop.svc.local"
WWW = "www.example.com"


@contextmanager
def forwarding(fakes: list[FakeUpstream], **settings: Any) -> Iterator[Discovery]:
    to = ",".join(str(fake.address) for fake in fakes)
    patient = {"HEARTBEAT_TIMEOUT_SECONDS": 3600, "FORWARD_TIMEOUT_SECONDS": 30}
    with running(**patient | {"FORWARD_TO": to} | settings) as server:
        server.register("shop", "10.0.0.1")
        yield server
        assert "Traceback" not in "\n".join(server.log)


def resolve(server: Discovery, *arguments: str) -> Dug:
    """dig with RD, as a stub resolver asks."""
    return dig(server, "+recurse", *arguments)

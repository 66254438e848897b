"""One server for all stories here that only ask, with what there is to ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stories.process import Discovery, running, until

ZONE = """$TTL 60
@ IN SOA ns hostmaster 0 60 10 604800 2
@ IN NS ns
ns IN A 127.0.0.1
"""
# Instances of `gone`, none of which is healthy.
GONE = 4


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    """Three zones, one with a file, and services in them."""
    folder = tmp_path_factory.mktemp("zones")
    (folder / "svc.local.zone").write_text(ZONE)
    settings: dict[str, Any] = {
        "HEARTBEAT_TIMEOUT_SECONDS": 3600,
        "CLEANUP_INTERVAL_SECONDS": 3600,
        "BRAKE_PERCENT": 0,  # `gone` is gone, not suspect
        "DNS_SERVER_ID": "node-7",
    }
    with running(ZONES_DIR=str(folder), DNS_DOMAIN="svc.local,legacy.example,consul", **settings) as server:
        _register(server)
        yield server
        assert "Traceback" not in "\n".join(server.log)


def _register(server: Discovery) -> None:
    for number in range(GONE):
        server.register("gone", f"10.9.0.{number + 1}", 80, ttl=1)
    server.register(
        "shop", "10.0.0.1", 8080, tags=["blue"], ports={"https": 8443, "metrics": 9100}, zone="eu-1",
        metadata={"version": "1.0", "equals": "a=b"},
    )  # fmt: skip
    server.register("shop", "10.0.0.2", 8080, tags=["green"], metadata={"version": "2.0"})
    server.register("shop", "2001:db8::1", 8080, tags=["blue"])
    server.register("admin", "10.0.0.1", 9000)
    server.register("admin", "10.0.0.1", 9001)
    server.register("admin", "2001:db8::1", 9000)
    server.register("syslog", "10.0.0.9", 514, protocol="udp")
    server.register("web", "10.0.0.20", 80, metadata={"scheme": "http"})
    server.register("only4", "10.0.0.30", 80)
    server.register("only6", "2001:db8::30", 80)
    until(lambda: not server.ask("gone.svc.local").answer)

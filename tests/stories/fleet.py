"""The instances that the DNS stories ask for: two IPv4 and one IPv6 of one service, one of another over UDP."""

from __future__ import annotations

from tests.stories.process import Discovery

SRV_1 = "0 30 3001 ip-10-0-0-1-p3001.user-service.svc.local."
SRV_2 = "0 30 3002 ip-10-0-0-2-p3002.user-service.svc.local."
SRV_6 = "0 30 3001 ip-2001-db8--1-p3001.user-service.svc.local."
# The SRV targets' addresses, as dig shows them.
AT_1 = "ip-10-0-0-1-p3001.user-service.svc.local. 10.0.0.1"
AT_2 = "ip-10-0-0-2-p3002.user-service.svc.local. 10.0.0.2"
AT_6 = "ip-2001-db8--1-p3001.user-service.svc.local. 2001:db8::1"


def register_fleet(server: Discovery) -> None:
    common = {"priority": 0, "weight": 30}
    server.register(
        "user-service", "10.0.0.1", 3001, tags=["blue"], ports={"metrics": 9100}, zone="eu-1",
        metadata={"version": "1.0.0"}, **common,
    )  # fmt: skip
    server.register("user-service", "10.0.0.2", 3002, tags=["green"], zone="eu-2", metadata={"slot": 2}, **common)
    server.register("user-service", "2001:db8::1", 3001, tags=["blue"], zone="eu-1", **common)
    server.register("syslog", "10.0.0.9", 514, protocol="udp", **common)

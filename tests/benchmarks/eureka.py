"""Eureka's face: lists of 600 instances for each second of the processor, plain and in gzip; a renewal against a heartbeat; DNS while
20,000 are listed.

python -m tests.benchmarks.eureka

The real server (4.3.0) on the same core gave the list of 600 to 980 clients a second, in gzip to 8,545.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from typing import Any

from tests.benchmarks import report
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.benchmarks.wrk import wrk
from tests.plugins.eureka.house import sent
from tests.stories.process import Discovery, running
from tests.stories.standards.memory import processor

SECONDS, CONNECTIONS, QUERIES = 3, 16, 1000
LISTS, MAX_MS = 5_000, 25
_URLS: dict[str, Any] = {"homePageUrl": "http://10.0.0.1:8080/", "statusPageUrl": "http://10.0.0.1:8080/info"}


def server(**more: Any) -> Any:
    settings = {
        "EUREKA": "true",
        "LOG_LEVEL": "warning",
        "REGISTERS_PER_SECOND": 0,
        "HEARTBEAT_TIMEOUT_SECONDS": 3600,
        **more,
    }
    return running(prefix=["taskset", "-c", SERVER_CORE], **settings)


def fill(at: Discovery, apps: int, each: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", at.port)
    for number in range(apps * each):
        app, ip = f"APP-{number // each}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        body = sent(f"i{number}", app, ip, leaseInfo={"durationInSecs": 3600}, **_URLS)
        client.request("POST", f"/eureka/apps/{app}", json.dumps(body), {"Content-Type": "application/json"})
        reply = client.getresponse()
        assert (reply.status, reply.read()) == (204, b"")


def per_second(at: Discovery, script: str) -> float:
    """Answers for each second of the server's processor: that says something on a busy machine too."""
    before = processor(at.process.pid)
    requests = wrk(at.port, script, CONNECTIONS, SECONDS).requests
    return requests / (processor(at.process.pid) - before)


def get(*headers: str) -> str:
    lines = "".join(
        f'wrk.headers["{name}"] = "{value}"\n' for name, value in zip(headers[::2], headers[1::2], strict=True)
    )
    return f'wrk.path = "/eureka/apps/"\nwrk.headers["Accept"] = "application/json"\n{lines}'


RENEW = 'wrk.method = "PUT"\nwrk.path = "/eureka/apps/APP-0/i0?status=UP&lastDirtyTimestamp=1"\nwrk.headers["Content-Length"] = "0"'
BEAT = (
    'wrk.method = "POST"\nwrk.path = "/heartbeat"\nwrk.headers["Content-Type"] = "application/json"\n'
    'wrk.body = \'{"name":"app-0","ip":"10.0.0.0","port":8080}\''
)


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    report.machine()
    with server() as small:
        fill(small, 200, 3)
        for title, script in (("plain", get()), ("gzip", get("Accept-Encoding", "gzip"))):
            report.at_least(f"GET /eureka/apps of 600, {title}", per_second(small, script), LISTS, "/s")
        rates = [per_second(small, script) for script in (BEAT, RENEW, BEAT, RENEW)]
        ratio = (rates[1] + rates[3]) / (rates[0] + rates[2])
        note = f"{rates[1]:,.0f} and {rates[0]:,.0f} a second of the processor"
        report.at_least("renewals for each heartbeat", ratio, 1 / 1.5, note=note)
    with server() as large:
        fill(large, 100, 200)
        for coding in ("identity", "gzip", "gzip"):
            with probing(large.dns_port, ["app-1.svc.local"], QUERIES) as probe:
                began = time.monotonic()
                client = http.client.HTTPConnection("127.0.0.1", large.port)
                client.request("GET", "/eureka/apps", headers={"Accept": "application/json", "Accept-Encoding": coding})
                octets = len(client.getresponse().read())
                took = time.monotonic() - began
            note = f"{octets:,} octets in {took * 1000:.0f} ms, p99 {probe.latencies.ms(99):.1f}"
            report.at_most(f"DNS while 20,000 are listed, {coding}", probe.latencies.worst, MAX_MS, "ms", note)


if __name__ == "__main__":
    main()

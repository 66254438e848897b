"""Writes over HTTP: requests a second, and the CPU time of the server for one, its threads included."""

from __future__ import annotations

import http.client
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.write_path.checkout import Checkout
from tests.benchmarks.wrk import wrk
from tests.stories.process import Discovery

SECONDS = 4
CONNECTIONS = 32
SERVICES, INSTANCES = 200, 3
BATCH, BATCHES = 1000, 30

_HEARTBEAT = f"""
local n = 0
request = function()
  n = n + 1
  local s, i = n % {SERVICES}, n % {INSTANCES}
  local ip = string.format("10.%d.%d.%d", math.floor(s / 256), s % 256, i + 1)
  local body = string.format('{{"name":"s%d","ip":"%s","port":%d}}', s, ip, 3000 + i)
  return wrk.format("POST", "/heartbeat", {{["Content-Type"] = "application/json"}}, body)
end
"""
# All new ones, in services of ten.
_REGISTER = """
local n = 0
request = function()
  n = n + 1
  local s = math.floor(n / 10)
  local ip = string.format("10.%d.%d.%d", math.floor(n / 65536), math.floor(n / 256) % 256, n % 256)
  local body = string.format('{"name":"r%d","ip":"%s","port":3000,"metadata":{"version":"1.0.0"}}', s, ip)
  return wrk.format("POST", "/register", {["Content-Type"] = "application/json"}, body)
end
"""


class Cost(NamedTuple):
    """`cpu`: microseconds of one."""

    a_second: float
    cpu: float


def heartbeats(checkout: Checkout) -> Cost:
    with checkout.serving({}) as server:
        register(server.port, fleet(SERVICES, INSTANCES))
        return _load(server, _HEARTBEAT)


def registrations(checkout: Checkout) -> Cost:
    """With the journal."""
    with tempfile.TemporaryDirectory() as data, checkout.serving(_lasting(data)) as server:
        return _load(server, _REGISTER)


def batches(checkout: Checkout, connections: int) -> Cost:
    """POST /registrations of 1,000, with the journal. Of one instance."""
    bodies = [_body(number) for number in range(BATCHES * connections)]
    with tempfile.TemporaryDirectory() as data, checkout.serving(_lasting(data)) as server:
        used, started = _cpu(server), time.perf_counter()
        with ThreadPoolExecutor(connections) as clients:
            parts = [bodies[number::connections] for number in range(connections)]
            list(clients.map(lambda part: _send(server.port, part), parts))
        seconds, instances = time.perf_counter() - started, len(bodies) * BATCH
        return Cost(instances / seconds, (_cpu(server) - used) * 1e6 / instances)


def _lasting(data: str) -> dict[str, str | int]:
    return {"DATA_DIR": data, "HEARTBEAT_TIMEOUT_SECONDS": 600}


def _load(server: Discovery, lua: str) -> Cost:
    used = _cpu(server)
    run = wrk(server.port, lua, CONNECTIONS, SECONDS)
    return Cost(run.a_second, (_cpu(server) - used) * 1e6 / run.requests)


def _body(number: int) -> bytes:
    items = [
        {
            "name": f"b{number}-{item // 10}",
            "ip": f"10.{number}.{item >> 8}.{item & 255}",
            "port": 3000 + item % 10,
            "metadata": {"version": "1.0.0"},
        }
        for item in range(BATCH)
    ]
    return json.dumps({"instances": items}).encode()


def _send(port: int, bodies: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", "/registrations", body, {"Content-Type": "application/json"})
        reply = connection.getresponse().read()
        assert reply.startswith(b'{"registered":%d,' % BATCH), reply[:200]
    connection.close()


def _cpu(server: Discovery) -> float:
    """Seconds."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""HTTP requests a second against Express 5 on Node with the same routes, each on one core, under the same wrk.

npm install --prefix tests/benchmarks/express --no-package-lock
python -m tests.benchmarks.http_throughput [rounds]
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import rivals
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.isolation import enter, program
from tests.stories.process import running

EXPRESS_PORT = 5601
SECONDS = 5
CONNECTIONS = 32
SERVICES, INSTANCES = 200, 3

# wrk speaks Lua: each request beats, or resolves, another of the services.
HEARTBEAT = """
local n = 0
request = function()
  n = n + 1
  local s, i = n % SERVICES, n % INSTANCES
  local ip = string.format("10.%d.%d.%d", math.floor(s / 256), s % 256, i + 1)
  local body = string.format('{"name":"s%d","ip":"%s","port":%d}', s, ip, 3000 + i)
  return wrk.format("POST", "/heartbeat", {["Content-Type"] = "application/json"}, body)
end
"""
# On each connection first a registration and a list, which is answered another way; then it beats.
_AFTER_A_LIST = (
    HEARTBEAT.replace("request = function()", "beat = function()")
    + """
local sent = 0
request = function()
  sent = sent + 1
  if sent <= CONNECTIONS then
    local body = string.format('{"name":"new","ip":"10.9.9.%d","port":80}', sent)
    return wrk.format("POST", "/register", {["Content-Type"] = "application/json"}, body)
  end
  if sent <= 2 * CONNECTIONS then
    return wrk.format("GET", "/services")
  end
  return beat()
end
"""
)
_RESOLVE = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/resolve/s" .. n % SERVICES)
end
"""


class Route(NamedTuple):
    title: str
    script: str
    target: float


ROUTES = [
    Route("POST /heartbeat", HEARTBEAT, 8.5),
    Route("register, list, then POST /heartbeat", _AFTER_A_LIST, 8.5),
    Route("GET /resolve/NAME, 3 instances", _RESOLVE, 5.0),
]


def main() -> None:
    enter()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        with _express() as port:
            theirs = [_median(rounds, f"Express 5  {route.title}", port, route, Path(folder)) for route in ROUTES]
        prefix = ["taskset", "-c", rivals.SERVER_CORE]
        with running(
            prefix=prefix, LOG_LEVEL="warning", REGISTERS_PER_SECOND=0, MAX_INSTANCES_PER_SERVICE=100
        ) as server:
            register(server.port, fleet(SERVICES, INSTANCES))
            ours = [_median(rounds, f"discovery  {route.title}", server.port, route, Path(folder)) for route in ROUTES]
    print()
    for route, our, their in zip(ROUTES, ours, theirs, strict=True):
        print(f"{our / their:6.2f}  {route.title}, times Express (target {route.target:g})")


@contextmanager
def _express() -> Iterator[int]:
    script = Path(__file__).parent / "express" / "server.js"
    command = ["taskset", "-c", rivals.SERVER_CORE, program("node"), str(script), str(EXPRESS_PORT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        register(EXPRESS_PORT, fleet(SERVICES, INSTANCES))
        yield EXPRESS_PORT
    finally:
        process.terminate()
        process.wait(10)


def _median(rounds: int, title: str, port: int, route: Route, folder: Path) -> float:
    script = folder / "route.lua"
    script.write_text(lua(route.script))
    runs = [_wrk(port, script) for _ in range(rounds)]
    median = statistics.median(runs)
    print(f"{title:44} {median:9,.0f} requests/s   ({', '.join(f'{run:,.0f}' for run in runs)})", flush=True)
    return median


def lua(script: str) -> str:
    """With the numbers in it."""
    for name, value in {"SERVICES": SERVICES, "INSTANCES": INSTANCES, "CONNECTIONS": CONNECTIONS}.items():
        script = script.replace(name, str(value))
    return script


def _wrk(port: int, script: Path) -> float:
    command = ["taskset", "-c", rivals.CLIENT_CORE, program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
    command += ["-s", str(script), f"http://127.0.0.1:{port}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    match = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert match, output
    return float(match[1])


if __name__ == "__main__":
    main()

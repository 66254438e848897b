"""wrk on the clients' core: what it reports of one run."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.isolation import program
from tests.benchmarks.rivals import CLIENT_CORE


class Run(NamedTuple):
    requests: int
    a_second: float


def wrk(port: int, lua: str, connections: int, seconds: int) -> Run:
    """All answers must be 2xx. `lua`: the script that makes the requests."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "requests.lua"
        script.write_text(lua)
        command = ["taskset", "-c", CLIENT_CORE, program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    total = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert total, output
    assert rate, output
    return Run(int(total[1]), float(rate[1]))

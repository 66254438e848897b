"""docs/cluster.md: the three nodes that it starts on one machine are started, on other ports, and do what the page says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import discovery
from tests.engines.etcd.cluster import free_port
from tests.programs import program

PAGE = Path(discovery.__file__).parent / "docs" / "cluster.md"
# Seconds, on a busy machine.
LIMIT = 60


def test_three_nodes_are_started_found_and_one_is_killed(tmp_path: Path) -> None:
    [script] = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.S)
    # The page's ports end with the number of the node: each such family becomes free ports.
    for family in ("238", "237", "310", "860"):
        ports = {number: free_port() for number in "123"}
        for number, port in ports.items():
            script = script.replace(f"{family}{number}", str(port))
        chosen = f"$(case ${{n%:*}} in 1) echo {ports['1']};; 2) echo {ports['2']};; 3) echo {ports['3']};; esac)"
        script = script.replace(f"{family}${{n%:*}}", chosen)
    path = os.pathsep.join({str(Path(sys.executable).parent), str(Path(program("etcd")).parent), os.environ["PATH"]})
    with subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={"PATH": path, "HOME": str(tmp_path)}, start_new_session=True,
    ) as shell:  # fmt: skip
        try:
            assert shell.wait(LIMIT) == 0
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
        assert shell.stdout is not None
        printed = shell.stdout.read()
    lines = [line for line in printed.splitlines() if not line.startswith(("listening", "ready"))]
    assert lines[:3] == ["10.0.0.1"] * 3, lines
    assert lines[-3:] == ["10.0.0.1"] * 3
    assert any("MAX_INSTANCES_PER_SERVICE was 10 and is 50 for all nodes" in line for line in lines)
    assert sorted(line[:2] for line in lines if re.match("[abc]-", line)) == ["a-", "b-", "c-"]

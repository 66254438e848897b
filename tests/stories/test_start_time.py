"""How long the server takes to start: at most 0.3 s, or 1.5 times what the interpreter, aiohttp and pydantic take to be imported, whichever
is more. In seconds of processor, so that what else this machine does is not counted.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from tests.stories.process import ROOT, running_command

_LEAST, _TIMES, _TRIES = 0.3, 1.5, 5
_FLOOR = "import aiohttp.web\nfrom pydantic import BaseModel\nclass A(BaseModel):\n    a: int"


def test_the_server_starts_in_little_more_than_its_libraries(tmp_path: Path) -> None:
    pairs = [(_processor(_libraries), _processor(lambda: _server(tmp_path))) for _ in range(_TRIES)]
    floor, took = map(min, zip(*pairs, strict=True))
    most = max(_LEAST, _TIMES * floor)
    print(f"start: {took:.3f} s of processor; interpreter, aiohttp and pydantic {floor:.3f} s; at most {most:.3f} s")
    assert took <= most


def _processor(run: Callable[[], None]) -> float:
    """What the processes that it starts, and waits for, take."""
    before = getrusage(RUSAGE_CHILDREN)
    run()
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _libraries() -> None:
    subprocess.run([sys.executable, "-c", _FLOOR], check=True)


def _server(folder: Path) -> None:
    """From the first instruction until it is ready; then it is killed."""
    with running_command([sys.executable, "-m", "discovery"], ROOT, {"DATA_DIR": str(folder)}):
        pass

"""A foreign program in the foreground: started by a story, ended with it; what it printed is shown when it does not do its part."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.programs import program
from tests.stories.dig import Dug, dig
from tests.stories.process import LIMIT, Discovery, until


class Daemon:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def until(self, condition: Callable[[], Any]) -> Any:
        """What the condition gave when it came true; fails when the program ends first."""
        result: Any = None

        def true_or_over() -> bool:
            nonlocal result
            result = condition()
            return bool(result) or self.process.poll() is not None

        try:
            until(true_or_over)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.output}") from None
        assert result, f"it ended ({self.process.returncode}); it said:\n{self.output}"
        return result

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")


@contextmanager
def daemon(name: str, *arguments: str, folder: Path, prefix: Sequence[str] = ()) -> Iterator[Daemon]:
    """`name` stands in programs.tsv. It must stay in the foreground and end on SIGTERM. `prefix`: as of `running`.

    What runs is a copy in `folder`: AppArmor, where it is active, goes by the path and would let the installed one read only
    the machine's own configuration.
    """
    copy = Path(shutil.copy(program(name), folder / name))
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*prefix, str(copy), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Daemon(process, log)
    finally:
        process.terminate()
        try:
            process.wait(LIMIT)
        finally:
            process.kill()
            process.wait()
            copy.unlink()  # pytest keeps the folder


def answers_tcp(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
    except ConnectionRefusedError:
        return False
    return True


def dig_through(server: Discovery, port: int, *arguments: str) -> Dug:
    """What the resolver at `port`, which has its knowledge from `server`, says. It is asked again: Unbound drops who has waited for 1.9 s
    (discard-timeout). The last -p counts, and the last of each option.
    """
    return dig(server, "-p", str(port), "+recurse", "+tries=6", "+time=8", *arguments)

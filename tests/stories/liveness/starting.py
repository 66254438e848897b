"""Servers that do not start, or are killed before they have."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence

from tests.stories.nursery import Fork
from tests.stories.process import LIMIT, ROOT, environment


def _command(prefix: Sequence[str], *arguments: str) -> list[str]:
    return [*prefix, sys.executable, "-m", "discovery", *arguments]


def discovery(
    *arguments: str, prefix: Sequence[str] = (), status: int = 0, **settings: str | int
) -> subprocess.CompletedProcess[str]:
    """The command to its end; its exit status must be `status`. `prefix` as of `running`."""
    given = environment(**settings)
    if prefix:
        done = subprocess.run(
            _command(prefix, *arguments),
            cwd=ROOT,
            env=given,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    else:
        fork = Fork(ROOT, given, *arguments)
        said = fork.communicate(LIMIT)
        done = subprocess.CompletedProcess(arguments, fork.wait(), *said)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr, done.stderr
    return done


def refused(prefix: Sequence[str] = (), **settings: str | int) -> str:
    """What a server says that cannot start for what it finds on disk; it exits with 1 and was never ready."""
    done = discovery(prefix=prefix, status=1, **settings)
    assert done.stdout == "", "no socket was opened"
    return done.stderr.splitlines()[-1]


def killed_while_starting(after: float, **settings: str | int) -> None:
    """kill -9 so many seconds after it was begun."""
    process = subprocess.Popen(
        _command(()), cwd=ROOT, env=environment(**settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    assert process.poll() is None, "it did not end by itself"
    process.kill()
    process.wait()

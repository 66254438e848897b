"""A server as the unit runs it: an unprivileged user with CAP_NET_BIND_SERVICE alone, no way to more, the unit's system calls, and
port 53 of a network of its own.

Linux namespaces, as in tests/stories/judges/namespace.py. An installation that only its owner can reach (under /root) is shown to
everybody inside, as if it were in /opt; the server's folder is at /mnt there, and in `folder`/state outside.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import program
from tests.stories.judges.namespace import Namespace
from tests.stories.process import LIMIT, ROOT, running

NOBODY = 65534
STATE = "/mnt"

_SETUP = """
set -e
ip link set lo up
{show}
mount --bind {folder}/state {state}
echo ready
exec sleep infinity
"""


@contextmanager
def confined(folder: Path, calls: str, **settings: str | int) -> Iterator[Namespace]:
    """`calls`: the system calls that are allowed, one a line."""
    root = os.geteuid() == 0
    (folder / "state").mkdir()
    if root:
        os.chown(folder / "state", NOBODY, NOBODY)
    setup = _SETUP.format(folder=shlex.quote(str(folder)), state=STATE, show="\n".join(_show(folder) if root else ()))
    process = subprocess.Popen(
        [program("unshare"), "--net", "--mount", *([] if root else ["--map-root-user"]), "sh", "-c", setup],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                _cannot(process.communicate(timeout=LIMIT)[1])
            (folder / "state" / "calls").write_text(calls)
            entry = ["--target", str(process.pid), "--net", "--mount"]
            inside = [program("nsenter"), *entry, *([] if root else ["--user", "--preserve-credentials"])]
            user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if root else []
            only = "=-all,+net_bind_service"
            powers = ["--inh-caps" + only, "--ambient-caps" + only, "--bounding-set" + only, "--no-new-privs"]
            drop = [program("setpriv"), *user, *powers]
            sandbox = [sys.executable, str(ROOT / "tests/cli/sandbox.py"), f"{STATE}/calls"]
            with running(folder, [*inside, f"--wd={STATE}", *drop, *sandbox], **settings) as server:
                yield Namespace([*inside, f"--wd={ROOT}"], server)
        finally:
            process.kill()


def _show(folder: Path) -> Iterator[str]:
    """Shell commands that make the installation reachable for everybody: all others of a folder that keeps people out disappear."""
    paths = [Path(path).resolve() for path in (sys.base_prefix, sys.prefix, ROOT)]
    closed = {parent for path in paths for parent in path.parents if not parent.stat().st_mode & stat.S_IXOTH}
    hidden = [path for path in paths if closed & set(path.parents)]
    for number, path in enumerate(hidden):
        (folder / f"{number}").mkdir()
        yield f"mount --rbind {shlex.quote(str(path))} {shlex.quote(f'{folder}/{number}')}"
    for parent in sorted(closed):
        if not closed & set(parent.parents):
            yield f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(str(parent))}"
    for number, path in enumerate(hidden):
        at = shlex.quote(str(path))
        yield f"mkdir -p {at} && mount --rbind {shlex.quote(f'{folder}/{number}')} {at}"


def _cannot(why: str) -> None:
    """Like a program that is missing: fails in CI, skips elsewhere."""
    text = f"no namespace can be made here: {why.strip()}; run as root, or let others make user namespaces"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)

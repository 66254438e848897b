"""A process that has read the package and forks: to read it is most of what the start of a server takes, and stories start hundreds.

It does nothing else, and has one thread. A server reads its settings, and opens files and sockets, after the fork.

`python -m tests.stories.nursery FD` takes from that socket, until its other end is closed: {"cwd", "environment", "arguments"} with two
descriptors, for standard output and error, and answers with the id of the fork; {"wait": id}, and answers with its exit status as
`subprocess` has it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any


class Fork:
    """A server, or the command with these arguments; to be used as `subprocess.Popen` is."""

    def __init__(self, cwd: Path, environment: Mapping[str, str], *arguments: str) -> None:
        self._nursery = _nursery()
        ends = [os.pipe(), os.pipe()]
        asked = {"cwd": str(cwd), "environment": dict(environment), "arguments": arguments}
        self.pid = self._nursery.ask(asked, [write for _, write in ends])
        for _, write in ends:
            os.close(write)
        self.stdout, self.stderr = (os.fdopen(read) for read, _ in ends)
        self.returncode: int | None = None
        self._ended = select.poll()
        self._pidfd = os.pidfd_open(self.pid)
        self._ended.register(self._pidfd, select.POLLIN)
        self._reaping = threading.Lock()

    def poll(self) -> int | None:
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("discovery", timeout or 0)
        return status

    def _status(self, timeout: float | None) -> int | None:
        """Once it has ended; None where that takes longer."""
        self._ended.poll(None if timeout is None else timeout * 1000)
        with self._reaping:
            if self.returncode is None and self._ended.poll(0):
                self.returncode = self._nursery.ask({"wait": self.pid})
            return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it has printed, once it has ended; where that takes longer it is killed."""
        with ThreadPoolExecutor(2) as threads, self.stdout, self.stderr:
            read = [threads.submit(each.read) for each in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            finally:
                self.kill()
            return read[0].result(), read[1].result()

    def send_signal(self, signum: int) -> None:
        with self._reaping:
            if self.returncode is None:
                signal.pidfd_send_signal(self._pidfd, signum)

    def __del__(self) -> None:
        os.close(self._pidfd)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Nursery:
    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asking = threading.Lock()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(other.fileno())],
                cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONWARNINGS": "error"}, pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,  # a pipe, as that of a fork
            )  # fmt: skip

    def ask(self, asked: Mapping[str, Any], descriptors: list[int] | None = None) -> int:
        with self._asking:
            socket.send_fds(self._socket, [json.dumps(asked).encode()], descriptors or [])
            return int(self._socket.recv(64))

    def close(self) -> None:
        self._socket.close()
        self._process.communicate()


@cache
def _nursery() -> _Nursery:
    """One for each of pytest's processes."""
    nursery = _Nursery()
    atexit.register(nursery.close)
    return nursery


def _main() -> None:
    gc.disable()  # as `discovery.cli` does before it reads the rest
    import discovery.cli.server  # noqa: F401
    from discovery.cli import main

    gc.freeze()
    assert threading.active_count() == 1, "what has threads must not fork"
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        arguments = _forked(requests)
    if arguments is not None:
        sys.exit(main(arguments))


def _forked(requests: socket.socket) -> list[str] | None:
    """In each fork its arguments; None when nobody is left who asks."""
    while True:
        message, descriptors, *_ = socket.recv_fds(requests, 1 << 20, 2)
        if not message:
            return None
        asked = json.loads(message)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            for number, descriptor in enumerate(descriptors, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.chdir(asked["cwd"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            return list(asked["arguments"])
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(str(answer).encode())


if __name__ == "__main__":
    _main()

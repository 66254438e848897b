"""The command line in this process, against a real server: what a command printed, and its exit status."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from unittest import mock

from discovery import cli
from tests.stories.process import LIMIT, ROOT, environment


class Done(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def content(self) -> Any:
        """Of -o json."""
        assert self.status == 0, self
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Of a command that failed: the one line."""
        assert self.status == 1, self
        assert self.out == ""
        assert self.err.startswith("discovery: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("discovery: ").removesuffix("\n")


def discovery(*arguments: str, **environment: str) -> Done:
    """Off a terminal, with this environment besides the process's own."""
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = cli.main(arguments)
    root.handlers[:] = handlers  # `run` has its own
    root.setLevel(level)
    return Done(status, out.getvalue(), err.getvalue())


def process(
    *arguments: str, stdout: int | IO[Any] = subprocess.PIPE, **settings: str
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, with these settings and none of the caller's environment."""
    return subprocess.run(
        [sys.executable, "-m", "discovery", *arguments],
        cwd=ROOT, env=environment(**settings), stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=LIMIT,
    )  # fmt: skip


class At:
    """Commands that ask one server."""

    def __init__(self, url: str, **environment: str) -> None:
        self.environment = {"DISCOVERY_URL": url, **environment}

    def __call__(self, *arguments: str) -> Done:
        return discovery(*arguments, **self.environment)


@contextlib.contextmanager
def without_variables(*names: str) -> Iterator[None]:
    with mock.patch.dict(os.environ):
        for name in names:
            os.environ.pop(name, None)
        yield

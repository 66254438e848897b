"""The plain face of what is asynchronous: one event loop in a thread of its own, for all of this process.

A process that is forked has no copy of the thread, only of its memory: the child makes a thread of its own when it needs one.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_making = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
# The parent's loop in a forked child. It is kept, for to be collected it would be closed, and that reaches into the parent's.
_of_parents: list[asyncio.AbstractEventLoop] = []


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Its result, or its exception. Not from within the loop's own thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, _running_loop()).result()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _making:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="discovery.client", daemon=True).start()
        return _loop


def _forked() -> None:
    global _loop, _making
    _making = threading.Lock()  # another thread may have held it
    if _loop is not None:
        _of_parents.append(_loop)
        _loop = None


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)

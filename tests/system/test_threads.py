"""Threads that may hang: their results come back, and a process ends without waiting for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from discovery.system.threads import in_daemon_thread, start_in_daemon_thread


async def test_what_the_work_returns_comes_back() -> None:
    assert await in_daemon_thread(threading.get_ident) != threading.get_ident()


async def test_what_the_work_raises_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_daemon_thread(lambda: 1 // 0)


async def test_a_result_that_nobody_waits_for_any_more_is_dropped() -> None:
    go = threading.Event()
    thread, future = start_in_daemon_thread(go.wait)
    future.cancel()
    go.set()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    assert future.cancelled()


def test_a_process_ends_though_the_work_does_not() -> None:
    text = """
import asyncio, threading
from discovery.system.threads import in_daemon_thread
async def main():
    try:
        async with asyncio.timeout(0.05):
            await in_daemon_thread(threading.Event().wait)
    except TimeoutError:
        print("went on")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "went on\n"


def test_a_result_after_the_end_of_the_loop_hurts_nobody() -> None:
    go = threading.Event()

    async def main() -> threading.Thread:
        thread, _ = start_in_daemon_thread(go.wait)
        return thread

    thread = asyncio.run(main())
    go.set()
    thread.join(10)
    assert not thread.is_alive()

"""The reaper tells the registry the time: it sleeps until the next deadline, submits `Expire` until nothing is due, and sleeps again.

There is no polling. A commit may bring an earlier deadline, so the reaper follows them; heartbeats only ever move deadlines back. A
crowd of deadlines is worked off in pieces, with the event loop free in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from discovery.core.caller import SERVER
from discovery.store.engine import Engine
from discovery.store.errors import EngineAway
from discovery.store.expiry import Expire
from discovery.store.registry import Registry
from discovery.system.turns import turns

_log = logging.getLogger("discovery.reaper")

# The loop's timers count in whole milliseconds and may fire that much early.
TIMER_GRAIN = 0.001
# Seconds until the next try after one that failed.
RETRY_SECONDS = 1.0

_EXPIRE = Expire()


class Reaper:
    """`clock`: monotonic seconds, the registry's."""

    def __init__(self, registry: Registry, engine: Engine, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._engine = engine
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = float("inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._registry.followers.append(lambda commit: self._look())
        self._schedule()

    def stop(self) -> None:
        self._sleep_until(None)
        self._wakes_at = float("-inf")  # nothing is earlier, so no commit wakes it again
        if self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        deadline = self._registry.next_deadline()
        if deadline is not None and deadline < self._wakes_at:
            self._sleep_until(deadline)

    def _wake(self) -> None:
        self._wakes_at = float("-inf")  # what it changes itself needs no timer, _schedule follows
        self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._registry.liveness.is_retiming and not self._engine.leads:
                # Tidied here, for else each commit would wake it.
                self._registry.liveness.tidy(self._clock())
                await turns().over()
            while self._engine.leads and (await self._engine.submit(_EXPIRE, SERVER) or self._is_due()):
                await turns().over()
        except EngineAway as error:
            _log.warning("what has become due waits: %(reason)s", {"event": "expiry.failed", "reason": str(error)})
            self._sleep_until(self._clock() + RETRY_SECONDS)
        except Exception:
            _log.exception(
                "what has become due could not be carried out; it is tried again in %(_after)g s",
                {"event": "expiry.failed", "_after": RETRY_SECONDS},
            )
            self._sleep_until(self._clock() + RETRY_SECONDS)
        else:
            self._schedule() if self._engine.leads else self._sleep_until(self._clock() + RETRY_SECONDS)

    def _is_due(self) -> bool:
        """Or may be: what was renewed meanwhile was only put off."""
        deadline = self._registry.next_deadline()
        return deadline is not None and deadline <= self._clock()

    def _schedule(self) -> None:
        self._sleep_until(self._registry.next_deadline())

    def _sleep_until(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wakes_at = float("inf") if deadline is None else deadline
        if deadline is not None:
            delay = max(0.0, deadline - self._clock() + TIMER_GRAIN)
            self._timer = self._loop.call_later(delay, self._wake)

"""Work in turns: one after the other, none for long."""

from __future__ import annotations

import asyncio
from functools import partial

from discovery.rest.watch.turns import TURN, Turns


async def test_a_turn_ends_when_its_time_is_over_and_the_rest_follows_in_the_next() -> None:
    now, done = 0.0, []
    turns = Turns(lambda: now)

    def step(number: int) -> bool:
        nonlocal now
        now += TURN / 4
        done.append(number)
        return False

    for number in range(10):
        turns.add(lambda number=number: step(number))  # type: ignore[misc]
    counts = []
    for _ in range(4):
        await asyncio.sleep(0)
        counts.append(len(done))
    assert counts == [4, 8, 10, 10]
    assert done == list(range(10))


async def test_what_has_more_to_do_waits_until_the_others_have_done_some() -> None:
    done: list[str] = []
    turns = Turns(lambda: 0.0)
    left = {"a": 3, "b": 1}

    def step(name: str) -> bool:
        done.append(name)
        left[name] -= 1
        return left[name] > 0

    for name in left:
        turns.add(lambda name=name: step(name))  # type: ignore[misc]
    await asyncio.sleep(0)
    assert done == ["a", "b", "a", "a"]


async def test_a_step_that_fails_keeps_the_others_from_nothing() -> None:
    done: list[int] = []
    turns = Turns()
    failed: list[dict[str, object]] = []

    def note(number: int) -> bool:
        done.append(number)
        return False

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))
    turns.add(lambda: 1 // 0 > 0)
    turns.add(partial(note, 1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert (done, len(failed)) == ([1], 1)
    turns.add(partial(note, 2))
    await asyncio.sleep(0)
    assert done == [1, 2]

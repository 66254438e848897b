"""Work in turns: one after the other, none for long."""

from __future__ import annotations

import asyncio
from functools import partial

from discovery.system.turns import TURN, Turns
from discovery.system.turns import turns as turns_of_loop


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


async def test_small_pieces_come_first_and_leave_the_others_one_in_each_turn() -> None:
    now, done = 0.0, list[str]()
    turns = Turns(lambda: now)

    def step(name: str) -> bool:
        nonlocal now
        now += TURN / 2
        done.append(name)
        return len(done) < 9

    turns.add(partial(step, "large"))
    turns.add_small(partial(step, "small"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert done == ["small", "small", "large"] * 3


async def test_coroutines_share_a_turn_with_steps_and_go_on_one_after_the_other() -> None:
    now, at_work, turn_of = 0.0, True, list[list[str]]()
    turns = Turns(lambda: now)

    async def work(name: str) -> None:
        nonlocal now
        while at_work:
            await turns.over()
            now += TURN / 4
            turn_of[-1].append(name)

    def step() -> bool:
        nonlocal now
        now += TURN / 4
        turn_of[-1].append("step")
        return at_work

    def next_turn() -> None:
        turn_of.append([])
        if at_work:
            asyncio.get_running_loop().call_soon(next_turn)

    next_turn()
    tasks = [asyncio.create_task(work(name)) for name in "ab"]
    turns.add(step)
    for _ in range(40):
        await asyncio.sleep(0)
    at_work = False
    await asyncio.gather(*tasks)
    assert max(map(len, turn_of)) <= 5, "four of a quarter each, and one that had begun"
    counts = [sum(turn.count(name) for turn in turn_of) for name in "ab"]
    assert min(counts) > max(counts) - 8
    assert any("step" in turn for turn in turn_of)


async def test_whoever_is_cancelled_while_it_waits_for_a_turn_keeps_nobody_else_from_his() -> None:
    now = 0.0
    turns = Turns(lambda: now)

    async def work() -> None:
        nonlocal now
        await turns.over()
        now += 2 * TURN
        await turns.over()

    first, second = asyncio.create_task(work()), asyncio.create_task(work())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 60)
    assert first.cancelled()


async def test_a_loop_has_one_scheduler_that_all_share() -> None:
    assert turns_of_loop() is turns_of_loop()


async def test_small_steps_go_ahead_until_they_have_taken_the_time_of_a_turn_or_somebody_waits() -> None:
    turns = Turns(lambda: 0.0)
    ahead = 0
    while turns.may_go_ahead():
        turns.spent(TURN / 10)
        ahead += 1
    assert ahead == 10
    await asyncio.sleep(0)
    assert turns.may_go_ahead(), "a turn has begun, in which nobody had anything to do"
    turns.add(lambda: False)
    assert not turns.may_go_ahead()
    await asyncio.sleep(0)
    assert turns.may_go_ahead()


async def test_what_a_task_will_take_is_left_out_of_the_turn_that_begins_it() -> None:
    now, done = 0.0, []
    turns = Turns(lambda: now)

    def step(number: int) -> bool:
        done.append(number)
        turns.reserve(TURN / 2)
        return False

    for number in range(4):
        turns.add_small(partial(step, number))
    counts = []
    for _ in range(2):
        await asyncio.sleep(0)
        counts.append(len(done))
    assert counts == [2, 4]


async def test_what_is_urgent_is_read_once_in_the_time_of_a_turn_however_often_it_is_asked_about() -> None:
    now, reads = 0.0, []
    turns = Turns(lambda: now)
    turns.urgent.append(lambda: reads.append(now))
    for _ in range(10):
        turns.read_urgent()
        now += TURN / 2
    assert reads == [number * TURN for number in range(5)]

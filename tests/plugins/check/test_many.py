"""Two thousand instances under watch: so many probes at a time and no more, the dead do not hold up the others, and what each costs."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from discovery.plugins.check import rounds
from tests.plugins.check.servers import LIMIT, OK, quick, serving, silent_port, watching
from tests.waiting import until

MANY = 2000
# In place of 500, so that client and servers together fit into any usual limit of open files.
MOST = 100


@pytest.fixture(autouse=True)
def _fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "MAX_IN_HAND", MOST)


async def test_only_so_many_probes_are_in_hand_and_everyone_gets_a_turn() -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(OK)

    async with serving(late) as fake, watching() as house:
        for number in range(MANY):
            await house.register(fake.port, quick(path=f"/{number}", timeout=LIMIT, interval=0.5), f"s{number}")
        assert house.stats["checked"] == MANY
        most_in_hand = 0
        while len({request.split()[1] for request in fake.requests}) < MANY:
            most_in_hand = max(most_in_hand, house.stats["inHand"])
            await asyncio.sleep(0.01)
        print(f"{MANY} checks: at most {fake.most_open} connections, {most_in_hand} probes in hand")
        assert MOST / 2 < most_in_hand <= 2 * MOST
        assert fake.most_open <= 2 * MOST
        await until(lambda: house.registry.renewals >= MANY)
        assert house.served("s0") == 1


async def test_those_that_hang_do_not_hold_up_those_that_answer() -> None:
    """Twice as many hang, each for a minute, as there are places for those of whom no good is known."""
    sock, port = silent_port()
    with sock, sock.dup() as listening:
        listening.listen(10)  # nobody accepts, nobody answers
        async with serving() as fake, watching() as house:
            await house.register(fake.port, quick(interval=0.05), "works")
            await until(lambda: len(fake.requests) > 2)
            for number in range(2 * MOST):
                await house.register(port, quick(timeout=60.0, interval=0.05), f"hangs{number}")
            await until(lambda: house.stats["inHand"] >= MOST)
            seen = len(fake.requests)
            await until(lambda: len(fake.requests) > seen + 10)
            assert house.stats["inHand"] <= MOST + 1


async def test_what_a_checked_instance_costs() -> None:
    """Of the plugin's own: the instance itself, and its Check, are the registry's."""
    async with watching() as house:
        tracemalloc.start()
        try:
            instances = [await house.register(1, None, f"s{number}") for number in range(MANY)]
            one = quick(interval=3600.0)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for instance in instances:
                house.plugin._follow(instance.id, (one,))
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        each = (after - before) / MANY
        print(f"{MANY} checks: {each:.0f} octets each")
        assert house.stats["checked"] == MANY
        assert each < 1500

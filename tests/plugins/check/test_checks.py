"""The plugin between a registry and real servers: what results do to instances, and whom it probes when."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from random import Random

import pytest

from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.check import Check
from discovery.core.event import Kind
from discovery.core.health import Finding, Health
from discovery.core.instance import Key
from discovery.plugins.check import Checks
from discovery.plugins.check.probe import CannotProbe
from discovery.store.errors import NotDurable, UnknownInstance
from discovery.store.registration import Deregister, Register, ReportCheck
from discovery.store.service import Entry
from discovery.store.write import Write
from tests.patient import clock
from tests.plugins.check.servers import LIMIT, OK, UNAVAILABLE, House, key, quick, serving, silent_port, watching
from tests.store.making import a_registry
from tests.waiting import until


async def a_few_more(house: House, requests: list[bytes], number: int = 5) -> None:
    """Waits until so many more probes have arrived."""
    seen = len(requests)
    await until(lambda: len(requests) >= seen + number)


async def test_a_passed_probe_counts_as_a_heartbeat() -> None:
    async with serving() as fake, watching() as house:
        instance = await house.register(fake.port, quick())
        lease = house.registry.at(instance.id).lease
        registered = lease.renewed_at
        await a_few_more(house, fake.requests)
        await until(lambda: lease.renewed_at > registered)
        assert house.registry.renewals >= 4
        assert house.log.kinds() == [Kind.REGISTERED]
        assert house.stats["checked"] == 1


async def test_one_that_never_beats_is_probed_before_its_lease_runs_out() -> None:
    """The interval of an hour is not what keeps it: its lease of 3 s is renewed all the same."""
    async with serving() as fake, watching(lease_ttl=3.0) as house:
        instance = await house.register(fake.port, quick(interval=3600.0))
        entry = house.registry.at(instance.id)
        registered = entry.lease.renewed_at
        while entry.lease.renewed_at < registered + 2.0:
            assert entry.lease.alive(clock())
            await asyncio.sleep(0.01)
        assert len(fake.requests) <= 3, "0.4 of the lease, not less"


async def test_after_so_many_failures_it_leaves_answers_even_if_it_beats() -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        await house.register(fake.port, quick(failures=3))
        while not (failing := [change for change in house.log.changes if change.kind is Kind.FAILING]):
            house.engine.renew(key(fake.port))
            assert house.served() == 1 or len(fake.requests) >= 3
            await asyncio.sleep(0.001)
        assert failing[0].reason == "answered 503"
        assert len(fake.requests) == 3
        house.engine.renew(key(fake.port))
        await a_few_more(house, fake.requests)
        assert house.served() == 0
        assert house.log.kinds() == [Kind.REGISTERED, Kind.FAILING], "it is told once"
        assert house.stats["failing"] == 1


async def test_after_so_many_passes_it_is_back_and_each_of_them_was_a_heartbeat() -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        instance = await house.register(fake.port, quick(failures=1, successes=4))
        await until(lambda: house.served() == 0)
        renewals = house.registry.renewals
        assert renewals == 0, "a failed probe is no heartbeat"
        fake.answer = OK
        await until(lambda: house.served() == 1)
        assert house.registry.renewals >= 4
        assert house.log.changes[-1].kind is Kind.HEALTHY
        assert house.registry.at(instance.id).instance.failing is None


async def test_a_failure_here_and_there_changes_nothing() -> None:
    async def every_other(writer: asyncio.StreamWriter) -> None:
        writer.write(OK if len(fake.requests) % 2 else UNAVAILABLE)

    async with serving(every_other) as fake, watching() as house:
        await house.register(fake.port, quick(failures=2))
        await a_few_more(house, fake.requests, 20)
        assert house.log.kinds() == [Kind.REGISTERED]


async def test_a_port_where_nobody_listens_fails_and_passes_once_somebody_does() -> None:
    sock, port = silent_port()
    with sock:
        async with watching() as house:
            await house.register(port, quick(kind="tcp", id="tcp", path="", failures=2))
            await until(lambda: house.log.kinds()[-1] is Kind.FAILING)
            assert house.log.changes[-1].reason == "connection refused"
            sock.listen()
            await until(lambda: house.log.kinds()[-1] is Kind.HEALTHY)
            assert house.served() == 1


async def test_it_closes_also_when_the_start_never_came_to_it() -> None:
    plugin = Checks(a_registry(), time.monotonic, Random(1))
    await plugin.close()
    assert plugin.stats() == {"check": {"checked": 0, "failing": 0, "inHand": 0}}


async def test_without_a_check_nobody_is_probed() -> None:
    async with serving() as fake, watching() as house:
        await house.register(fake.port, None)
        assert house.stats == {"checked": 0, "failing": 0, "inHand": 0}


async def test_deregistration_stops_the_probing_at_once_one_in_hand_included() -> None:
    gone: list[int] = []

    async def hang(writer: asyncio.StreamWriter) -> None:
        while not writer.transport.is_closing():
            await asyncio.sleep(0.002)
            writer.write(b"x")
        gone.append(1)

    async with serving(hang) as fake, watching() as house:
        await house.register(fake.port, quick(timeout=LIMIT))
        await until(lambda: fake.requests)
        assert house.stats == {"checked": 1, "failing": 0, "inHand": 1}
        await house.engine.submit(Deregister(key(fake.port), "because"))
        await until(lambda: gone and house.stats == {"checked": 0, "failing": 0, "inHand": 0})
        assert house.log.kinds() == [Kind.REGISTERED, Kind.DEREGISTERED]
        await asyncio.sleep(0.1)  # ten intervals
        assert len(fake.requests) == 1


async def test_one_whose_lease_ran_out_and_that_was_removed_is_probed_no_more() -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        instance = await house.register(fake.port, quick())
        await until(lambda: fake.requests)
        for _ in range(2):  # its lease runs out; the cleanup comes
            house.registry.advance(house.registry.next_deadline() or 0.0, 1)
        with pytest.raises(UnknownInstance):
            house.registry.at(instance.id)
        assert house.stats["checked"] == 0


async def test_a_check_that_changed_takes_the_old_ones_place_and_begins_anew() -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        await house.register(fake.port, quick(path="/old", failures=1))
        await until(lambda: house.served() == 0)
        fake.answer = OK
        await house.register(fake.port, quick(path="/new", failures=1, successes=100))
        assert house.served() == 1, "a new check passes until it fails"
        await until(lambda: fake.requests[-1].startswith(b"GET /new "))
        del fake.requests[:]
        await a_few_more(house, fake.requests, 20)
        assert {request.split()[1] for request in fake.requests} == {b"/new"}
        assert house.stats["checked"] == 1


async def test_a_check_may_appear_and_go() -> None:
    async with serving() as fake, watching() as house:
        await house.register(fake.port, None)
        await house.register(fake.port, quick())
        assert house.stats["checked"] == 1
        await until(lambda: fake.requests)
        await house.register(fake.port, None)
        assert house.stats["checked"] == 0
        await until(lambda: house.stats["inHand"] == 0)


async def test_an_update_of_anything_else_leaves_the_check_as_it_is() -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        await house.register(fake.port, quick(failures=1))
        await until(lambda: house.served() == 0)
        await house.register(fake.port, quick(failures=1), weight=7)
        await a_few_more(house, fake.requests)
        assert house.log.kinds() == [Kind.REGISTERED, Kind.FAILING, Kind.UPDATED]
        assert house.stats == {"checked": 1, "failing": 1, "inHand": house.stats["inHand"]}


async def test_instances_from_before_the_start_are_watched_too() -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        instance = await house.register(fake.port, quick(failures=1))
        async with watching() as next_house:
            next_house.registry.restore(instance, now=clock())
            await until(lambda: next_house.served() == 0)
            assert next_house.log.kinds() == [Kind.RESTORED, Kind.FAILING]


async def test_a_check_never_overlaps_with_itself() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.03)
        writer.write(OK)

    async with serving(slow) as fake, watching() as house:
        await house.register(fake.port, quick(interval=0.001))
        await a_few_more(house, fake.requests, 10)
        assert fake.most_open == 1


async def test_what_the_engine_refuses_is_told_again_after_the_next_probe(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(UNAVAILABLE) as fake, watching() as house:
        submit = house.engine.submit
        refused: list[ReportCheck] = []

        async def full(write: Write[object], by: Caller = NOBODY) -> object:
            if isinstance(write, ReportCheck) and len(refused) < 3:
                refused.append(write)
                raise NotDurable("No space left on device")
            return await submit(write, by)

        house.engine.submit = full  # type: ignore[method-assign, assignment]
        await house.register(fake.port, quick(failures=1))
        await until(lambda: house.served() == 0)
        assert len(refused) == 3
        assert sum("No space left" in line for line in caplog.messages) == 3


async def test_what_follows_from_a_check_is_the_servers_own_doing() -> None:
    """Whoever guards the writes of others lets them through."""
    callers: list[tuple[object, Caller]] = []
    async with serving() as fake, watching() as house:
        renew, submit = house.engine.renew, house.engine.submit

        def noted_renew(which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
            callers.append(("renew", by))
            return renew(which, by)

        async def noted_submit(write: Write[object], by: Caller = NOBODY) -> object:
            callers.append((type(write), by))
            return await submit(write, by)

        await house.register(fake.port, quick(failures=1))
        house.engine.renew = noted_renew  # type: ignore[method-assign]
        house.engine.submit = noted_submit  # type: ignore[method-assign, assignment]
        await until(lambda: callers)
        fake.answer = UNAVAILABLE
        await until(lambda: house.served() == 0)
    assert set(callers) == {("renew", SERVER), (ReportCheck, SERVER)}


async def test_one_that_goes_away_between_the_probe_and_its_result_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as fake, watching() as house:
        instance = await house.register(fake.port, quick())

        def renew(which: object, by: Caller) -> None:
            raise UnknownInstance(instance.id)

        house.engine.renew = renew  # type: ignore[method-assign, assignment]
        await a_few_more(house, fake.requests)
    assert caplog.messages == []


async def test_an_error_of_our_own_is_logged_and_the_checks_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as fake, watching() as house:
        await house.register(fake.port, quick())
        renew = house.engine.renew

        def broken(which: object, by: Caller) -> None:
            house.engine.renew = renew  # type: ignore[method-assign]
            raise ZeroDivisionError

        house.engine.renew = broken  # type: ignore[method-assign, assignment]
        await a_few_more(house, fake.requests)
        assert house.registry.renewals > 0
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_checks_that_cannot_be_made_count_neither_way_and_are_complained_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    async def cannot(ip: str, port: int, check: Check, host: str) -> str | None:
        tried.append(port)
        raise CannotProbe("too many open files")

    monkeypatch.setattr("discovery.plugins.check.probe", cannot)
    async with watching() as house:
        await house.register(1, quick(failures=1))
        await until(lambda: len(tried) > 5)
        assert (house.served(), house.registry.renewals) == (1, 0)
    assert ["too many open files" in line for line in caplog.messages] == [True]


async def test_the_first_probes_are_spread_over_the_interval() -> None:
    async with watching() as house:
        for number in range(200):
            spec = replace((await house.register(1, None, f"s{number}")).spec, checks=(quick(interval=3600.0),))
            await house.engine.submit(Register(spec))
        loop = asyncio.get_running_loop()
        delays = sorted(
            watch.timer.when() - loop.time()
            for all in house.plugin._watched.values()
            for watch in all.values()
            if watch.timer
        )
        pace = 0.4 * 600
        assert len(delays) == 200
        assert delays[0] < pace / 20
        assert delays[-1] > pace * 19 / 20
        assert abs(delays[100] - pace / 2) < pace / 6


async def test_a_node_that_does_not_lead_probes_nobody_and_goes_on_from_what_the_leader_found() -> None:
    requests: list[bytes] = []

    async def unavailable(writer: asyncio.StreamWriter) -> None:
        requests.append(b"")
        writer.write(UNAVAILABLE)

    async with serving(unavailable) as fake, watching() as house:
        house.engine.leads = False
        instance = await house.register(fake.port, quick(failures=3))
        found = Finding(Health.FAILING, "answered 503")
        await house.engine.submit(ReportCheck(instance.id, "http", found), SERVER)  # as the leader has told
        await asyncio.sleep(0.1)
        assert requests == []
        house.engine.leads = True
        await until(lambda: len(requests) > 5)
        assert house.log.kinds() == [Kind.REGISTERED, Kind.FAILING], (
            "a verdict that stands is not told again, nor taken back"
        )


async def test_a_target_that_is_not_allowed_is_never_asked_and_fails_until_it_registers_itself() -> None:
    """Whoever registers it again without a check of his own does not change for whom it is made."""
    async with serving() as fake, watching() as house:
        await house.register(fake.port, quick(failures=2), by=Caller("10.0.0.9", "ci"))
        await until(lambda: house.served() == 0)
        assert "CHECK_NETWORKS" in house.log.changes[-1].reason
        await house.register(fake.port, quick(failures=2), by=Caller("10.0.0.8", "shop"))
        assert (fake.accepted, house.served()) == (0, 0)
        await house.register(fake.port, quick(failures=2), by=Caller("127.0.0.1"))
        await until(lambda: house.served() == 1)
        assert fake.accepted >= 1


async def test_another_ones_check_of_an_instance_is_not_made_for_whoever_registered_it_before() -> None:
    async with serving() as fake, watching() as house:
        await house.register(fake.port, quick(failures=1), by=Caller("127.0.0.1"))
        await until(lambda: fake.requests)
        await house.register(fake.port, quick(path="/shutdown", failures=1), by=Caller("10.0.0.9", "ci"))
        await until(lambda: house.served() == 0)
        assert {request.split()[1] for request in fake.requests} == {b"/health"}


async def test_one_that_was_restored_without_its_registrant_is_checked_until_it_registers_again() -> None:
    async with serving() as fake, watching() as house:
        instance = await house.register(fake.port, quick(failures=1))
        await until(lambda: fake.requests)
        assert instance.registrant == NOBODY
        await house.register(fake.port, quick(failures=1), by=Caller("10.0.0.9"))
        await until(lambda: house.served() == 0)

"""A node that cannot hear etcd drops nobody, and promotes nobody but who beats there, however long it lasts, and says how old it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key
from discovery.engines.etcd import presence
from discovery.engines.etcd.gateway import Credentials, Etcd
from discovery.engines.etcd.messages import Json
from discovery.store.errors import EngineAway
from discovery.store.operations import Drain
from discovery.store.registration import Deregister
from discovery.store.write import Write
from tests.driven import Checked
from tests.engines.etcd.cluster import FLUSH, TTL, EtcdCluster, Node, Proxy, nodes_of, said, to_register
from tests.patient import clock
from tests.waiting import LIMIT, until

LEASE = TTL + 2 * FLUSH
HERE, THERE = "10.0.0.1", "10.0.0.2"


class House:
    """One node whose way to etcd can be cut, and one that hears it. `web` has an instance that beats at each."""

    def __init__(self, cut: Node, other: Node, proxy: Proxy) -> None:
        self.cut, self.other, self.proxy = cut, other, proxy
        self.keys = {ip: Key("web", ip, 3000) for ip in (HERE, THERE)}
        self.missing: list[tuple[str, str, float]] = []

    async def settle(self) -> None:
        for node, ip in ((self.cut, HERE), (self.other, THERE)):
            await node.register("web", ip)
            node.beats.add(self.keys[ip])
        await until(lambda: all(node.served("web") == {HERE, THERE} for node in (self.cut, self.other)))
        await until(lambda: all(e.through.node for node in (self.cut, self.other) for e in node.registry))

    async def watch(self) -> None:
        """Notes who is missing where, at any instant; the two beat, each somewhere."""
        started = clock()
        while True:
            for node in (self.cut, self.other):
                self.missing += [(node.id, ip, clock() - started) for ip in self.keys if ip not in node.served("web")]
            await asyncio.sleep(0.005)

    def decided(self, ip: str) -> str | None:
        """Its status as the cut node was told it; what is only seen there by its lease is in doubt once it hears nothing."""
        entry = self.cut.registry.find(Key("web", ip, 3000))
        return None if entry is None else entry.instance.status

    async def stale(self) -> None:
        await until(lambda: self.cut.registry.stale_seconds() > 0)
        await until(lambda: self.cut.engine._peers.any_silent)


@contextlib.asynccontextmanager
async def house_of(etcd: EtcdCluster, proxy: Proxy) -> AsyncIterator[House]:
    async with nodes_of(etcd, 1) as (other,), nodes_of(proxy, 1) as (cut,):
        house = House(cut, other, proxy)
        for node in (cut, other):  # who is silent is not removed before the way is there again
            node.registry.liveness._cleanup_interval = 60.0
        await house.settle()
        yield house
        proxy.heal()


@pytest.fixture
async def house(etcd: EtcdCluster, proxy: Proxy) -> AsyncIterator[House]:
    async with house_of(etcd, proxy) as house:
        yield house


@pytest.mark.parametrize("how", ["cut", "blackhole"])
async def test_nobody_is_missing_anywhere_while_a_node_is_cut_off_for_many_leases_nor_when_it_is_back(
    house: House, how: str
) -> None:
    watching = asyncio.create_task(house.watch())
    getattr(house.proxy, how)()
    await house.stale()
    await asyncio.sleep(2 * LEASE)
    assert house.cut.statuses("web") == {HERE: "healthy", THERE: "suspect"}
    assert house.other.statuses("web") == {HERE: "suspect", THERE: "healthy"}
    assert house.cut.registry.stale_seconds() >= 2 * LEASE
    assert "s old" in said(house.cut.engine)
    house.proxy.heal()
    await until(lambda: house.cut.registry.stale_seconds() == 0)
    await until(lambda: all(set(node.statuses("web").values()) == {"healthy"} for node in (house.cut, house.other)))
    await asyncio.sleep(LEASE)
    watching.cancel()
    assert not house.missing
    await until(lambda: not house.cut.registry.has_own_statuses and not said(house.cut.engine))


async def test_who_falls_silent_at_a_cut_off_node_stays_a_suspect_alone_if_need_be_and_goes_when_etcd_is_heard(
    house: House,
) -> None:
    house.proxy.blackhole()
    house.cut.beats.clear()
    house.other.beats.clear()
    await until(lambda: house.cut.statuses("web") == {HERE: "suspect", THERE: "suspect"})
    await asyncio.sleep(2 * LEASE)
    assert house.cut.served("web") == {HERE, THERE}
    house.proxy.heal()
    await until(lambda: not house.cut.served("web") and not house.other.served("web"))


async def test_who_moves_to_another_node_is_a_suspect_at_the_one_that_is_cut_off(house: House) -> None:
    watching = asyncio.create_task(house.watch())
    house.proxy.blackhole()
    house.cut.beats.clear()
    house.other.beats.add(house.keys[HERE])
    await until(lambda: house.cut.statuses("web")[HERE] == "suspect")
    await asyncio.sleep(LEASE)
    assert set(house.other.statuses("web").values()) == {"healthy"}
    house.proxy.heal()
    await until(lambda: set(house.cut.statuses("web").values()) == {"healthy"})
    await asyncio.sleep(LEASE)
    watching.cancel()
    assert not house.missing


async def test_when_the_key_of_a_silent_node_has_ended_its_instances_are_judged_by_their_leases(
    etcd: EtcdCluster, client: Etcd, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "NODE_LEASE_SECONDS", 8)
    async with house_of(etcd, proxy) as house:
        house.proxy.blackhole()
        await until(lambda: house.other.statuses("web") == {HERE: "suspect", THERE: "healthy"})
        await until(lambda: house.other.served("web") == {THERE})
        assert not (await client.range(f"reg/h/{house.cut.id}".encode())).found
        assert house.cut.served("web") == {HERE, THERE}
        house.proxy.heal()
        await until(
            lambda: all(
                node.statuses("web") == {HERE: "healthy", THERE: "healthy"} for node in (house.cut, house.other)
            )
        )


async def test_only_who_beats_at_a_cut_off_node_is_promoted_there_and_it_is_told_to_all_later(
    house: House,
) -> None:
    await house.other.register("web", "10.0.0.3")
    await until(lambda: house.decided("10.0.0.3") == "unhealthy")
    house.cut.beats.clear()
    await until(lambda: house.decided(HERE) == "unhealthy")
    known = set(house.cut.statuses("web"))
    house.proxy.blackhole()
    await house.stale()
    with pytest.raises(EngineAway):
        house.cut.engine.renew(house.keys[HERE])
    assert house.cut.statuses("web") == {
        ip: "healthy" if ip == HERE else "suspect" if ip == THERE else "unhealthy" for ip in known
    }
    house.cut.beats.add(house.keys[HERE])
    house.proxy.heal()
    await until(lambda: house.other.statuses("web").get(HERE) == "healthy")


async def test_writes_and_heartbeats_are_refused_at_once_and_a_queue_together(three: EtcdCluster) -> None:
    async with nodes_of(three, 1, limit=1000) as (node,):
        one = await node.register("web", HERE)
        three.kill()
        async with asyncio.timeout(60):  # one after the other they would take five minutes
            results = await asyncio.gather(
                *(node.once(to_register("web", f"10.1.{n // 200}.{n % 200 + 1}")) for n in range(300)),
                return_exceptions=True,
            )
        assert all(isinstance(result, EngineAway) for result in results)
        await until(node.engine.not_ready)
        with pytest.raises(EngineAway, match=r"no etcd member answers|has not told"):
            node.once(to_register("other", HERE)).send(None)  # it waits for nothing
        with pytest.raises(EngineAway):
            node.engine.renew(one.spec.key)


async def test_while_etcd_elects_a_leader_writes_wait_and_heartbeats_are_taken(three: EtcdCluster) -> None:
    async with nodes_of(three, 1, limit=1000, flush=20.0, ttl=10.0) as (node,):
        one = await node.register("web", HERE)
        for member in three.members[1:]:  # no majority
            member.kill()
        waiting = asyncio.create_task(node.register("web", THERE))
        await asyncio.sleep(1.5)
        node.engine.renew(one.spec.key)
        assert not waiting.done()
        for member in three.members[1:]:
            member.start(three.members)
        assert (await waiting).spec.ip == THERE


Goodbye = Callable[[Key], Write[object]]


@pytest.mark.parametrize(
    ("goodbye", "status"),
    [
        (lambda key: Deregister(key, "its owner says so"), "draining"),
        (lambda key: Drain(key, True, "its owner says so"), "draining"),
    ],
    ids=["deregister", "drain"],
)
async def test_who_says_goodbye_at_a_cut_off_node_is_out_of_its_answers_until_it_beats_or_etcd_is_heard(
    house: House, goodbye: Goodbye, status: str
) -> None:
    house.proxy.blackhole()
    await house.stale()
    for ip in (HERE, THERE):
        with pytest.raises(EngineAway):
            await house.cut.once(goodbye(house.keys[ip]))
    house.cut.beats.clear()
    assert not house.cut.served("web")
    assert set(house.cut.statuses("web").values()) == {status}
    entry = house.cut.registry.at(house.keys[THERE])
    assert entry.override is not None
    assert "its owner says so" in entry.override.reason
    with pytest.raises(EngineAway):
        house.cut.engine.renew(house.keys[HERE])
    assert house.cut.statuses("web") == {HERE: "healthy", THERE: status}
    house.cut.beats.add(house.keys[HERE])
    house.proxy.heal()
    await until(lambda: house.cut.statuses("web") == {HERE: "healthy", THERE: "healthy"})


async def test_what_is_no_goodbye_takes_nobody_out_at_a_cut_off_node(house: House) -> None:
    house.proxy.blackhole()
    await house.stale()
    id = house.cut.registry.at(house.keys[HERE]).instance.id
    refused: list[Write[object]] = [
        Checked(id, "its port is closed"), Drain(id, False, "back"), Deregister("nobody", "gone")
    ]  # fmt: skip
    house.cut.engine._seams.authorize.append(_nobody_may)
    refused.append(Deregister(id, "a stranger says so"))
    for write in refused:
        with pytest.raises(EngineAway):
            await house.cut.once(write)
    house.cut.engine._seams.authorize.clear()
    assert house.cut.served("web") == {HERE, THERE}


def _nobody_may(owner: str | None, by: object) -> None:
    raise DiscoveryError("you may not")


ROOT = Credentials("root", "x")
NO_SPACE = {"memberID": "0", "alarm": "NOSPACE"}
# What is wrong for both nodes: the calls that bring it about, and who ends it how.
REFUSES: dict[str, tuple[dict[str, Json], Credentials | None, dict[str, Json]]] = {
    "NOSPACE": (
        {"maintenance/alarm": {"action": "ACTIVATE", **NO_SPACE}}, None,
        {"maintenance/alarm": {"action": "DEACTIVATE", **NO_SPACE}},
    ),
    "auth revoked": (
        {
            "auth/user/add": {"name": "root", "password": "x"}, "auth/role/add": {"name": "root"},
            "auth/user/grant": {"user": "root", "role": "root"}, "auth/enable": {},
        },
        ROOT, {"auth/disable": {}},
    ),
}  # fmt: skip


async def _call(etcd: EtcdCluster, credentials: Credentials | None, calls: dict[str, Json]) -> None:
    client = Etcd(etcd.urls, credentials, patience=LIMIT)
    await client.open()
    for path, asked in calls.items():
        await client.call(path, asked)
    await client.close()


@pytest.mark.parametrize("what", ["30 s a request", *REFUSES])
async def test_an_etcd_that_is_there_and_refuses_is_as_one_that_is_away(
    etcd: EtcdCluster, house: House, what: str
) -> None:
    watching = asyncio.create_task(house.watch())
    wrong, credentials, right = REFUSES.get(what, ({}, None, {}))
    house.proxy.delay = 0.0 if wrong else 30.0
    await _call(etcd, None, wrong)
    await house.stale()
    with pytest.raises(EngineAway):
        house.cut.once(to_register("other", HERE)).send(None)  # it waits for nothing
    await asyncio.sleep(LEASE + 1)
    assert house.cut.statuses("web") == {HERE: "healthy", THERE: "suspect"}
    if wrong:
        assert house.other.statuses("web") == {HERE: "suspect", THERE: "healthy"}
    await _call(etcd, credentials, right)
    if not wrong:
        house.proxy.delay = 0.0
        house.proxy.cut()
        house.proxy.heal()
    await until(lambda: all(node.registry.stale_seconds() == 0 for node in (house.cut, house.other)))
    await until(lambda: all(set(node.statuses("web").values()) == {"healthy"} for node in (house.cut, house.other)))
    watching.cancel()
    assert not house.missing


async def test_without_a_majority_of_members_it_is_the_same_and_when_history_is_compacted_meanwhile(
    three: EtcdCluster,
) -> None:
    proxy = Proxy(three.members[0].client)
    await proxy.start()
    async with house_of(three, proxy) as house:
        watching = asyncio.create_task(house.watch())
        lonely, *others = three.members
        for member in others:
            member.kill()
        await house.stale()
        await asyncio.sleep(LEASE)
        assert house.cut.statuses("web") == {HERE: "healthy", THERE: "suspect"}
        house.proxy.blackhole()
        for member in others:
            member.start(three.members)
        known = house.cut.engine._mirror.revision
        await until(lambda: house.other.engine._mirror.revision > known + 3)
        await _call(three, None, {"kv/compaction": {"revision": house.other.engine._mirror.revision}})
        syncs = house.cut.engine._mirror.syncs
        house.proxy.heal()
        await until(lambda: house.cut.engine._mirror.syncs > syncs)
        await until(lambda: all(set(node.statuses("web").values()) == {"healthy"} for node in (house.cut, house.other)))
        await asyncio.sleep(LEASE)
        watching.cancel()
        assert not house.missing
        assert lonely.runs
    await proxy.close()


async def test_a_lease_and_two_flushes_after_its_last_heartbeat_it_is_in_no_answer_of_any_node(
    etcd: EtcdCluster,
) -> None:
    async with nodes_of(etcd, 3) as nodes:
        for offset in (0.0, 0.17, 0.34):  # wherever in the flush
            one = await nodes[0].register("web", HERE)
            await until(lambda: all(node.served("web") for node in nodes))
            await asyncio.sleep(FLUSH + offset)
            beat = looked = clock()
            nodes[0].engine.renew(one.spec.key)
            gone: dict[str, float] = {}
            late = 0.0  # what others' use of the machine keeps from this process at a time, and from etcd
            while len(gone) < 3:
                unheard = max(node.engine._presence.staleness.lag for node in nodes) - FLUSH
                late, looked = max(late, clock() - looked, unheard), clock()
                for node in nodes:
                    if node.id not in gone and not node.served("web"):
                        gone[node.id] = clock() - beat
                await asyncio.sleep(0.005)
            print(f"in no answer after {', '.join(f'{after:.2f}' for after in gone.values())} s of {LEASE:g}")
            assert all(LEASE - 0.2 <= after <= LEASE + 0.2 + late for after in gone.values())
            await until(lambda: all(len(node.registry) == 0 for node in nodes))

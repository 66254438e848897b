"""The fault table of docs/cluster.md: each row breaks something for real, and `checker` finds that what is promised was kept.

While it lasts, somebody comes, somebody dies and somebody says goodbye (`busy`); the clients of a node that refuses them move to another.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from tests.engines.etcd.cluster import EtcdCluster, leader_of
from tests.programs import FAKETIME, program
from tests.stories.cluster.nodes import FLUSH, TTL, engine, etcdctl
from tests.stories.faults.world import LONG, World, survives
from tests.stories.process import ROOT

# The last commit of the version before nodes compared all that a decision reads.
OLDER = "61e47f9"


async def busy(world: World) -> None:
    await world.join("web")
    world.die(world.beating[0])
    await world.goodbye(world.beating[0])


async def leading(world: World) -> str:
    name = (await asyncio.to_thread(engine, next(iter(world.nodes.running.values()))))["leader"]
    return str(name).split("-")[0]


# -- of nodes


async def test_a_node_is_killed_and_another_takes_its_place(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        await world.kill("b")
        await busy(world)
        await asyncio.sleep(LONG)
        await world.nodes.start("b")
        await busy(world)

    await survives(tmp_path, fault)


async def test_the_node_that_leads_is_killed(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        await world.kill(await leading(world))
        await busy(world)
        await asyncio.sleep(LONG)

    await survives(tmp_path, fault)


async def test_a_node_ends_in_order_and_is_started_again(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        await world.kill("b", signal.SIGTERM)
        await busy(world)
        await asyncio.sleep(TTL)
        await world.nodes.start("b")
        await busy(world)

    await survives(tmp_path, fault)


async def test_a_node_stands_still(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        world.deaf("b")
        world.nodes.running["b"].process.send_signal(signal.SIGSTOP)
        await busy(world)
        await asyncio.sleep(LONG)
        world.nodes.running["b"].process.send_signal(signal.SIGCONT)
        await world.hears("b")

    await survives(tmp_path, fault)


async def test_a_node_s_clock_is_an_hour_ahead_and_another_s_an_hour_behind(tmp_path: Path) -> None:
    program("faketime")

    async def fault(world: World) -> None:
        for name, offset in (("b", "+1h"), ("c", "-1h")):
            await world.kill(name, signal.SIGTERM)
            await world.nodes.start(name, LD_PRELOAD=FAKETIME, FAKETIME=offset, FAKETIME_DONT_FAKE_MONOTONIC=1)
            await busy(world)
        await asyncio.sleep(LONG)

    await survives(tmp_path, fault)


async def test_a_node_has_other_settings(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        await world.kill("c", signal.SIGTERM)
        await world.nodes.start("c", HEARTBEAT_TIMEOUT_SECONDS=60, MAX_INSTANCES_PER_SERVICE=1, ETCD_FLUSH_SECONDS=5)
        await busy(world)
        await asyncio.sleep(LONG)

    await survives(tmp_path, fault)


async def test_a_node_has_other_tokens(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        await world.kill("c", signal.SIGTERM)
        await world.nodes.start("c", API_TOKEN="t" * 32)
        await busy(world)
        await asyncio.sleep(LONG)

    await survives(tmp_path, fault)


async def test_a_node_of_the_version_before(tmp_path: Path) -> None:
    older = tmp_path / "older"
    await asyncio.to_thread(_check_out, older)

    async def fault(world: World) -> None:
        await world.kill("c", signal.SIGTERM)
        await world.nodes.start("c", cwd=older)
        await busy(world)
        await asyncio.sleep(LONG)
        await world.kill("a", signal.SIGTERM)
        await busy(world)
        await asyncio.sleep(LONG)
        await world.nodes.start("a")

    await survives(tmp_path, fault)


# -- of the way to etcd


@pytest.mark.parametrize("blackhole", [False, True])
async def test_a_node_is_cut_off_from_etcd(tmp_path: Path, blackhole: bool) -> None:
    async def fault(world: World) -> None:
        world.cut("b", blackhole=blackhole)
        await asyncio.sleep(4 * FLUSH)
        await busy(world)
        await asyncio.sleep(LONG)
        await world.heal("b")

    await survives(tmp_path, fault)


async def test_the_node_that_leads_is_cut_off(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        leader = await leading(world)
        world.cut(leader, blackhole=True)
        await asyncio.sleep(4 * FLUSH)
        await busy(world)
        await asyncio.sleep(LONG)
        await world.heal(leader)

    await survives(tmp_path, fault)


async def test_a_node_is_cut_off_while_etcd_compacts_its_history(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        world.cut("b")
        await asyncio.sleep(4 * FLUSH)
        await busy(world)
        revision = (await asyncio.to_thread(engine, world.nodes.running["a"]))["revision"]
        await asyncio.to_thread(etcdctl, world.etcd, "compact", str(revision))
        await world.heal("b")
        await busy(world)

    await survives(tmp_path, fault)


@pytest.mark.parametrize(("delay", "loss"), [(0.25, 0.0), (0.0, 0.1)], ids=["500 ms", "10 % lost"])
async def test_the_way_to_etcd_is_bad(tmp_path: Path, delay: float, loss: float) -> None:
    async def fault(world: World) -> None:
        for [proxy] in world.nodes.proxies.values():
            proxy.delay, proxy.loss = delay, loss
        await busy(world)
        await asyncio.sleep(LONG)
        for [proxy] in world.nodes.proxies.values():
            proxy.delay = proxy.loss = 0

    await survives(tmp_path, fault, ETCD_FLUSH_SECONDS=1)  # as by default: what takes half a second fits into it


# -- of etcd


async def test_the_member_that_leads_etcd_is_killed(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        member = await leader_of(world.etcd)
        member.kill()
        await busy(world)
        await asyncio.sleep(LONG)
        member.start(world.etcd.members)

    await survives(tmp_path, fault, size=3)


async def test_the_majority_of_etcd_is_away(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        for member in world.etcd.members[1:]:
            member.kill()
        await without_etcd(world)
        for member in world.etcd.members[1:]:
            member.start(world.etcd.members)
        await world.heal(*world.nodes.running)
        await busy(world)

    await survives(tmp_path, fault, size=3)


async def test_all_of_etcd_is_killed_and_started_again(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        world.etcd.kill()
        await without_etcd(world)
        world.etcd.members[0].start(world.etcd.members)
        await world.heal(*world.nodes.running)
        await busy(world)

    await survives(tmp_path, fault)


async def test_etcd_is_full(tmp_path: Path) -> None:
    quota = 16 * 1024 * 1024

    async def fault(world: World) -> None:
        await asyncio.to_thread(_fill, world.etcd)
        await without_etcd(world)
        await asyncio.to_thread(_empty, world.etcd)
        await world.heal(*world.nodes.running)
        await busy(world)

    await survives(tmp_path, fault, etcd=(f"--quota-backend-bytes={quota}",))


async def test_etcd_revokes_the_nodes_rights(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")

    async def fault(world: World) -> None:
        await asyncio.to_thread(_allow, world.etcd)
        for name in "abc":
            await world.kill(name, signal.SIGTERM)
            await world.nodes.start(name, ETCD_USER="registry", ETCD_PASSWORD_FILE=str(password))
        await asyncio.sleep(TTL)
        await asyncio.to_thread(_as_root, world.etcd, "role", "revoke-permission", "--prefix", "registry", "reg/")
        await without_etcd(world)
        await asyncio.to_thread(_as_root, world.etcd, *_GRANT)
        await world.heal(*world.nodes.running)
        await busy(world)

    await survives(tmp_path, fault)


async def test_a_value_in_etcd_that_cannot_be_read(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        life = world.beating[0]
        [key] = [
            line
            for line in (
                await asyncio.to_thread(etcdctl, world.etcd, "get", "--prefix", "reg/i/", "--keys-only")
            ).split()
            if life.ip in await asyncio.to_thread(etcdctl, world.etcd, "get", line, "--print-value-only")
        ]
        good = (await asyncio.to_thread(etcdctl, world.etcd, "get", key, "--print-value-only")).strip()
        await asyncio.to_thread(etcdctl, world.etcd, "put", key, good.replace("3001", "99999"))
        world.die(world.beating[1])
        await world.goodbye(world.beating[1])
        await world.kill("b")
        await asyncio.sleep(LONG)
        await asyncio.to_thread(etcdctl, world.etcd, "put", key, good)
        await world.nodes.start("b")
        await busy(world)

    await survives(tmp_path, fault)


async def test_an_older_backup_of_etcd_is_restored(tmp_path: Path) -> None:
    """Between backup and restore nobody came or went: what happened then would be lost, and each node says that etcd has gone back."""
    saved = tmp_path / "saved.db"

    async def fault(world: World) -> None:
        await asyncio.to_thread(world.etcd.back_up, saved)
        await asyncio.sleep(TTL)
        for name in world.nodes.running:
            world.deaf(name)
        await asyncio.to_thread(world.etcd.restore, saved)
        await world.etcd.start()
        await world.heal(*world.nodes.running)
        await busy(world)

    await survives(tmp_path, fault)


async def without_etcd(world: World) -> None:
    """No node hears it: somebody falls silent, nobody can come, and a goodbye is refused and yet heeded."""
    for name in world.nodes.running:
        world.deaf(name)
    await asyncio.sleep(4 * FLUSH)
    world.die(world.beating[0])
    await asyncio.sleep(LONG)


def _check_out(folder: Path) -> None:
    made = subprocess.run(["git", "archive", OLDER, "discovery", "zones"], cwd=ROOT, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"this checkout has no commit {OLDER}, which is the older version")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=made.stdout, check=True)  # Python 3.11.2's own has no safe way


def _fill(etcd: EtcdCluster) -> None:
    for number in range(1000):
        try:
            etcdctl(etcd, "put", f"other/{number}", "x" * 100_000)  # as much as an argument may have
        except subprocess.CalledProcessError:
            return
    raise AssertionError("etcd is not full")


def _empty(etcd: EtcdCluster) -> None:
    etcdctl(etcd, "del", "--prefix", "other/")
    revision = etcdctl(etcd, "endpoint", "status", "-w", "fields")
    [number] = [line.split()[-1] for line in revision.splitlines() if line.startswith('"Revision"')]
    etcdctl(etcd, "compact", number)
    etcdctl(etcd, "defrag")
    etcdctl(etcd, "alarm", "disarm")


_GRANT = ("role", "grant-permission", "--prefix=true", "registry", "readwrite", "reg/")


def _allow(etcd: EtcdCluster) -> None:
    etcdctl(etcd, "user", "add", "root:secret")
    etcdctl(etcd, "user", "grant-role", "root", "root")
    etcdctl(etcd, "user", "add", "registry:secret")
    etcdctl(etcd, "role", "add", "registry")
    etcdctl(etcd, *_GRANT)
    etcdctl(etcd, "user", "grant-role", "registry", "registry")
    etcdctl(etcd, "auth", "enable")


def _as_root(etcd: EtcdCluster, *arguments: str) -> str:
    return etcdctl(etcd, "--user=root:secret", *arguments)

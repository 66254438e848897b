"""A node knows from DATA_DIR which registry is its own, and how far its index was."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd import administration, membership
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.membership import FILE, Kept, Membership
from discovery.engines.etcd.messages import EtcdError, delete, put
from discovery.store.errors import EngineNotOpened
from tests.engines.etcd.cluster import EtcdCluster, Node, nodes_of, said
from tests.waiting import until

CONF = Conf("1a2b", RegistrySettings(3.0, 10, 1_000, 10_000, 0.5), 7)


def test_what_is_kept_is_read_again_and_a_person_can_read_it(tmp_path: Path) -> None:
    assert membership.read(tmp_path) is None
    kept = Kept(CONF._replace(moved=("http://10.0.0.1:3100",), more={"of a newer version": [1]}), 42)
    membership.write(tmp_path, kept)
    membership.write(tmp_path, kept)
    assert membership.read(tmp_path) == kept
    assert '"cluster": "1a2b"' in (tmp_path / FILE).read_text()
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"conf": 1, "index": 1}', '{"index": 1}', '{"conf": {}, "index": 1}', "\xff"]
)
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, "latin-1")
    with pytest.raises(EngineNotOpened, match=f"{FILE}: cannot be read .* remove it"):
        membership.read(tmp_path)


async def test_only_what_has_changed_is_written_and_a_disk_that_refuses_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = Kept(CONF, 1)
    keeps = Membership(tmp_path / "data", lambda: now)
    for _ in range(2):  # there is no such folder
        await keeps.keep()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(keeps.file) in caplog.text
    (tmp_path / "data").mkdir()
    await keeps.keep()
    keeps.file.unlink()
    await keeps.keep()
    assert not keeps.file.exists()
    now = Kept(CONF, 2)
    await keeps.close()
    assert membership.read(tmp_path / "data") == now


async def test_where_nothing_is_kept_nothing_is_read_or_written() -> None:
    keeps = Membership(None, lambda: Kept(CONF, 1))
    assert await keeps.read() is None
    await keeps.close()


async def once(node: Node) -> int:
    """Starts and ends; the index that it had."""
    await node.start()
    await node.stop()
    return node.registry.index


async def test_a_node_starts_again_on_its_own_registry_and_on_no_other(etcd: EtcdCluster, tmp_path: Path) -> None:
    await once(Node("a", etcd.urls, folder=tmp_path))
    await once(Node("a", etcd.urls, folder=tmp_path))
    kept = membership.read(tmp_path)
    assert kept is not None
    with pytest.raises(
        EngineNotOpened, match=rf"below typo/, has no registry, and .*{kept.conf.cluster}.*{FILE}.*cluster begin"
    ):
        await once(Node("a", etcd.urls, folder=tmp_path, prefix="typo/"))
    await once(Node("b", etcd.urls, prefix="other/"))
    with pytest.raises(EngineNotOpened, match=rf"below other/, has registry .*{kept.conf.cluster}.*remove .*{FILE}"):
        await once(Node("a", etcd.urls, folder=tmp_path, prefix="other/"))
    assert membership.read(tmp_path) == kept
    (tmp_path / FILE).unlink()
    await once(Node("a", etcd.urls, folder=tmp_path, prefix="other/"))


async def test_the_index_does_not_go_back_though_no_node_ran_when_etcd_did(
    etcd: EtcdCluster, client: Etcd, tmp_path: Path
) -> None:
    node = Node("a", etcd.urls, folder=tmp_path)
    await node.start()
    await node.register("web", "10.0.0.1")
    await node.stop()
    kept = membership.read(tmp_path)
    assert kept is not None
    assert kept.last == node.registry.index
    behind = kept.conf._replace(offset=kept.conf.offset - 5_000)  # as an older copy would have it
    await client.txn([], [put(b"reg/conf", behind.dumps())])
    again = Node("a", etcd.urls, folder=tmp_path)
    other = Node("b", etcd.urls)
    await other.start()
    assert other.registry.index < kept.last
    assert await once(again) > kept.last
    await until(lambda: other.registry.index == again.registry.index)
    await other.stop()


async def test_the_index_does_not_go_back_when_the_last_that_happened_was_somebody_s_etcdctl(
    etcd: EtcdCluster, client: Etcd, tmp_path: Path
) -> None:
    node = Node("a", etcd.urls, folder=tmp_path)
    await node.start()
    instance = await node.register("web", "10.0.0.1")
    await client.txn([], [delete(f"reg/i/web/{instance.id}".encode())])
    await until(lambda: not node.state)
    await node.stop()
    again = Node("a", etcd.urls, folder=tmp_path)
    assert await once(again) >= node.registry.index


async def test_a_registry_of_which_nothing_is_left_begins_again_above_its_index_and_running_nodes_follow(
    etcd: EtcdCluster, client: Etcd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes_of(etcd, 1, folder=tmp_path, ttl=600.0) as (node,):
        await node.register("web", "10.0.0.1")
        before = node.registry.index
        await until(lambda: membership.read(tmp_path) is not None)
        wiped(etcd)
        await etcd.start()
        await until(lambda: "`discovery cluster begin`" in caplog.text)
        assert node.served("web") == {"10.0.0.1"}, "it answers from what it knows"
        assert "`discovery cluster begin`" in str(node.engine.not_ready())
        kept = membership.read(tmp_path)
        assert kept is not None
        begun = await administration.begin(client, Layout("reg/"), kept)
        assert begun.revision + begun.conf.offset > kept.last
        with pytest.raises(EtcdError, match=f"it has registry {kept.conf.cluster} there"):
            await administration.begin(client, Layout("reg/"), kept._replace(last=1))
        await until(lambda: node.engine.not_ready() is None and not node.state)
        await node.register("web", "10.0.0.1")
        await until(lambda: is_there(client, b"reg/leader"))
        await until(lambda: node.engine.leads)
        late = Node("b", etcd.urls)
        assert await once(late) == node.registry.index > before
    assert caplog.text.count("etcd has gone back") == 1


async def test_a_node_that_finds_another_registry_where_its_own_was_says_which_and_keeps_out_of_it(
    etcd: EtcdCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        await node.register("web", "10.0.0.1")
        mine = node.engine.stats()["engine"]["cluster"]
        wiped(etcd)
        await etcd.start()
        other = Node("b", etcd.urls)
        await other.start()
        theirs = other.engine.stats()["engine"]["cluster"]
        await until(lambda: f"etcd has registry {theirs} now" in str(node.engine.not_ready()))
        assert f"belongs to {mine}" in caplog.text
        assert node.served("web") == {"10.0.0.1"}
        assert not other.state
        await other.stop()


async def is_there(client: Etcd, key: bytes) -> bool:
    return bool((await client.range(key)).found)


def wiped(etcd: EtcdCluster) -> None:
    [member] = etcd.members
    member.kill()
    shutil.rmtree(member.folder)


async def test_a_node_that_knows_its_registry_starts_though_the_configuration_cannot_be_read(
    etcd: EtcdCluster, client: Etcd, tmp_path: Path
) -> None:
    node = Node("a", etcd.urls, folder=tmp_path, ttl=600.0)
    await node.start()
    kept = await node.register("web", "10.0.0.1")
    await node.stop()
    written = (await client.range(b"reg/conf")).found[0].octets
    await client.txn([], [put(b"reg/conf", b"{")])
    async with nodes_of(etcd, 1, folder=tmp_path) as (again,):
        assert again.served("web") == {"10.0.0.1"}
        assert again.registry.lease_ttl == 600.0
        assert again.registry.index > node.registry.index
        assert "reg/conf" in said(again.engine)
        assert (await again.register("web", "10.0.0.2")).id != kept.id
        await client.txn([], [put(b"reg/conf", written)])
        await until(lambda: "reg/conf" not in said(again.engine))

"""Beside nodes of a newer version: fields that are not known stay; a format that is not known ends the process with a clear word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import put
from discovery.store.errors import NewerVersion
from discovery.store.operations import Drain
from tests.engines.etcd.cluster import EtcdCluster, Node, nodes_of
from tests.stories.cluster.nodes import etcd_of, etcdctl, node, starts_and_fails, url_of
from tests.stories.process import until as until_so
from tests.waiting import until


async def value(etcd: Etcd, key: str) -> Any:
    return json.loads((await etcd.range(key.encode())).found[0].octets)


@pytest.fixture
def conf() -> configuration.Conf:
    return configuration.Conf("c", RegistrySettings(10, 60, 100, 1000, 1), 5)


def test_a_newer_nodes_settings_stay_in_the_configuration_that_an_older_one_changes(conf: configuration.Conf) -> None:
    newer = json.dumps(json.loads(conf.dumps()) | {"shards": [1, 2]}).encode()
    changed = configuration.loads(newer)._replace(offset=20)
    assert json.loads(changed.dumps())["shards"] == [1, 2]
    assert configuration.loads(conf.dumps()) == conf


async def test_fields_that_are_not_known_stay_when_an_older_node_writes_the_instance(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        instance = await near.register("web", "10.0.0.1")
        key = f"reg/i/web/{instance.id}"
        shown = await value(client, key)
        newer = shown | {"region": "eu", "options": shown["options"] | {"color": "blue"}, "metadata": {"a": 1}}
        await client.txn([], [put(key.encode(), json.dumps(newer).encode())])
        await until(
            lambda: all(
                instance.id in each.state and each.state[instance.id].spec.metadata == b'{"a":1}'
                for each in (near, far)
            )
        )
        await far.submit(Drain(instance.spec.key, True, "a test"))
        written = await value(client, key)
        assert (written["region"], written["options"]["color"]) == ("eu", "blue")
        assert written["drainingSince"] is not None
        [decision] = await value(client, "reg/commit")
        assert decision["events"][0]["after"]["region"] == "eu", "newer nodes apply what stands there"
        await near.register("web", "10.0.0.1", metadata={"a": 2})
        assert (await value(client, key))["region"] == "eu"
        third = Node("third", etcd.urls, ttl=600.0)
        await third.start()
        await third.submit(Drain(instance.spec.key, False, "a test"))
        assert (await value(client, key))["options"]["color"] == "blue"
        await third.deregister(instance.id)
        await until(lambda: not near.state)
        assert all(not each.engine._mirror.layout.unknown._of for each in (near, third))
        await third.stop()


async def test_a_node_does_not_start_on_a_format_that_it_does_not_know(etcd: EtcdCluster, client: Etcd) -> None:
    async with nodes_of(etcd, 1):
        pass
    newer = await value(client, "reg/conf") | {"format": configuration.FORMAT + 1}
    await client.txn([], [put(b"reg/conf", json.dumps(newer).encode())])
    late = Node("late", etcd.urls)
    with pytest.raises(NewerVersion, match="its format is 2, this version knows 1"):
        await late.engine.open()
    await late.engine.close()


def test_a_newer_format_ends_a_running_node_with_1_and_a_clear_word(tmp_path: Path) -> None:
    with etcd_of(tmp_path) as etcd, node(etcd) as server:
        server.register("web", "10.0.0.1", 80)
        found = json.loads(etcdctl(etcd, "get", "--print-value-only", "reg/conf"))
        etcdctl(etcd, "put", "reg/conf", json.dumps(found | {"format": 2}))
        until_so(lambda: server.process.poll() is not None)
        assert server.stop() == 1
        said = "\n".join(server.log)
        assert "A newer version of this program writes to the registry that this node shares" in said
        status, said = starts_and_fails(ENGINE_URL=url_of(etcd.urls))
        assert (status, "its format is 2" in said) == (1, True)

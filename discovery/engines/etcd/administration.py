"""What an operator does to a cluster from outside: shows what all nodes agree on, and changes it for all. It needs etcd, no node."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.conf import AHEAD, Conf, Shared
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.membership import Kept
from discovery.engines.etcd.messages import EtcdError, created_at, end_of, put
from discovery.engines.etcd.settings import EtcdSettings


class Cluster(NamedTuple):
    """`leader`: empty while nobody leads. `nodes`: the names of those alive."""

    shared: Shared
    leader: str
    nodes: list[str]


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Etcd, Layout]]:
    """Of ENGINE_URL and ETCD_*. SettingsError."""
    settings = EtcdSettings.read()
    etcd = settings.client(url)
    await etcd.open()
    try:
        yield etcd, Layout(settings.etcd_prefix)
    finally:
        await etcd.close()


async def show(etcd: Etcd, layout: Layout) -> Cluster:
    """EtcdAway, EtcdError."""
    shared = await configuration.read(etcd, layout.conf)
    leader = (await etcd.range(layout.leader)).found
    beats = layout.key("h", "")
    nodes = (await etcd.range(beats, end_of(beats), keys_only=True)).found
    return Cluster(
        shared, leader[0].value.decode("utf-8", "replace") if leader else "", [layout.parts(each.key)[1] for each in nodes]
    )  # fmt: skip


async def begin(etcd: Etcd, layout: Layout, kept: Kept) -> Shared:
    """The registry that a node belongs to, where etcd has lost everything: its settings, and every index above those that it has had.
    EtcdAway, EtcdError; EtcdError where there is a registry.
    """
    conf = kept.conf._replace(offset=kept.last + AHEAD)
    await etcd.txn([created_at(layout.conf, 0)], [put(layout.conf, conf.dumps())])
    found = await configuration.read(etcd, layout.conf)
    if found.conf != conf:
        raise EtcdError(f"it has registry {found.conf.cluster} there; nothing was written")
    return found


async def change(etcd: Etcd, layout: Layout, values: Mapping[str, Any]) -> tuple[Conf, Shared]:
    """`values` by the names of their variables. What was, and what is. EtcdAway, EtcdError."""
    wanted = {variable.lower(): value for variable, value in values.items()}
    seen: list[Conf] = []

    def changed(found: Shared) -> Conf:
        seen.append(found.conf)
        return found.conf._replace(settings=found.conf.settings._replace(**wanted))

    after = await configuration.change(etcd, layout.conf, changed)
    return seen[-1], after

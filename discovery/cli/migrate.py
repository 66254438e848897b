"""`discovery migrate --to etcd|journal NODE…`: a single node's registry into etcd, while it runs, and back.

Into etcd: all is copied while the old node goes on; then a mark in DATA_DIR stops its writes, it lets the folder go, and what has
changed meanwhile is copied. Back: the nodes on etcd are told to take no more writes, and everything is read and put into DATA_DIR.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from cyclopts import Parameter

from discovery.cli.cluster import on_etcd
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.output import put_line
from discovery.core.event import Event, InstanceEvent, WindowEvent
from discovery.engines.etcd import shared_conf
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.migration import Migration
from discovery.engines.etcd.settings import EtcdSettings
from discovery.plugins.journal import moved, transport
from discovery.plugins.journal.errors import DataDirInUse
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.settings import JournalSettings
from discovery.rest.api.times import iso
from discovery.settings import Settings
from discovery.store.snapshot import Snapshot
from discovery.system.env import SettingsError

# Seconds in which a node sees the mark, writes down what it has, and lets the folder go.
_PATIENCE = 10.0


def migrate(
    *nodes: Annotated[str, Parameter(name="NODE", help="where clients go from now on, such as http://10.0.0.1:3100")],
    to: Annotated[Literal["etcd", "journal"], Parameter(help="where the registry's state goes")],
    dry_run: Annotated[bool, Parameter(help="only say what would be written")] = False,
    data_dir: Annotated[str | None, Parameter(help="instead of DATA_DIR")] = None,
) -> None:
    if not nodes and not dry_run:
        raise WrongArguments("migrate: name the nodes that take the writes afterwards, such as http://10.0.0.1:3100")
    for node in nodes:
        if urlsplit(node).scheme not in ("http", "https") or not urlsplit(node).hostname:
            raise WrongArguments(f"migrate {node}: is no address of a node; write it as http://10.0.0.1:3100")
    folder = Path(data_dir) if data_dir else JournalSettings.read().data_dir
    if folder is None:
        raise SettingsError(
            "DATA_DIR: is empty, so the single node keeps everything in memory and there is nothing to copy"
        )
    if to == "etcd":
        on_etcd(lambda etcd, layout: _into_etcd(_migration(etcd, layout), folder, nodes, dry_run))
    else:
        on_etcd(lambda etcd, layout: _into_journal(etcd, layout, folder, nodes, dry_run))


def _migration(etcd: Etcd, layout: Layout) -> Migration:
    settings = Settings.read()
    mine = EtcdSettings.read().conf(
        ttl=settings.heartbeat_timeout_seconds,
        max_instances_per_service=settings.max_instances_per_service,
        max_services=settings.max_services,
        max_instances=settings.max_instances,
    )
    return Migration(etcd, layout, mine)


async def _into_etcd(migration: Migration, folder: Path, nodes: tuple[str, ...], dry_run: bool) -> None:
    mark = moved.read(folder)
    if mark is not None and mark.cluster:
        put_line(
            f"the registry in {folder} moved to {', '.join(mark.nodes)} (cluster {mark.cluster}) at {iso(mark.at)}; there is nothing to do"
        )
        return
    first = transport.copy(folder, time.time())
    if dry_run:
        plan = await migration.plan(first)
        put_line(f"{_whole(first)} are in {folder}; would be written to etcd: {_counted(plan.events)}")
        _warn_of(plan.passed_over)
        return
    plan = await migration.copy(first)
    began = time.monotonic()
    moved.write(folder, moved.Mark(nodes, time.time()))
    try:
        with transport.let_go(folder, _PATIENCE) as read:
            last = read(time.time())
            rest = await migration.copy(last)
            shared = await migration.finish(last)
            moved.write(folder, moved.Mark(nodes, time.time(), shared.conf.cluster))
    except DataDirInUse as error:
        moved.remove(folder)
        raise Failed(f"{error}: it does not let go, perhaps it is of an older version; nothing has moved") from None
    put_line(
        f"{_whole(last)} are in etcd (cluster {shared.conf.cluster}), the index goes on above {last.index}; writes stood still for "
        f"{time.monotonic() - began:.1f} s at the most"
    )
    _warn_of(list(dict.fromkeys(plan.passed_over + rest.passed_over)))
    put_line(f"{folder / moved.FILE}: who serves this folder answers writes with 503 and names {', '.join(nodes)}")


async def _into_journal(etcd: Etcd, layout: Layout, folder: Path, nodes: tuple[str, ...], dry_run: bool) -> None:
    migration = _migration(etcd, layout)
    shared = await shared_conf.read(etcd, layout.conf)
    mark = moved.read(folder)
    there = (folder / FILE).exists()
    if shared.conf.moved and there and mark is None:
        put_line(
            f"the registry in etcd (cluster {shared.conf.cluster}) moved to {', '.join(shared.conf.moved)}, and {folder} has it; there is "
            "nothing to do"
        )
        return
    if dry_run:
        put_line(f"would be written to {folder / FILE}: {_whole(await migration.read(shared))}")
        if there:
            put_line(f"what is in {folder / FILE} now would be moved aside")
        return
    began = time.monotonic()
    shared = await migration.leave(nodes)
    snapshot = await migration.read(shared)
    replaced = transport.put(folder, snapshot)
    moved.remove(folder)
    put_line(
        f"{folder / FILE}: {_whole(snapshot)}, from etcd (cluster {shared.conf.cluster}), the index goes on above {snapshot.index}; writes "
        f"stood still for {time.monotonic() - began:.1f} s so far: start the server on {folder} now"
    )
    if replaced is not None:
        put_line(f"what was there before is in {replaced}")
    put_line(f"the nodes on etcd answer writes with 503 and name {', '.join(nodes)}")


def _whole(snapshot: Snapshot) -> str:
    return f"{len(snapshot.instances):,} instances, {len(snapshot.windows):,} maintenance windows and {len(snapshot.drains):,} drains"


def _counted(events: Iterable[Event]) -> str:
    counts = Counter(map(_what, events))
    return ", ".join(f"{count:,} {what}" for what, count in counts.items()) or "nothing, all of it is there"


def _what(event: Event) -> str:
    if isinstance(event, InstanceEvent):
        return (
            "removals of instances" if event.after is None else "changes of instances" if event.before else "instances"
        )
    return "maintenance windows" if isinstance(event, WindowEvent) else "drains"


def _warn_of(passed_over: list[str]) -> None:
    if passed_over:
        put_line(
            f"{len(passed_over):,} instances are passed over, since etcd has others at their addresses: {passed_over[0]} is one"
        )

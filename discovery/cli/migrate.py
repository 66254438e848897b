"""`discovery migrate` and `discovery migrate --back`: a single node's registry into etcd, and back, while nobody serves it.

Whoever has the folder has its lock, so the server is stopped first. Into etcd: a mark in the folder (`moved.json`) keeps a server from
being started on it, and only then do the nodes on etcd take writes. Back: they take none before all is read.
"""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from discovery.cli.cluster import on_etcd
from discovery.cli.env_file import DataDir, EnvFile, data_folder, use
from discovery.cli.errors import Failed
from discovery.cli.output import put_line
from discovery.core.kinds import DrainEvent, TokenEvent
from discovery.engines.etcd.administration import Migration
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.settings import EtcdSettings
from discovery.plugins.journal import files, moved
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.lock import Lock
from discovery.rest.api.times import iso
from discovery.settings import Settings
from discovery.store.values import Snapshot


def migrate(
    *,
    back: Annotated[bool, Parameter(help="from etcd into the folder")] = False,
    dry_run: Annotated[bool, Parameter(help="only say what would be written")] = False,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    use(env_file)
    folder = data_folder(data_dir)
    mine = EtcdSettings.read().conf(Settings.read().of_registry)
    called = f"{folder.absolute()} on {socket.gethostname()}"
    work = _back if back else _into_etcd
    with contextlib.closing(Lock(folder)):
        on_etcd(lambda etcd, layout: work(Migration(etcd, layout, mine, called), folder, dry_run))


async def _into_etcd(migration: Migration, folder: Path, dry_run: bool) -> None:
    conf = await _conf(migration)
    mark = moved.read(folder)
    if mark is not None and conf is not None and mark.cluster == conf.cluster and not conf.moved:
        put_line(
            f"the registry in {folder} moved to etcd (cluster {conf.cluster}) at {iso(mark.at)}; there is nothing to do"
        )
        return
    if conf is not None and not conf.moved and (there := await migration.read(conf)).instances:
        raise Failed(
            f"etcd has registry {conf.cluster} already, with {_counted(there)}: nothing was written; two registries are not joined, so "
            "name another ETCD_PREFIX, or delete those keys if nobody needs them"
        )
    snapshot = files.read(folder, time.time())
    if dry_run:
        put_line(f"would be written to etcd: {_counted(snapshot)}, from {folder / FILE}")
        return
    began = time.monotonic()
    shared = await migration.put(snapshot)
    _compare(snapshot, await migration.read(shared.conf), "etcd")
    moved.write(folder, moved.Mark(time.time(), shared.conf.cluster))
    await migration.finish()
    put_line(
        f"{_counted(snapshot)} are in etcd (cluster {shared.conf.cluster}), as many as in {folder / FILE}, after "
        f"{time.monotonic() - began:.1f} s; the index goes on above {snapshot.index}. Start the nodes now, with ENGINE_URL"
    )
    put_line(f"{folder / moved.FILE}: no server starts on this folder alone, until `discovery migrate --back`")


async def _back(migration: Migration, folder: Path, dry_run: bool) -> None:
    conf = await _conf(migration)
    if conf is None:
        raise Failed("etcd has no registry below ETCD_PREFIX: nothing was written")
    if conf.moved and moved.read(folder) is None and (folder / FILE).exists():
        put_line(
            f"the registry of etcd (cluster {conf.cluster}) moved to {', '.join(conf.moved)} already; there is nothing to do"
        )
        return
    if dry_run:
        put_line(f"would be written to {folder / FILE}: {_counted(await migration.read(conf))}")
        if (folder / FILE).exists():
            put_line(f"what is in {folder / FILE} now would be moved aside")
        return
    began = time.monotonic()
    shared = await migration.leave()
    snapshot = await migration.read(shared.conf)
    replaced = files.put(folder, snapshot)
    _compare(snapshot, files.read(folder, time.time()), str(folder / FILE))
    moved.remove(folder)
    put_line(
        f"{folder / FILE}: {_counted(snapshot)}, as many as in etcd (cluster {shared.conf.cluster}), after "
        f"{time.monotonic() - began:.1f} s; the index goes on above {snapshot.index}. Start the server on {folder} now, without ENGINE_URL"
    )
    if replaced is not None:
        put_line(f"what was there before is in {replaced}")


async def _conf(migration: Migration) -> Conf | None:
    """What is agreed on in etcd. Failed while nodes run there."""
    if running := await migration.running():
        raise Failed(
            f"these nodes run on etcd: {', '.join(running)}; stop them first (one that was killed counts until its lease ends, after up to "
            "90 s)"
        )
    return await migration.conf()


def _compare(given: Snapshot, found: Snapshot, where: str) -> None:
    """Failed when it is not the same that was given; nothing is marked then, so it can be done again."""
    of_one, of_other = _counted(given), _counted(found)
    same = {each.id for each in given.instances} == {each.id for each in found.instances}
    if of_one != of_other or not same:
        raise Failed(f"there are {of_other} in {where} and not {of_one}: nothing has moved; do it again")


def _counted(snapshot: Snapshot) -> str:
    drains, tokens = snapshot.number(DrainEvent), snapshot.number(TokenEvent)
    return f"{snapshot.counted}, {drains:,} drains and {tokens:,} revoked tokens"

"""`discovery cluster show|set NAME=VALUE|begin`: what all nodes on one etcd agree on.

It reads ENGINE_URL and ETCD_* as the server does and speaks to etcd itself: whoever has its credentials may do it, and no node need run.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from pydantic import TypeAdapter, ValidationError

from discovery.cli.commands import group
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.output import Column, Format, put_line, put_rows
from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd import administration, membership
from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import EtcdAway, EtcdError, with_hint
from discovery.engines.etcd.settings import EtcdSettings
from discovery.plugins.journal import JournalSettings
from discovery.settings import Settings
from discovery.system.env import SettingsError

T = TypeVar("T")

cluster = group("cluster")

_COLUMNS = (Column("setting"), Column("value", fold=True))


@cluster.command
def show(*, output: Format = "table") -> None:
    """the settings that hold for all nodes, and who is there"""
    found = on_etcd(administration.show)
    conf, _, revision = found.shared
    rows = [{"setting": variable, "value": value} for variable, value in _settings(conf).items()]
    more: dict[str, Any] = {
        "cluster": conf.cluster,
        "nodes": found.nodes,
        "leader": found.leader,
        "revision": revision,
        "index": revision + conf.offset,
        "movedTo": list(conf.moved),
    }
    rows += [{"setting": name, "value": value} for name, value in more.items() if value]
    put_rows(rows, _COLUMNS, output, name="setting", whole={**more, "settings": _settings(conf)})


@cluster.command(name="set")
def set_(
    *pairs: Annotated[
        str, Parameter(name="NAME=VALUE", help="such as MAX_INSTANCES_PER_SERVICE=50; all of them at once")
    ],
) -> None:
    """change settings for all nodes, which adopt them at once"""
    if not pairs:
        raise WrongArguments("cluster set: write NAME=VALUE; `discovery cluster show` lists the names")
    values = dict(map(_value, pairs))
    before, after = on_etcd(lambda etcd, layout: administration.change(etcd, layout, values))
    was, now = _settings(before), _settings(after.conf)
    for name in values:
        put_line(
            f"{name} is {now[name]} already"
            if was[name] == now[name]
            else f"{name} was {was[name]} and is {now[name]} for all nodes, from revision {after.version} on"
        )


@cluster.command
def begin(
    *,
    yes: Annotated[bool, Parameter(help="do it; without it, only say what would be done")] = False,
    data_dir: Annotated[str | None, Parameter(help="of a node of that registry, instead of DATA_DIR")] = None,
) -> None:
    """where etcd has lost everything: the same registry again, from what this machine keeps of it"""
    folder = Path(data_dir) if data_dir else JournalSettings.read().data_dir
    kept = membership.read(folder) if folder is not None else None
    if folder is None or kept is None:
        raise Failed(
            f"DATA_DIR: there is no {membership.FILE} in {folder or 'it, for it is empty'}, so this machine had no node of the registry; "
            "run it on one that had, or name that node's folder with --data-dir"
        )
    what = (
        f"registry {kept.conf.cluster}, as {folder / membership.FILE} has it: its settings, nothing registered, and every index above "
        f"{kept.last}"
    )

    async def carried_out(etcd: Etcd, layout: Layout) -> str:
        found = await configuration.find(etcd, layout.conf)
        where = f"{etcd.endpoint}, below {layout.prefix.decode()}"
        if found is not None:
            raise Failed(
                f"etcd at {where}, has registry {found.conf.cluster}: there is nothing to begin; nothing was written"
            )
        if not yes:
            return f"with --yes this begins in etcd at {where}: {what}"
        await administration.begin(etcd, layout, kept)
        return f"begun in etcd at {where}: {what}; nodes that run follow by themselves, others can be started"

    put_line(on_etcd(carried_out))


def on_etcd(question: Callable[[Etcd, Layout], Awaitable[T]]) -> T:
    """SettingsError where ENGINE_URL is none of etcd's; Failed where etcd does not answer, or refuses."""
    url = Settings.read().engine_url
    if not url.startswith(("etcd://", "etcds://")):
        raise SettingsError(f"ENGINE_URL: names no etcd (it is {url!r}); write etcd://HOST:2379,HOST:2379")

    async def asked() -> T:
        async with administration.opened(url) as (etcd, layout):
            return await question(etcd, layout)

    try:
        return asyncio.run(asked())
    except EtcdAway as error:
        raise Failed(with_hint(f"ENGINE_URL: {error}")) from None
    except EtcdError as error:
        raise Failed(with_hint(f"etcd refuses: {error}")) from None


def _settings(conf: Conf) -> dict[str, Any]:
    return {field.upper(): value for field, value in conf.settings._asdict().items()}


def _value(pair: str) -> tuple[str, Any]:
    """A setting's name and its value, within the bounds that a server's own has. WrongArguments."""
    name, separator, text = pair.partition("=")
    variable = name.strip().upper()
    if not separator:
        raise WrongArguments(f"cluster set {pair}: write NAME=VALUE")
    known = [field.upper() for field in RegistrySettings._fields]
    if variable not in known:
        near = difflib.get_close_matches(variable, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise WrongArguments(f"cluster set {name}: is no setting that all nodes have in common; {hint}")
    kind = EtcdSettings if variable.startswith("ETCD_") else Settings
    field = kind.model_fields[variable.lower()]
    kind_of_value: Any = Annotated[field.annotation, field]
    try:
        return variable, TypeAdapter(kind_of_value).validate_python(text.strip())
    except ValidationError as error:
        raise WrongArguments(f"cluster set {variable}: {error.errors()[0]['msg']} (it is {text!r})") from None

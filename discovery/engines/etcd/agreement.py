"""What all nodes have in common beside the registry's state: the configuration, and the names that any node's zone files reserve."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from discovery.core import exact_json
from discovery.engines.etcd import conf as configuration
from discovery.engines.etcd import membership
from discovery.engines.etcd.conf import AHEAD, Conf, Shared
from discovery.engines.etcd.following import Lost
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.membership import Kept
from discovery.engines.etcd.messages import Change, created_at, put
from discovery.store.errors import NewerVersion
from discovery.store.registry import Registry

_log = logging.getLogger("discovery.etcd")


@dataclass(eq=False)
class Agreement:
    """`conf`: this node's own at first, then everybody's; `version`: the revision that wrote it, which each write compares. `adopt`: told
    of each that holds from now on.
    """

    etcd: Etcd
    layout: Layout
    registry: Registry
    node: str
    conf: Conf
    adopt: Callable[[Conf], None]

    def __post_init__(self) -> None:
        self._names_key = self.layout.key("z", self.node)
        self._own = self.conf.settings
        self.version = 0
        self._reserved: dict[str, Mapping[str, str]] = {}  # of the other nodes, by node
        self._told: tuple[int, Mapping[str, str]] | None = None  # the lease, and the names that were put on it

    async def agree(self, kept: Kept | None, file: Path) -> None:
        """The first node writes its own settings, the others adopt them. `kept`: what this one knows from before, in that file.
        EngineNotOpened when it belongs to another registry.
        """
        if kept is not None:
            await self._agree_again(kept, file)
            return
        # The index must not begin below one that a single node has given before. Fits the serial's 32 bits.
        first = self.conf._replace(cluster=configuration.new_cluster(), offset=int(time.time()))
        await self.etcd.txn([created_at(self.layout.conf, 0)], [put(self.layout.conf, first.dumps())])
        self._take(await configuration.read(self.etcd, self.layout.conf))

    async def _agree_again(self, kept: Kept, file: Path) -> None:
        try:
            found = await configuration.find(self.etcd, self.layout.conf)
        except configuration.ConfUnreadable as error:  # what this node knows holds, as at those that run
            found = Shared(kept.conf, error.version, error.revision)
        prefix = self.layout.conf.decode().removesuffix("conf")
        membership.check(kept, found and found.conf, file, f"etcd at {self.etcd.endpoint}, below {prefix},")
        assert found is not None
        self._take(found)
        if found.revision + found.conf.offset < kept.last:
            _log.error(
                "etcd has gone back: it is at index %(_now)d, this node has had %(_had)d (an older copy was restored?); the index is "
                "raised for all",
                {
                    "event": "etcd.went_back", "revision": found.revision, "known": kept.last - found.conf.offset, "etcd": "",
                    "_now": found.revision + found.conf.offset, "_had": kept.last,
                },
            )  # fmt: skip
            await self._raise(found.revision, kept.last)

    async def raise_offset(self, revision: int) -> None:
        """etcd has gone back to this revision; whoever is first to notice moves all indexes above those that were given before."""
        await self._raise(revision, self.registry.index)

    async def _raise(self, revision: int, index: int) -> None:

        def raised(found: Shared) -> Conf:
            conf = found.conf
            if conf.cluster != self.conf.cluster:
                mine = self.conf.cluster
                raise Lost(
                    f"etcd has registry {conf.cluster} now, and this node belongs to {mine}: restore a backup of {mine} there, or, to have "
                    f"this node join {conf.cluster}, end it, remove {membership.FILE} from its DATA_DIR and start it again"
                )
            if revision + conf.offset > index:
                return conf
            return conf._replace(offset=index + AHEAD - revision)

        self._take(await configuration.change(self.etcd, self.layout.conf, raised))

    async def put_back(self, lease: int) -> None:
        """Where somebody has removed the configuration: a node that starts would make another registry of the same keys."""
        if self.version == 0:
            await self.etcd.txn([created_at(self.layout.conf, 0)], [put(self.layout.conf, self.conf.dumps())])

    def on_conf(self, change: Change) -> None:
        """ValueError when it cannot be read; it stays as it was then."""
        if change.mod_revision < self.version:
            return  # read for a comparison, before the watch brought a newer one
        self.version = 0 if change.value is None else change.mod_revision
        if change.value is None:
            raise ValueError("somebody has removed it; it is put back as it was")
        conf = configuration.loads(change.value)
        if conf.offset < self.conf.offset:
            raise ValueError(f"its offset is {conf.offset} and was {self.conf.offset}: the index would go back")
        if conf.cluster == self.conf.cluster:
            self._take(Shared(conf, self.version, self.version))
        else:
            _log.error(
                "etcd has the configuration of another registry, %(cluster)s; it is not adopted",
                {"event": "etcd.another_registry", "cluster": conf.cluster},
            )

    def _take(self, found: Shared) -> None:
        conf, self.version = found.conf, found.version
        if conf.format > configuration.FORMAT:
            raise NewerVersion(f"its format is {conf.format}, this version knows {configuration.FORMAT}")
        self.conf = conf
        self.adopt(conf)

    def differences(self) -> Iterator[str]:
        """Settings of this node that are others for all."""
        for field, mine, all_have in zip(self.conf.settings._fields, self._own, self.conf.settings, strict=True):
            if mine != all_have:
                name = field.upper()
                yield f"{name} is {mine} here and {all_have} for all nodes, which holds; set it here too, or `discovery cluster set`"

    # -- reserved names

    async def tell_names(self, lease: int) -> None:
        """The other nodes, what this one's zone files reserve; again on another lease."""
        reserved = self.registry.reserved
        if self._told is None or self._told[0] != lease or self._told[1] is not reserved:
            await self.etcd.txn([], [put(self._names_key, exact_json.dumps(dict(reserved)), lease)])
            self._told = lease, reserved

    def on_names(self, node: str, change: Change) -> None:
        """ValueError when they cannot be read."""
        if node == self.node:
            return
        self._reserved.pop(node, None)
        if change.value is not None:
            found = exact_json.loads(change.value)
            if not isinstance(found, dict):
                raise ValueError("reserved names are an object")
            self._reserved[node] = {str(name): str(why) for name, why in found.items()}
        self.registry.reserved_elsewhere = {name: why for each in self._reserved.values() for name, why in each.items()}

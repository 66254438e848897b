"""Zone transfer to secondaries: AXFR (RFC 5936) and IXFR (RFC 1995) for clients of listed networks that sign with a TSIG key
(RFC 8945), and NOTIFY (RFC 1996) when something has changed. README.md beside this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from discovery.core.event import Commit
from discovery.core.network import Network
from discovery.core.warning import each, warning
from discovery.dns.server.responder import Respond
from discovery.dns.zones.zone import Zone
from discovery.plugins import Plugin, Seams
from discovery.plugins.transfer import keys
from discovery.plugins.transfer.responder import TransferResponder
from discovery.plugins.transfer.sending import Sending
from discovery.plugins.transfer.settings import Secondary, TransferSettings
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.system.env import SettingsError
from discovery.system.files import Reloaded


class Transfer(Plugin):
    """`sources`: addresses that secondaries are told from; none: where DNS listens.

    `clock`: monotonic seconds; `wall`: seconds since the epoch, which TSIG is about. KeysUnusable."""

    def __init__(
        self,
        keys_file: Path,
        networks: Sequence[Network],
        secondaries: Sequence[Secondary],
        sources: Sequence[str],
        registry: Registry,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._keys = Reloaded("transfer_keys", [keys_file], partial(keys.load, keys_file))
        self._keys.load()
        self._networks = networks
        self._wall = wall
        self.sending = Sending(registry, clock, wall)
        self._sources = sources
        from discovery.plugins.transfer.notify import Notifier  # dnspython as a client: nobody else's start needs it

        self._notifiers = [
            Notifier(one, lambda: next(iter(self._keys.value.values())), lambda: self._sources, wall)
            for one in secondaries
        ]

    def install(self, seams: Seams) -> None:
        self._sources = self._sources or seams.dns_addresses
        seams.concerns.extend(
            [
                warning("notify_unanswered", lambda: each(filter(None, (one.warning() for one in self._notifiers)))),
                warning("secondary_behind", lambda: self.sending.taken.behind(self.sending.zones, self._wall())),
            ]
        )
        seams.responders.append(self.respond)
        seams.zones.append(self.follow)
        seams.followers.append(self.follow_commit)
        seams.index_followers.append(self.follow_index)
        seams.files.append(self._keys)

    def respond(self, inner: Respond) -> Respond:
        return TransferResponder(inner, self.sending, lambda: self._keys.value, self._networks, self._wall).respond

    def follow(self, zones: Sequence[Zone]) -> None:
        self.sending.follow(zones)
        for notifier in self._notifiers:
            notifier.follow(zones)

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if event.service is not None:
                self.sending.changed(event.service)

    def follow_index(self, services: Collection[str]) -> None:
        self.sending.published()
        for notifier in self._notifiers:
            notifier.moved()

    def stats(self) -> Mapping[str, Any]:
        sending = self.sending
        numbers = {"sent": sending.sent, "cutShort": sending.cut_short, "underWay": sending.under_way}
        told = [notifier.shown() for notifier in self._notifiers]
        return {"transfers": numbers | {"taken": sending.taken.shown(sending.zones), "told": told}}

    async def open(self, engine: Engine) -> None:
        for notifier in self._notifiers:
            notifier.start()

    async def close(self) -> None:
        for notifier in self._notifiers:
            await notifier.close()


def make(registry: Registry, clock: Callable[[], float]) -> Transfer | None:
    settings = TransferSettings.read()
    if settings.transfer_keys_file is None:
        return None
    try:
        return Transfer(
            settings.transfer_keys_file,
            settings.transfer_allow,
            settings.transfer_notify,
            settings.transfer_notify_source,
            registry,
            clock,
        )
    except keys.KeysUnusable as error:
        raise SettingsError(str(error)) from None

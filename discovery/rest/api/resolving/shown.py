"""The JSON of instances in GET /resolve/NAME, as `views.resolved` has it. All but the status and the last heartbeat is kept: it stays the
same from one change of the instance to the next.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.rest.api import views
from discovery.rest.api.times import Times, iso
from discovery.store.service import Entry

# Instances, at half a kilobyte each; and octets of metadata and lists, beyond which one is not kept. All are forgotten when they are too
# many: the next questions bring back what is used.
MAX_KEPT = 16_384
MAX_EXTRA = 512

_STATUS, _BEAT, _REST = ',"status":"', '","lastHeartbeat":"', '","registeredAt":'

# The instance that it is said of, and its JSON up to the status and behind the last heartbeat.
_Kept = tuple[Instance, str, str]


class Shown:
    def __init__(self, times: Times) -> None:
        self._times = times
        self._kept: dict[str, _Kept] = {}  # by id

    def all(self, entries: Iterable[Entry], now: float, status: Status | None = None) -> orjson.Fragment:
        """The list of them, each as it has to be seen at `now`. `status`: of all of them; None: it is looked up."""
        wall_of, kept, texts = self._times.walls(now), self._kept, []
        for entry in entries:
            instance = entry.instance
            known = kept.get(instance.id)
            if known is None or known[0] is not instance or entry.output is not None:
                known = self._keep(entry, now)
            _, first, rest = known
            beat = iso(wall_of(entry.lease.renewed_at))
            texts.append("".join((first, status or entry.status_at(now), _BEAT, beat, rest)))
        return orjson.Fragment(f"[{','.join(texts)}]")

    def _keep(self, entry: Entry, now: float) -> _Kept:
        text = orjson.dumps(views.resolved(entry, now, self._times)).decode()
        first, _, rest = text.partition(_STATUS)  # no id or address has a quotation mark
        kept = (entry.instance, first + _STATUS, _REST + rest.partition(_REST)[2])
        if entry.output is None and entry.instance.spec.extra_octets <= MAX_EXTRA:
            # An output may change without the instance.
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[entry.instance.id] = kept
        return kept

"""What imports have brought from other registries, by where from: how many there are, and how many of them are held as suspects because
nothing is heard of their import. It follows the commits. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.metric import Metric
from discovery.core.status import SILENT, Status
from discovery.core.warning import Concern, critical


class Copies:
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Status]] = Counter()

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                self._count(event.before, -1)
                self._count(event.after, 1)

    def _count(self, instance: Instance | None, by: int) -> None:
        if instance is not None and (origin := instance.spec.imported_from) is not None:
            self._counts[origin, instance.status] += by
            if not self._counts[origin, instance.status]:
                del self._counts[origin, instance.status]

    def concern(self) -> Concern:
        return critical("import_silent", self._silent)

    def _silent(self) -> Mapping[str, str]:
        silent, all_ = Counter[str](), Counter[str]()
        for (origin, status), count in self._counts.items():
            all_[origin] += count
            silent[origin] += count * (status in SILENT)
        return {origin: _told(origin, count, all_[origin]) for origin, count in silent.items() if count}

    def metric(self) -> Metric:
        return Metric(
            "gauge", "discovery_imported_instances", "Copies of other registries' instances, by status.", self._read, ("origin", "status")
        )  # fmt: skip

    def _read(self) -> Mapping[tuple[str, ...], float]:
        return {(origin, str(status)): count for (origin, status), count in self._counts.items()}


def _told(origin: str, silent: int, count: int) -> str:
    return (
        f"{silent} of {count} copies from {origin} are renewed no longer: they are suspects for the --hold of their import, and then go; "
        f"does {origin} answer, and does `discovery import {origin} --follow` run, and say why?"
    )

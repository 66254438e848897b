"""Questions to the files of the history, newest first. Runs in a thread of its own pool; each file is opened for the question alone.

A file that turns out to be broken is passed over, and the answer says so.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from discovery.core.address import is_host_name
from discovery.core.errors import DiscoveryError
from discovery.core.event import octets_of
from discovery.core.kinds import SettingsEvent
from discovery.plugins.history import file, past, rows
from discovery.plugins.history.asked import Asked, Cursor, NotKnown, Page, ServerEvent, ServiceAt, TooSlow
from discovery.plugins.history.file import Ended, Gap, Info, gap_after, life_of
from discovery.plugins.history.rows import PER_COMMIT, StoredEvent
from discovery.system import sqlite

T = TypeVar("T")

# Seconds for one question.
PATIENCE = 5.0
# Octets of events after which a page ends, as one of /changes does.
PAGE_OCTETS = 1024 * 1024
# Instructions of SQLite between two looks at the clock, about 1 ms.
_LOOK = 20_000
# `instant_of`, in SQL.
_INSTANT = "CASE WHEN kind='unhealthy' AND lapsed IS NOT NULL THEN lapsed ELSE wall END"
# What a row says that is not what was written, or was written by a newer version.
_UNREADABLE = (ValueError, TypeError, KeyError, AssertionError, DiscoveryError)


class Reading:
    """One question. `files`: oldest first, the last is being written. `skipped`: names of files that are not among them. `broken` gets
    those that turn out to be. `ended`: whether nobody waits for the answer any more. TooSlow, from whatever takes longer than its patience.
    """

    def __init__(
        self,
        files: Sequence[Info],
        skipped: Sequence[str] = (),
        broken: list[Path] | None = None,
        patience: float = PATIENCE,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._files = files
        self._patience = patience
        self._until = time.monotonic() + patience
        self._ended = ended
        self.broken = [] if broken is None else broken
        self._missing = [f"{name} could not be read" for name in skipped]

    # -- what happened

    def page(self, asked: Asked) -> Page:
        found: list[StoredEvent | ServerEvent] = []
        since = self._files[0].wall if self._files else None
        for info, gap in self._newest_first():
            if asked.before is not None and info.number > asked.before.file:
                continue
            if asked.until is not None and info.wall - past.MAX_LATE > asked.until:
                continue
            if asked.since is not None and info.ended is not Ended.NOT and _ends(info, gap) < asked.since:
                continue
            if gap is not None and gap.unrecorded:
                self._missing.append(gap.told)
            found += self._of_file(asked, info, gap, asked.limit + 1 - len(found))
            if len(found) > asked.limit:
                break
        if asked.since is not None and (since is None or asked.since < since):
            self._missing.append("it does not go back so far")
        items = found[: min(asked.limit, _fit(found))]
        more = Cursor(items[-1].file, items[-1].key) if len(found) > len(items) else None
        return Page(items, more, since, "; ".join(self._missing) or None)

    def _newest_first(self) -> Iterator[tuple[Info, Gap | None]]:
        """Each file with what lies behind it."""
        following = None
        for info in reversed(self._files):
            yield info, None if following is None else gap_after(info, following)
            following = info

    def _of_file(self, asked: Asked, info: Info, gap: Gap | None, limit: int) -> list[StoredEvent | ServerEvent]:
        below = asked.before.key if asked.before is not None and asked.before.file == info.number else None
        found: list[StoredEvent | ServerEvent] = [
            each for each in life_of(info, gap) if asked.wants(each) and (below is None or each.key < below)
        ]
        events = self._ask(info, lambda sql: list(self._read(_events(sql, asked, below, limit))))
        found += [each._replace(file=info.number) for each in events or ()]
        return sorted(found, key=lambda each: each.key, reverse=True)[:limit]

    # -- how it was

    def service_at(self, service: str, instant: float, untold: Mapping[str, float]) -> ServiceAt:
        """`untold`: as `past.instances` wants it. NotKnown."""
        since = self._files[0].wall if self._files else None
        later: list[StoredEvent] = []
        for info, gap in self._newest_first():
            if info.wall > instant:
                untold = {}  # what is not told yet comes after all files
                later = self._ask(info, lambda sql: list(self._read(_lapses(sql, service, instant)))) or []
                continue
            if gap is not None and gap.unrecorded and gap.since < instant:
                raise NotKnown(gap.told, since)
            if gap is not None and gap.since < instant < gap.until:
                down, sure = (gap.told, True) if instant > gap.surely else (None, False)
            else:
                down, sure = None, True
            ask = partial(self._as_it_was, service=service, instant=instant, later=later, untold=untold)
            found = self._ask(info, ask)
            if found is None:
                raise NotKnown("; ".join(self._missing), since)
            return found._replace(down=down, since=since, sure=sure)
        raise NotKnown("The history does not go back so far", since)

    # -- reading

    def _as_it_was(
        self,
        sql: sqlite3.Connection,
        service: str,
        instant: float,
        later: list[StoredEvent],
        untold: Mapping[str, float],
    ) -> ServiceAt:
        known = [(rows.instance(row[:-1]), row[-1]) for row in _known(sql, service)]
        besides = [rows.value(content) for (content,) in _values(sql, service)]
        events = list(self._read(_until(sql, service, instant)))
        instances = past.instances(instant, known, [*events, *later], untold)
        return ServiceAt(
            instances,
            past.values_at(instant, {(type(each), each.key): each.after for each in besides}, events),
            None,
            None,
        )

    def _ask(self, info: Info, ask: Callable[[sqlite3.Connection], T]) -> T | None:
        """None where the file cannot be read; `missing` tells. TooSlow."""
        try:
            with contextlib.closing(sqlite.opened(info.path, "ro")) as sql:
                sql.set_progress_handler(self._is_over, _LOOK)
                return ask(sql)
        except (sqlite3.Error, *_UNREADABLE) as error:
            if self._is_over():
                raise TooSlow(self._patience) from None
            self._missing.append(f"{info.path.name} could not be read")
            if file.is_about_the_file(error) and info.path.exists():  # else it was dropped meanwhile
                self.broken.append(info.path)
            return None

    def _is_over(self) -> bool:
        return time.monotonic() > self._until or self._ended()

    def _read(self, found: Iterable[rows.Row]) -> Iterator[StoredEvent]:
        for row in found:
            try:
                yield rows.stored(row)
            except _UNREADABLE:
                self._missing.append(f"event {row[0] // PER_COMMIT} could not be read")


def _fit(found: Sequence[StoredEvent | ServerEvent]) -> int:
    """How many make a page, by their octets."""
    octets = 0
    for number, each in enumerate(found, 1):
        octets += octets_of(each.event) if isinstance(each, StoredEvent) else 0
        if octets > PAGE_OCTETS:
            return number
    return len(found)


def _ends(info: Info, gap: Gap | None) -> float:
    return info.alive if gap is None else gap.until


def _events(sql: sqlite3.Connection, asked: Asked, below: int | None, limit: int) -> Iterable[rows.Row]:
    conditions: list[str] = ["1"]
    values: list[Any] = []

    def add(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if below is not None:
        add("key<?", below)
    if asked.since is not None:
        add(f"key>=? AND {_INSTANT}>=?", _first_key(sql, asked.since), asked.since)
    if asked.until is not None:
        add(f"key<? AND {_INSTANT}<?", _first_key(sql, asked.until + past.MAX_LATE), asked.until)
    if asked.ip is not None:
        add(
            "lower(rtrim(ip,'.'))=?" if is_host_name(asked.ip) else "ip=?", asked.ip
        )  # stored as it was sent; no index helps
    if asked.actor is not None:
        add("(actor=? AND actor<>'' OR address=?)", asked.actor, asked.actor)
    for column, words in (("service", asked.services), ("kind", asked.kinds)):
        if words is not None:
            add(f"{column} IN ({','.join('?' * len(words))})", *words)
    where = " AND ".join(conditions)
    return sql.execute(f"SELECT {rows.EVENT} FROM event WHERE {where} ORDER BY key DESC LIMIT ?", (*values, limit))  # noqa: S608


def _first_key(sql: sqlite3.Connection, wall: float, *, behind: bool = False) -> int:
    """Of the first event that was committed at that time or later, or (`behind`) later: they are in the order of time. Beyond the last when
    there is none.
    """
    least, most = sql.execute("SELECT min(key), max(key)+1 FROM event").fetchone()
    if least is None:
        return 0
    while least < most:
        middle = (least + most) // 2
        key, found = sql.execute("SELECT key, wall FROM event WHERE key>=? ORDER BY key LIMIT 1", (middle,)).fetchone()
        if found > wall or (found == wall and not behind):
            most = middle
        else:
            least = key + 1
    return int(least)


def _known(sql: sqlite3.Connection, service: str) -> Iterable[rows.Row]:
    return sql.execute(f"SELECT {rows.KNOWN} FROM known WHERE service=? ORDER BY rowid", (service,))  # noqa: S608


def _values(sql: sqlite3.Connection, service: str) -> Iterable[rows.Row]:
    return sql.execute("SELECT content FROM window WHERE service=? OR service IS NULL", (service,))


def _until(sql: sqlite3.Connection, service: str, instant: float) -> Iterable[rows.Row]:
    """Of each instance the last event until then and the last that changed its status, those about windows, and the last about the
    settings; then the lapses that were told later.
    """
    after = _first_key(sql, instant, behind=True)
    last = "SELECT max(key) FROM event WHERE service=:service AND key<:after AND id IS NOT NULL"
    found = f"""
        SELECT {rows.EVENT} FROM event WHERE key IN (
            {last} GROUP BY id
            UNION {last} AND kind<>'updated' GROUP BY id
            UNION SELECT key FROM event WHERE service=:service AND key<:after AND id IS NULL
            UNION SELECT max(key) FROM event WHERE kind=:settings AND key<:after
        ) ORDER BY key
    """  # noqa: S608
    yield from sql.execute(found, {"service": service, "after": after, "settings": SettingsEvent.kind.names[0]})
    yield from _lapses(sql, service, instant)


def _lapses(sql: sqlite3.Connection, service: str, instant: float) -> Iterable[rows.Row]:
    """That were told after the instant and had come about by then."""
    after, late = _first_key(sql, instant, behind=True), _first_key(sql, instant + past.MAX_LATE, behind=True)
    found = f"SELECT {rows.EVENT} FROM event WHERE service=? AND key>=? AND key<? AND lapsed<=? ORDER BY key"  # noqa: S608
    return sql.execute(found, (service, after, late, instant))

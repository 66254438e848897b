"""All that is in etcd, read at one revision, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from discovery.core import codec, exact_json
from discovery.core.instance import Instance
from discovery.core.kinds import of_letter
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.difference import Found
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change, KeyValue, end_of
from discovery.engines.etcd.unknown_fields import UnknownFields

# Keys of one page of a range read: 1 ms for etcd; and of one turn of the event loop here, 28 µs each.
_PAGE = 250

# Keys of these kinds are put by what moves the index; `conf` for an etcd in which nothing has happened, or that has gone back.
_CHANGES = ("v", "commit", "conf")

# Of decisions alone.
_OF_WRITES = frozenset({"v", "id", "commit"})

# Of keys that are no part of the registry's state: their path below the prefix and the change (value None: gone).
OnKey = Callable[[Sequence[str], Change], None]


class Reader:
    """`timed`: the instance with the ttl that holds now. `on_key`: told of all keys that are no part of the state; ValueError when one
    cannot be read. `skip`: told of each that cannot.
    """

    def __init__(
        self,
        timed: Callable[[Instance], Instance],
        on_key: OnKey,
        skip: Callable[[bytes, Exception], None],
        unknown: UnknownFields,
    ) -> None:
        self._timed = timed
        self._on_key = on_key
        self._skip = skip
        self._unknown = unknown
        self._others: set[bytes] = set()  # what `on_key` was told of, and is there

    async def read_all(self, etcd: Etcd, layout: Layout, *, of_state_alone: bool = False) -> Found:
        """EtcdAway, EtcdError. `of_state_alone`: nobody is told of other keys; else also of those that are there no longer: this node may
        not have followed when they went.
        """
        found, others = Found(), set[bytes]()
        start, more = layout.prefix, True
        while more:
            page = await etcd.range(start, end_of(layout.prefix), revision=found.revision, limit=_PAGE)
            found.revision = found.revision or page.revision
            found.etcd = page.etcd
            for each in page.found:
                parts = layout.parts(each.key)
                if keys.is_state(parts[0]) or parts[0] in _CHANGES:
                    found.changed = max(found.changed, each.mod_revision)
                if parts[0] in keys.COMPARED:
                    found.revisions[each.key] = each.mod_revision
                if keys.is_state(parts[0]):
                    self.read(found, parts, each)
                elif parts[0] not in _OF_WRITES and not of_state_alone:
                    others.add(each.key)
                    self.other(parts, Change(*each))
            more = page.more and bool(page.found)
            if more:
                start = page.found[-1].key + b"\0"
        if not of_state_alone:
            for key in self._others - others:
                self.other(layout.parts(key), Change(key, None, 0, found.revision))
        return found

    def other(self, parts: Sequence[str], change: Change) -> None:
        """One key that is no part of the state."""
        if change.value is None:
            self._others.discard(change.key)
        else:
            self._others.add(change.key)
        try:
            self._on_key(parts, change)
        except ValueError as error:
            self._skip(change.key, error)

    def read(self, found: Found, parts: list[str], each: KeyValue) -> None:
        """One key of the state."""
        try:
            match parts:
                case ["i", service, id]:
                    shown = exact_json.loads(each.value)
                    instance = self._timed(codec.instance(shown))
                    self._unknown.note(shown)
                    found.add(instance, service, id, each.create_revision)
                case ["t", _]:
                    found.bury(exact_json.loads(each.value))
                case [letter, *path] if (of := of_letter(letter)) is not None:
                    value = of.kind.loads(exact_json.loads(each.value))
                    if value is not None:
                        found.values[of][of.kind.keys.of_path(path)] = value
        except (ValueError, KeyError, TypeError, AttributeError, codec.UnknownEvent) as error:
            self._skip(each.key, error)

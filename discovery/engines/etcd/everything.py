"""All that is in etcd, read at one revision, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from discovery.core import codec, exact_json
from discovery.core.instance import Instance
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.difference import Found
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change, KeyValue, end_of
from discovery.engines.etcd.unknown_fields import UnknownFields

# Keys of one page of a range read: 1 ms for etcd; and of one turn of the event loop here, 28 µs each.
_PAGE = 250

# Keys of these kinds are put by what moves the index; `conf` for an etcd in which nothing has happened, or that has gone back.
_CHANGES = frozenset({"i", "w", "d", "t", "r", "v", "commit", "conf"})

# Of keys that are no part of the registry's state: their path below the prefix and the change (value None: gone).
OnKey = Callable[[Sequence[str], Change], None]


class Reader:
    """`timed`: the instance with the ttl that holds now. `on_key`: told of all other keys; ValueError when one cannot be read. `skip`: told
    of each that cannot.
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

    async def read_all(self, etcd: Etcd, layout: Layout) -> Found:
        """EtcdAway, EtcdError."""
        found = Found()
        start, more = layout.prefix, True
        while more:
            page = await etcd.range(start, end_of(layout.prefix), revision=found.revision, limit=_PAGE)
            found.revision = found.revision or page.revision
            found.etcd = page.etcd
            for each in page.found:
                parts = layout.parts(each.key)
                if parts[0] in _CHANGES:
                    found.changed = max(found.changed, each.mod_revision)
                if parts[0] == "v" and len(parts) == 2:
                    found.versions[parts[1]] = each.mod_revision
                else:
                    self.read(found, parts, each)
            more = page.more and bool(page.found)
            if more:
                start = page.found[-1].key + b"\0"
        return found

    def read(self, found: Found, parts: list[str], each: KeyValue) -> None:
        """One key."""
        try:
            match parts:
                case ["i", service, id]:
                    shown = exact_json.loads(each.value)
                    instance = self._timed(codec.instance(shown))
                    self._unknown.note(shown)
                    found.add(instance, service, id, each.create_revision)
                case ["w", *scope] if scope:
                    window = codec.window(exact_json.loads(each.value))
                    if window is not None:
                        found.windows[keys.scope_of(scope)] = window
                case ["d", *scope] if scope:
                    drained = codec.drained(exact_json.loads(each.value))
                    if drained is not None:
                        found.drains[keys.key_of(keys.scope_of(scope))] = drained
                case ["r", sha256]:
                    revoked = codec.revocation(exact_json.loads(each.value))
                    if revoked is not None:
                        found.revoked[keys.sha256_of(sha256)] = revoked
                case ["t", _]:
                    found.bury(exact_json.loads(each.value))
                case ["commit"]:
                    pass
                case _:
                    self._on_key(parts, Change(*each))
        except (ValueError, KeyError, TypeError, AttributeError, codec.UnknownEvent) as error:
            self._skip(each.key, error)

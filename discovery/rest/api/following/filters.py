"""Which instances a request means: `tag`, `zone`, `port` and `meta.KEY` of a query. Pure.

All that is given has to hold. Names compare without case, as in DNS: `tag=blue` means the instances of `blue.SERVICE`, `port=3001`
those of `p3001.SERVICE`, `zone=eu` those of `eu.zone.SERVICE`. `meta.KEY=value` compares what stands under KEY at the top of the
metadata, dots in KEY included: a string as it is; a number, true, false and null as their JSON in the answers. Lists and objects are
like no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discovery.core import exact_json, metadata
from discovery.core.event import Event, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.name import fold
from discovery.core.options import MAX_TAGS
from discovery.rest.api import parameters
from discovery.rest.api.following import event_view
from discovery.rest.api.query import Table, Values

# Each searches the metadata up to three times, 65 µs for 16 KiB that were made to be slow to search.
MAX_META = 4
# Characters of the value, as of KEY (`query.MAX_NAME`): at the worst a search takes so many times the metadata's 16 KiB.
MAX_META_TEXT = 128
# Of metadata that is searched and parsed in 10 µs at the worst.
_OCTETS_OF_WORK = 90


# Of every route that filters instances.
FILTERS: Table = {
    "tag": parameters.tag("the instances with this tag; several: with all of them", MAX_TAGS),
    "zone": parameters.locality("the instances of this locality"),
    "port": parameters.port("the instances at this port; empty: those without one"),
    "meta.": parameters.text(MAX_META_TEXT, "what stands under KEY in the metadata", MAX_META, "2.1"),
}
# Of every route that filters events.
EVENT_FILTERS: Table = {
    **FILTERS,
    "service": parameters.names("the events of these services"),
    "kind": parameters.some_of(event_view.KINDS, "the events of these kinds"),
}


class MetaIs:
    """What `meta.KEY=text` asks. Most metadata is told apart by its octets, and only what may match is parsed."""

    __slots__ = ("_key", "_scalar", "_spellings", "_text")

    def __init__(self, key: str, text: str) -> None:
        name = exact_json.dumps(key) + b":"
        self._key = key
        self._text = text
        self._spellings = [name + exact_json.dumps(text)]
        self._scalar = _scalar(text)
        if self._scalar is not _NONE:
            self._spellings += [name + text.encode() + end for end in (b",", b"}")]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetaIs) and (self._key, self._text) == (other._key, other._text)

    def __hash__(self) -> int:
        return hash((self._key, self._text))

    def may_match(self, packed: bytes) -> bool:
        """`packed`: metadata as a registration keeps it. False: it does not."""
        return any(spelling in packed for spelling in self._spellings)

    def matches(self, content: Mapping[str, Any]) -> bool:
        """Metadata that `may_match`, parsed."""
        value = content.get(self._key, _NONE)
        if isinstance(value, str):
            return value == self._text
        return value is not _NONE and type(value) is type(self._scalar) and bool(value == self._scalar)


_NONE = object()


def _scalar(text: str) -> object:
    """What `text` is as JSON; _NONE when it is none, or a string, a list or an object."""
    try:
        value = exact_json.loads(text.encode())
    except ValueError:
        return _NONE
    return _NONE if isinstance(value, str | list | dict) else value


@dataclass(frozen=True, slots=True)
class Filter:
    """False when it means every instance. `tags` and `zone` are folded."""

    tags: frozenset[str] = frozenset()
    zone: str | None = None
    port: int | None = None
    meta: tuple[MetaIs, ...] = ()

    @classmethod
    def of(cls, values: Values) -> Filter:
        """`values`: of `query.parse`, with a table that has FILTERS in it."""
        meta: dict[str, Any] = values.get("meta.", {})
        return cls(
            frozenset(values.get("tag", ())),
            values.get("zone"),
            values.get("port"),
            tuple(MetaIs(key, text) for key, text in meta.items()),
        )

    def __bool__(self) -> bool:
        return bool(self.tags or self.meta) or self.zone is not None or self.port is not None

    def matches(self, instance: Instance) -> bool:
        """1 µs; where metadata is parsed, what `work` says."""
        spec = instance.spec
        if self.port is not None and spec.port != self.port:
            return False
        if self.zone is not None and spec.locality != self.zone:
            return False
        if self.tags and not self.tags <= {fold(tag) for tag in spec.tags}:
            return False
        if not self.meta:
            return True
        if not all(each.may_match(spec.metadata) for each in self.meta):
            return False
        content = metadata.unpack(spec.metadata)
        return all(each.matches(content) for each in self.meta)

    def work(self, instance: Instance) -> int:
        """About how long `matches` takes, 10 µs each; 1.8 ms for 16 KiB of metadata that was made to be slow. Many are asked in several
        turns.
        """
        return 1 + len(instance.spec.metadata) // _OCTETS_OF_WORK if self.meta else 1


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class EventFilter:
    """False when it means every event. `services` folded and `kinds`; None: all."""

    services: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    instances: Filter = NO_FILTER

    @classmethod
    def of(cls, values: Values) -> EventFilter:
        """`values`: of `query.parse`, with a table that has EVENT_FILTERS in it."""
        return cls(values.get("service"), values.get("kind"), Filter.of(values))

    def __bool__(self) -> bool:
        return self.services is not None or self.kinds is not None or bool(self.instances)

    def passes(self, event: Event) -> bool:
        """An instance that no longer has the tag, or is gone, had it before: whoever follows the tag has to hear of that. What is not about
        a registered instance is not among those with a tag.
        """
        if self.services is not None and event.service not in self.services:
            return False
        if self.kinds is not None and event.name not in self.kinds:
            return False
        if not self.instances:
            return True
        if not isinstance(event, InstanceEvent):
            return False
        return any(self.instances.matches(one) for one in (event.after, event.before) if one is not None)

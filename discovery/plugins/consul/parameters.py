"""What a query says, as Consul's API has it. What is not known is passed over. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from discovery.plugins.consul import durations
from discovery.plugins.consul.manners import NO_INDEX, Refused

# Parameters of one request.
MAX_PARAMETERS = 64
# Go's strconv.ParseBool.
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True", ""), ("0", "f", "F", "FALSE", "false", "False")
_MAX_INDEX = 2**64 - 1
# Seconds; as in Consul.
_MAX_WAIT = 600.0


class Asked(NamedTuple):
    """`values`: all, by name, each in the order sent. `seen` None: it does not wait; else for something newer than this index, at most
    `wait` seconds (None: as the server likes).
    """

    values: dict[str, list[str]]
    seen: int | None
    wait: float | None

    def first(self, name: str) -> str | None:
        found = self.values.get(name)
        return None if found is None else found[0]

    def flag(self, name: str) -> bool:
        """By its value; without one it is true. Refused 400."""
        text = self.first(name)
        if text is None or text in _FALSE:
            return False
        if text in _TRUE:
            return True
        raise Refused(400, f"Invalid value for ?{name}")

    @property
    def consistency(self) -> str:
        stale, consistent = "stale" in self.values, "consistent" in self.values
        return "stale" if stale else "consistent" if consistent else "leader"

    @property
    def node_meta(self) -> list[tuple[str, str]]:
        """Keys and values that a node has to have."""
        pairs = (each.partition(":") for each in self.values.get("node-meta", ()))
        return [(key, value) for key, _, value in pairs]

    @property
    def form(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What it asks for, however long it waits and whoever asks."""
        return tuple((name, tuple(found)) for name, found in sorted(self.values.items()) if name not in _NO_PART)


_NO_PART = frozenset({"index", "wait", "token", "hash"})


def read(query: str, datacenter: str) -> Asked:
    """Refused, as Consul does."""
    values: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS) if query else []
    except ValueError:
        raise Refused(400, f"the query has more than {MAX_PARAMETERS} parameters") from None
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    first = {name: found[0] for name, found in values.items()}
    index, wait = _index(first.get("index", "")), _wait(first.get("wait", ""))
    if "stale" in values and "consistent" in values:
        raise Refused(400, "Cannot specify ?stale with ?consistent, conflicting semantics.")
    if first.get("ns", "") not in ("", "default"):
        why = 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
        raise Refused(400, f"Bad request: {why}")
    if first.get("dc", "") not in ("", datacenter):
        raise Refused(500, "No path to datacenter", NO_INDEX)
    asked = Asked(values, index, wait)
    asked.flag("passing")
    return asked


def _index(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20) or int(text) > _MAX_INDEX:
        raise Refused(400, "Invalid index")
    return int(text) or None


def _wait(text: str) -> float | None:
    if not text:
        return None
    seconds = durations.seconds_of(text)
    if seconds is None:
        raise Refused(400, "Invalid wait time")
    return min(seconds, _MAX_WAIT) if seconds > 0 else None

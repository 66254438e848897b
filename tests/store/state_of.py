"""All that a registry is made of, as plain values: whether anything at all has changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Any

from discovery.store.state import State


def state_of(state: State) -> Any:
    """Of every attribute, however deep, but for who follows and how ids are made."""
    return _plain(state, {})


def _plain(thing: Any, seen: dict[int, int]) -> Any:
    if isinstance(thing, str | bytes | int | float | type(None) | type):
        return thing
    if isinstance(thing, Random):
        return thing.getstate()
    if callable(thing) and not hasattr(thing, "__slots__"):
        return id(thing)
    if id(thing) in seen:
        return ("seen", seen[id(thing)])
    seen[id(thing)] = len(seen)
    if isinstance(thing, Mapping):
        return [(_plain(key, seen), _plain(value, seen)) for key, value in thing.items()]
    if isinstance(thing, list | tuple | deque | set | frozenset):
        return [_plain(each, seen) for each in thing]
    slots = [name for of in type(thing).__mro__ for name in getattr(of, "__slots__", ())]
    names = [*getattr(thing, "__dict__", ()), *(name for name in slots if hasattr(thing, name))]
    return (type(thing).__name__, [(name, _plain(getattr(thing, name), seen)) for name in names])

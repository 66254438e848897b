"""What another registry has, in the words of this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Json = dict[str, Any]

# In the metadata of what `sync` has told to another registry: whose it is. Nobody imports it, and nobody tells of it again.
MARK = "discovery-sync"

# How an instance does, from bad to good: of several entries at one address the best counts.
_HEALTH = ("failing", "warning", "passing")
# What the registry keeps of an output, octets.
_OUTPUT = 4096


class Key(NamedTuple):
    """One instance: the service's name and the address, in the spelling by which they are compared; port None: it has none."""

    name: str
    ip: str
    port: int | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Key:
        """Of a body of PUT /instances, or an instance as the registry shows it."""
        return cls(str(body["name"]).lower(), str(body["ip"]).lower().rstrip("."), body.get("port"))

    def __str__(self) -> str:
        place = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{self.name} {place}" if self.port is None else f"{self.name} {place}:{self.port}"


class SourceAway(Exception):
    """The other registry gave no answer of use. `str(error)`: which, and why."""


class SourceError(Exception):
    """What cannot be imported from, or told to, whatever one waits. `str(error)` says what to do."""


@contextmanager
def understood(name: str) -> Iterator[None]:
    """What it answers is JSON of the shape that is expected, or SourceAway."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceAway(f"{name} answered with what no such registry says ({type(error).__name__}: {error})") from None


@dataclass
class Found:
    """`bodies`: of PUT /instances, by key. `notes`: what is left out or not as it is there, a sentence each."""

    bodies: dict[Key, Json] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, body: Json) -> None:
        """Several at one address are one instance: with the tags of all, as well as the best of them, and what each says in the words of
        its registry.
        """
        body["output"] = body.get("output", "").encode()[:_OUTPUT].decode(errors="ignore")
        key = Key.of(body)
        known = self.bodies.get(key)
        if known is None:
            self.bodies[key] = body
            return
        self.notes.append(f"{key}: several entries are one instance here, as well as the best of them")
        better = max(known, body, key=lambda each: _HEALTH.index(each["health"]))
        tags = dict.fromkeys([*known.get("tags", ()), *body.get("tags", ())])
        words = dict(known.get("importedAs", {}))
        for name, said in body.get("importedAs", {}).items():
            words[name] = [*words.get(name, ()), *said]
        self.bodies[key] = known | {
            "tags": list(tags), "health": better["health"], "output": better["output"], "importedAs": words
        }  # fmt: skip


class Source(Protocol):
    """`name`: as `importedFrom` has it, a URL without a secret."""

    name: str

    async def check(self, ignores_keys: bool) -> None:
        """SourceError: it has what would be lost. SourceAway."""

    @property
    def found(self) -> Found:
        """All that there was when it was read last."""

    async def read(self) -> None:
        """All that there is now. SourceAway."""

    async def follow(self, changed: Callable[[], None]) -> None:
        """Reads it and goes on reading, until SourceAway. `changed`: is told once all is read, and of each change."""

    async def close(self) -> None: ...


class Target(Protocol):
    """Where `sync` tells what registers here. `mark`: whose it is, in the metadata and the ids there. All of it comes to
    the same when it is repeated. SourceAway; `put`: SourceError where it takes no such thing.
    """

    name: str
    mark: str

    async def known(self) -> Mapping[str, str]:
        """What was told there with this mark: the services' names by the instances' ids."""

    async def put(self, instance: Mapping[str, Any]) -> None: ...

    async def beat(self, instance: Mapping[str, Any]) -> bool:
        """Whether it is still there."""

    async def remove(self, id: str, name: str) -> bool:
        """Whether it was still there."""

    async def close(self) -> None: ...

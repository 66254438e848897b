"""Body fields that a route does not read. They are accepted, as the original did, and named in the reply's `warnings`: a slip of the
keyboard in an optional field is otherwise found out when the field is missed.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.rest.api.shapes import Shape

# Names in one reply, and characters of each: a stranger's.
MAX_NAMED = 8
_MAX_SHOWN = 64


class Fields:
    """The fields that a body may have: those of `shapes`."""

    def __init__(self, *shapes: Shape) -> None:
        self.names = frozenset(name for shape in shapes for name in shape.properties)
        self._by_stem = {_stem(name): name for name in sorted(self.names, reverse=True)}  # port before ports

    def said_of(self, sent: Iterable[str]) -> dict[str, list[str]]:
        """For the reply; nothing when there is nothing to say."""
        found = self.warnings(sent)
        return {"warnings": found} if found else {}

    def warnings(self, sent: Iterable[str]) -> list[str]:
        """One for each name of `sent` that is none of these."""
        unknown = [name for name in sent if name not in self.names]
        found = [self._warning(name) for name in unknown[:MAX_NAMED]]
        if len(unknown) > MAX_NAMED:
            found.append(f"{len(unknown) - MAX_NAMED} more fields are not read here")
        return found

    def _warning(self, name: str) -> str:
        meant = self._by_stem.get(_stem(name[:_MAX_SHOWN]))
        guess = "" if meant is None else f"; did you mean {meant}?"
        return f"{name[:_MAX_SHOWN]!r} is not read here{guess}"


def _stem(name: str) -> str:
    """Without what people get wrong most: `max_answers` is `maxAnswers`, `tag` is `tags`."""
    return name.lower().replace("_", "").replace("-", "").removesuffix("s")

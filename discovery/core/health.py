"""What is found of an instance's health, by itself or by a check of it: passing, warning or failing, and in words what was found."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from discovery.core.checked import moment, text
from discovery.core.errors import InvalidField

# Octets; as much as Consul keeps of a check's output.
MAX_OUTPUT = 4096


class Health(StrEnum):
    PASSING = "passing"
    WARNING = "warning"  # served as the others are, with `warningWeight`
    FAILING = "failing"  # alive, and to be left out of answers


class Finding(NamedTuple):
    """`output`: what was said when it came to that. `since`: when, epoch seconds; 0.0 where nothing was ever said."""

    health: Health = Health.PASSING
    output: str = ""
    since: float = 0.0

    @classmethod
    def of(cls, health: object, output: object = None, field: str = "") -> Finding:
        """From what a client sent; InvalidField. `field`: what stands before the names of the fields. `since` is the server's."""
        return cls(health_named(f"{field}health", health), _output(output, f"{field}output"))

    @property
    def reason(self) -> str:
        """Of the event that the instance says this of itself from now on."""
        if self.health is Health.PASSING:
            return "it says of itself that it is healthy again"
        what = self.output or ("that it fails" if self.health is Health.FAILING else "that not all is well")
        return f"it says of itself: {what}"

    def dumps(self) -> dict[str, Any]:
        return self._asdict()

    @classmethod
    def loads(cls, found: Mapping[str, Any]) -> Finding:
        """ValueError, KeyError, TypeError: somebody may have written it by hand."""
        return cls(Health(found["health"]), text(found["output"]), moment(found["since"]))


# Of all that never said anything: one object.
WELL = Finding()
_HEALTHS: Mapping[object, Health] = {each.value: each for each in Health}


def health_named(field: str, value: object) -> Health:
    """InvalidField."""
    found = _HEALTHS.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidField(field, "must be passing, warning or failing")
    return found


def _output(value: object, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidField(field, "must be a string")
    octets = len(value.encode(errors="surrogatepass"))
    if octets > MAX_OUTPUT:
        raise InvalidField(field, f"is {octets:,} octets long, at most {MAX_OUTPUT:,} are kept")
    return value.encode(errors="replace").decode()

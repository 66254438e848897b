"""The shapes that several bodies and answers have in common, as the OpenAPI document has them. They check nothing: what the values of a
body mean is checked by `core`, so that every way in has the same rules, and the tests hold answers to their shapes.

Fields of bodies that a route does not read are accepted, as the original did, whose clients send more than it reads; and named in the
reply's `warnings`: a slip of the keyboard in an optional field is otherwise found out when the field is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from discovery.core.address import PORT
from discovery.core.health import Health
from discovery.core.options import OPTIONS
from discovery.core.schema import (
    FLAG,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    WHOLE,
    Schema,
    by_name,
    described,
    list_of,
    one_of,
    or_null,
)
from discovery.core.status import Status
from discovery.core.warning import Severity


@dataclass(frozen=True, eq=False)
class Shape:
    """A JSON object that has a name in the OpenAPI document. `fields`: their schemas, which may be or have Shapes in them; a name that ends
    in `?` is of a field that may be missing, and is never null then. `more`: whether it may have others; None: that is not said.
    """

    name: str
    fields: Mapping[str, Schema | Shape]
    description: str = ""
    more: bool | None = None

    def also(self, name: str, fields: Mapping[str, Schema | Shape], description: str = "") -> Shape:
        """One that has these, too."""
        return Shape(name, {**self.fields, **fields}, description, self.more)

    @property
    def properties(self) -> dict[str, Schema | Shape]:
        return {name.removesuffix("?"): schema for name, schema in self.fields.items()}

    @property
    def required(self) -> list[str]:
        return [name for name in self.fields if not name.endswith("?")]

    @property
    def schema(self) -> Schema:
        found = {"type": "object", "properties": self.properties, "required": self.required}
        return described(found | ({} if self.more is None else {"additionalProperties": self.more}), self.description)


def without_shapes(schema: Any, named: dict[str, Any]) -> Any:
    """With references in place of the shapes in it; `named`: the schemas that these stand for."""
    if isinstance(schema, Shape):
        if schema.name not in named:
            named[schema.name] = without_shapes(schema.schema, named)
        return {"$ref": f"#/components/schemas/{schema.name}"}
    if isinstance(schema, Mapping):
        return {name: without_shapes(each, named) for name, each in schema.items()}
    return [without_shapes(each, named) for each in schema] if isinstance(schema, list) else schema


def like(schema: Schema, *examples: Any) -> Schema:
    return {**schema, "examples": list(examples)}


def said(example: str) -> Schema:
    """A message."""
    return like(TEXT, example)


# What is asked over DNS: with escapes, as in a zone file, it may be nearly anything.
DOMAIN = {"type": "string", "pattern": "^[!-~]{1,1004}$", "examples": ["user-service.svc.local"]}
IP = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "examples": ["10.0.0.7"]}
ADDRESS = {
    "type": "string",
    "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"format": "hostname", "pattern": "\\."}],
    "examples": ["10.0.0.7"],
}
TIME = {"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}
STATUS, HEALTH = one_of(Status), one_of(Health)
# A whole number, or a decimal string as clients have it that read it from their environment.
_DECIMAL = {"type": "string", "pattern": "^[0-9]{1,5}$"}
SENT_PORT = {"anyOf": [PORT, _DECIMAL]}
SENT_PORT_OR_NONE = {"anyOf": [PORT, _DECIMAL, NULL, {"const": ""}]}
# Of answers. Null: it has none.
SHOWN_PORT = or_null(PORT)
WARNINGS = like(list_of(TEXT), ["'tag' is not read here; did you mean tags?"])


def reply(name: str, fields: Mapping[str, Schema | Shape], description: str = "", more: bool | None = None) -> Shape:
    """Every answer says when it was made, and, while this node does not hear of what happens at the others, for how many seconds."""
    stamps = {"timestamp": TIME, "stale?": described(WHOLE, "how old what it says is, seconds")}
    return Shape(name, {**fields, **stamps}, description, more)


# -- of answers

IDENTITY = Shape("Identity", {"id": TEXT, "name": TEXT, "ip": ADDRESS, "port": SHOWN_PORT})
REGISTERED = IDENTITY.also("Registered", {"status": STATUS, "registeredAt": TIME})
WINDOW = Shape("Window", {"reason": TEXT, "until": TIME})
# Where the registration has them, and they are not the default.
SHOWN_OPTIONS: Mapping[str, Schema | Shape] = {
    **{f"{option.name}?": option.schema for option in OPTIONS},
    "health?": described(HEALTH, "what it says of itself, where that is not `passing`"),
    "output?": described(TEXT, "what it found, in its words"),
    "warning?": described(FLAG, "it or a check of it warns: its weight is its warningWeight"),
}
RESOLVED = Shape(
    "Resolved",
    {
        **SHOWN_OPTIONS, "id": TEXT, "ip": ADDRESS, "port": SHOWN_PORT, "status": STATUS, "lastHeartbeat": TIME, "registeredAt": TIME,
        "metadata": OBJECT,
    },
)  # fmt: skip
CHECK_STATES = described(
    by_name(
        Shape("CheckState", {"health": HEALTH, "output": TEXT, "since": or_null(TIME)}, "`since` null: it has always passed.")
    ),
    "what its checks say, by their ids; one that is not there has always passed",
)  # fmt: skip
# Where it is so.
DECIDED: Mapping[str, Schema | Shape] = {
    "draining?": FLAG,
    "checkFailure?": TEXT,
    "checkStates?": CHECK_STATES,
    "lapsedAt?": described(TIME, "it is known after its lease, which ended then, and counted as nobody"),
}
LISTED = RESOLVED.also(
    "Listed",
    {**DECIDED, "name": TEXT, "isHealthy": FLAG, "timeSinceHeartbeat": like(TEXT, "12s"), "maintenance?": WINDOW},
)
_HEARTBEATS = Shape(
    "Heartbeats",
    {"everySeconds": like(NUMBER, 3.333), "nextDue": TIME, "missed": WHOLE},
    "`everySeconds`: between two, as it was told at first, and at most so far. `missed`: since the last.",
)
_REFUSED = Shape(
    "RefusedHeartbeats",
    {"since": TIME, "count": WHOLE, "why": like(TEXT, "its token expired")},
    "`why`: of the last one; the names of tokens only to admins and to whoever may write the service.",
)
_LAST_CHECK = Shape(
    "LastCheck", {"at": TIME, "failure": or_null(TEXT)}, "Of its active check. `failure` null: it passed."
)
# The account of an instance: `why` it is `served` or not.
ACCOUNTED: Mapping[str, Schema | Shape] = {
    "served": FLAG,
    "why": like(TEXT, "its lease runs"),
    "since": described(or_null(TIME), "of its status; null: not known"),
    "until": described(
        or_null(TIME), "null: not known, or until somebody ends it; of a healthy one until its lease ends, and longer with each heartbeat"
    ),
    "by": described(or_null(TEXT), "who took it out, for admins and whoever may write the service"),
    "next": described(like(TEXT, "without a heartbeat it leaves the answers"), "what happens next; empty of the past"),
    "lastHeartbeat": described(or_null(TIME), "null: not known"),
    "heartbeats?": _HEARTBEATS,
    "refusedHeartbeats?": _REFUSED,
    "lastCheck?": _LAST_CHECK,
}  # fmt: skip
ACTOR = Shape(
    "Actor",
    {"name": TEXT, "address": TEXT},
    '`name`: of the token, "" without one. `address`: the client\'s, "" of what the server does of itself.',
)
READY_WARNING = Shape(
    "ReadyWarning",
    {
        "code": like(TEXT, "zones_failed"),
        "severity": one_of(Severity),
        "count": WHOLE,
        "text?": described(TEXT, "what is wrong, with what, and what to do"),
        "since?": TIME,
        "see?": described(TEXT, "its entry in Troubleshooting"),
    },
    "What is not as it should be, though all can be asked. `count`: how many there are of this code. Who may not read has each code once, "
    "without the rest.",
)
# -- body fields that a route does not read

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

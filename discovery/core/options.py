"""The optional fields of a registration: what each may be, and how JSON has it. One list for HTTP, the journal, the audit log and other
nodes; `instance.Registration` has their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from discovery.core.address import PORT, parse_port
from discovery.core.check import CHECKS, PLAIN_FORM, as_check, as_checks, checks_of
from discovery.core.checked import or_none, seconds_of, whole_of
from discovery.core.errors import InvalidField
from discovery.core.lease import MAX_KEEP, MAX_TTL, MIN_TTL
from discovery.core.name import LABEL, fold, label, plain_text
from discovery.core.schema import Schema, by_name, described, list_of, one_of, string
from discovery.core.shared import shared

# A registration is kept for every instance, so each list in it is bounded. Octets: of one tag, and of all.
MAX_TAGS = 64
MAX_TAG = 1024
MAX_TAGS_OCTETS = 16 * 1024
MAX_PORTS = 32
# SkyDNS's defaults: room to prefer or to spare an instance in both directions.
DEFAULT_WEIGHT = 100
DEFAULT_PRIORITY = 10
# Of one that warns: a hundredth of the others' share.
DEFAULT_WARNING_WEIGHT = 1
NO_KEEP = NO_HOLD = 0.0
# Octets of where an instance was imported from: a URL.
MAX_IMPORTED_FROM = 255

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
ID = {"type": "string", "pattern": f"^{_ID.pattern}$"}  # as JSON schema
# As a registration keeps them; Kerberos and SIP serve one port over both.
PROTOCOLS = {"tcp": ("tcp",), "udp": ("udp",), "tcp,udp": ("tcp", "udp")}


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidField("tags", "must be a list of strings")
    if len(value) > MAX_TAGS:
        raise InvalidField("tags", f"has {len(value)} entries, at most {MAX_TAGS} are kept")
    tags = tuple([plain_text(tag, f"tags[{index}]", MAX_TAG) for index, tag in enumerate(value)])
    if sum(len(tag.encode()) for tag in tags) > MAX_TAGS_OCTETS:
        raise InvalidField("tags", f"are more than {MAX_TAGS_OCTETS:,} octets together")
    return tags


def _ports(value: object) -> tuple[tuple[str, int], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise InvalidField("ports", "must be an object that maps port names to numbers")
    if len(value) > MAX_PORTS:
        raise InvalidField("ports", f"has {len(value)} entries, at most {MAX_PORTS} are kept")
    ports = {fold(label(name, "ports")): parse_port(port, f"ports.{name}") for name, port in value.items()}
    if len(ports) < len(value):
        raise InvalidField("ports", "has two names that differ only by case or blanks")
    return tuple(ports.items())


def _protocol(value: object) -> str:
    said = ",".join(sorted(set(map(str, value)))) if isinstance(value, list | tuple) else value
    if not isinstance(said, str) or said not in PROTOCOLS or said == value == "tcp,udp":
        raise InvalidField("protocol", "must be tcp or udp, or a list of them")
    return said


def _shown_protocol(value: str) -> str | list[str]:
    return value if "," not in value else list(PROTOCOLS[value])


def _lease(value: object) -> str | None:
    if value not in (None, "none"):
        raise InvalidField("lease", "must be none, or not be there; how long one lasts is its ttl")
    return None if value is None else "none"


def own_id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidField(
            "id", "must be 1 to 128 letters, digits, '.', '_', ':', '@' or '-', the first a letter or digit"
        )
    return value


class Option(NamedTuple):
    """An optional field of a registration. `name`: in JSON. `check`: of what a client sent, or InvalidField. `schema`: the same as JSON
    schema; null besides, where that stands for the default. `shown`: for JSON.
    """

    field: str
    name: str
    check: Callable[[object], Any]
    schema: Schema
    shown: Callable[[Any], Any] = lambda value: value


def _seconds(least: float, most: float, description: str = "") -> Schema:
    return described({"type": "number", "minimum": least, "maximum": most}, description)


_UINT16 = {"type": "integer", "minimum": 0, "maximum": 65535}
_ONE_PROTOCOL = one_of(PROTOCOLS["tcp,udp"])
OPTIONS = (
    Option("tags", "tags", _tags, list_of(string(MAX_TAG, 1), MAX_TAGS)),
    Option(
        "ports", "ports", _ports,
        {**by_name(PORT), "propertyNames": {"pattern": LABEL["pattern"]}, "maxProperties": MAX_PORTS}, dict,
    ),
    Option(
        "protocol", "protocol", _protocol, {"anyOf": [_ONE_PROTOCOL, {**list_of(_ONE_PROTOCOL), "minItems": 1}]}, _shown_protocol
    ),
    Option("weight", "weight", partial(whole_of, "weight", 0, 65535), _UINT16),
    Option("priority", "priority", partial(whole_of, "priority", 0, 65535), _UINT16),
    Option(
        "warning_weight", "warningWeight", partial(whole_of, "warningWeight", 0, 65535), described(_UINT16, "its weight while it warns")
    ),
    Option("zone", "zone", lambda value: None if value is None else label(value, "zone"), LABEL),
    Option(
        "ttl", "ttl", lambda value: None if value is None else shared(seconds_of("ttl", MIN_TTL, MAX_TTL, value)),
        _seconds(MIN_TTL, MAX_TTL),
    ),
    Option(
        "lease", "lease", _lease,
        {"const": "none", "description": "none: it need not beat, and is registered until somebody deregisters it"},
    ),
    Option(
        "keep", "keep", partial(seconds_of, "keep", 0.0, MAX_KEEP),
        _seconds(0, MAX_KEEP, "seconds for which it is known after its lease, in no answer; a heartbeat brings it back"),
    ),
    Option(
        "hold", "hold", partial(seconds_of, "hold", 0.0, MAX_KEEP),
        _seconds(0, MAX_KEEP, "seconds for which it is a suspect after its lease, behind the healthy; takes the right admin"),
    ),
    Option(
        "imported_from", "importedFrom", lambda value: None if value is None else plain_text(value, "importedFrom", MAX_IMPORTED_FROM),
        described(string(MAX_IMPORTED_FROM), "the registry of which it is a copy, until it beats here itself; takes the right admin"),
    ),
    Option("max_answers", "maxAnswers", partial(or_none, partial(whole_of, "maxAnswers", 1, 65535)), PORT),
    # Two spellings: of one plain check, which is all that there was at first, and of all others.
    Option("checks", "check", checks_of, PLAIN_FORM.schema, as_check),
    Option("checks", "checks", checks_of, described(CHECKS, "in place of `check`: several, of any kind"), as_checks),
)  # fmt: skip

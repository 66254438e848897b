"""What a service says of itself (Registration), what identifies it (Key) and what the registry makes of it (Instance)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from discovery.core import metadata as metadata_text
from discovery.core import remembered
from discovery.core.address import (
    authority,
    folded,
    is_host_name,
    parse_address,
    parse_port,
    parse_port_or_none,
    place_text,
)
from discovery.core.caller import NOBODY, Caller
from discovery.core.check import Check, as_check, as_checks, checks_of
from discovery.core.check_states import States, overall, states_dumped, states_loaded
from discovery.core.checked import moment, or_none, seconds_of, whole_of
from discovery.core.errors import InvalidField
from discovery.core.health import WELL, Finding, Health
from discovery.core.lease import MAX_KEEP, MAX_TTL, MIN_TTL
from discovery.core.name import fold, label, plain_text, service_name
from discovery.core.network import ip_of
from discovery.core.remembered import Attachments
from discovery.core.shared import shared
from discovery.core.status import SILENT, Probed, Status

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
NO_STATES: States = {}  # shared: no mapping of states is ever changed

# Of a label and its place in a list; a port takes two.
_LABEL_OCTETS = 112

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
# As a registration keeps them; Kerberos and SIP serve one port over both.
_PROTOCOLS = {"tcp": ("tcp",), "udp": ("udp",), "tcp,udp": ("tcp", "udp")}


class Key(NamedTuple):
    """One running process of a service: the folded name, the address in the spelling by which it is compared, and the port or NO_PORT."""

    service: str
    ip: str
    port: int

    def __str__(self) -> str:
        return f"{place_text(self.ip, self.port)} of service {self.service}"

    @classmethod
    def of(cls, name: object, ip: object, port: object) -> Key:
        """From what a client sent; InvalidField names the part at fault."""
        return cls(fold(service_name(name)), folded(parse_address(ip)), parse_port_or_none(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A registration that keeps every rule; `Registration.of` makes one from what a client sent.

    `ip` is an address in canonical spelling, or a host name as it was sent. `port` is NO_PORT where there is none.
    `weight` and `priority` are SRV's (RFC 2782); `warning_weight`: its weight while it warns. `zone` is the locality. `ttl` in seconds and
    `id` are the server's choice when None. `ports` maps a port's folded name to its number, in the order given. `max_answers`: DNS gives
    at most so many of the service's instances in one reply; None is all. `tags` are any text, as they were sent; those that are labels
    have DNS names. `lease` "none": it need not beat, and is registered until somebody deregisters it. `keep`: seconds for which it is
    known after its lease, in no answer; a heartbeat brings it back with all that it said. `hold`: seconds for which it is a suspect after
    its lease. `imported_from`: the other registry of which it is a copy; no longer once it beats here itself.
    """

    name: str
    ip: str
    port: int
    metadata: bytes = metadata_text.EMPTY
    tags: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    protocol: str = "tcp"
    weight: int = DEFAULT_WEIGHT
    priority: int = DEFAULT_PRIORITY
    warning_weight: int = DEFAULT_WARNING_WEIGHT
    zone: str | None = None
    ttl: float | None = None
    lease: str | None = None
    keep: float = NO_KEEP
    hold: float = NO_HOLD
    imported_from: str | None = None
    max_answers: int | None = None
    checks: tuple[Check, ...] = ()
    id: str | None = None

    @classmethod
    def of(
        cls, name: object, ip: object, port: object, *, metadata: object = None, id: object = None, **chosen: object
    ) -> Registration:
        """Checks and canonicalises every field; InvalidField names the first at fault. `chosen`: some of `OPTIONS`."""
        if chosen.get("lease") is not None and any(chosen.get(name) for name in ("ttl", "keep", "hold")):
            raise InvalidField("lease", "cannot be none beside a ttl, keep or hold: they are of a lease that ends")
        return cls(
            name=service_name(name),
            ip=parse_address(ip),
            port=shared(parse_port_or_none(port)),
            metadata=shared(metadata_text.pack(metadata)),
            **{field: _CHECKS[field](value) for field, value in chosen.items() if value is not _DEFAULT[field]},
            id=_own_id(id),
        )

    @property
    def locality(self) -> str:
        """Its zone, folded; "" without one."""
        return "" if self.zone is None else fold(self.zone)

    @property
    def protocols(self) -> tuple[str, ...]:
        return _PROTOCOLS[self.protocol]

    @property
    def key(self) -> Key:
        return Key(fold(self.name), folded(self.ip), self.port)

    @property
    def place(self) -> tuple[str, int]:
        """What tells it from the other instances of its service."""
        return folded(self.ip), self.port

    @property
    def is_host_name(self) -> bool:
        return is_host_name(self.ip)

    @property
    def extra_octets(self) -> int:
        """About what it takes in memory beyond a plain registration."""
        lists = _LABEL_OCTETS * (len(self.tags) + 2 * len(self.ports))
        tags = sum(map(len, self.tags)) if self.tags else 0
        return len(self.metadata) + lists + tags + (sum(map(_octets_of, self.checks)) if self.checks else 0)


def _octets_of(check: Check) -> int:
    headers = sum(len(name) + len(value) for name, value in check.headers)
    return 3 * _LABEL_OCTETS + len(check.path) + len(check.body) + len(check.ca) + headers


class Vouched(IntEnum):
    """What speaks for an instance's address: the more, the greater."""

    NOT = 0
    TOKEN = 1  # who registered it had one
    ITS_ADDRESS = 2  # it was registered from there


class Instance(NamedTuple):
    """A registered process. `registered_at`: epoch seconds, for people.

    `draining_since`: when somebody asked for it to be left out of answers, epoch seconds; None when nobody did.
    `checks`: what its checks say, by their ids, where they have ever said anything. `status` as it was decided last; readers test the lease
    beside it. `registrant`: by
    whom it was registered, NOBODY where that is not known (see `vouched`). `probed`: of one that is silent, what its port said.
    `own`: what it says of its health. `lapsed_at`: when the lease ran out of one that is kept after it, epoch seconds.
    `attachments`: what plugins remember of it.
    """

    id: str
    registered_at: float
    spec: Registration
    draining_since: float | None = None
    status: Status = Status.HEALTHY
    checks: States = NO_STATES
    registrant: Caller = NOBODY
    probed: Probed | None = None
    own: Finding = WELL
    lapsed_at: float | None = None
    attachments: Attachments = ()

    def with_status(self, status: Status) -> Instance:
        fields = list(self)  # by number: `_replace` takes twice as long, and thousands may lapse at once
        fields[_STATUS] = status
        if self.probed is not None and status not in SILENT:
            fields[_PROBED] = None
        if self.lapsed_at is not None and status is not Status.UNHEALTHY:
            fields[_LAPSED_AT] = None
        return Instance._make(fields)

    @property
    def is_foreign(self) -> bool:
        """Brought by another registry's API, or an import: its clients know nothing of the limits here."""
        return bool(self.attachments) or self.spec.imported_from is not None

    def attachment(self, plugin: str) -> Any:
        """What the plugin remembers of it, as JSON; None: nothing."""
        return remembered.attachment(self.attachments, plugin)

    @property
    def extra_octets(self) -> int:
        """About what it takes in memory beyond a plain one."""
        attached = sum([len(text) for _, text in self.attachments]) if self.attachments else 0
        said = sum([len(found.output) for found in self.checks.values()]) if self.checks else 0
        return self.spec.extra_octets + attached + said

    @property
    def health(self) -> Health:
        """By its own word and its checks."""
        checks = self.spec.checks
        return overall(self.own.health, checks, self.checks) if checks else self.own.health

    @property
    def fails(self) -> bool:
        return self.health is Health.FAILING

    def said_by(self, check: Check) -> Finding:
        return self.checks.get(check.id, WELL)

    @property
    def failing(self) -> str | None:
        """Why its checks fail: the first of them. None: none does."""
        if (check := self.first_failing) is None:
            return None
        output = self.said_by(check).output
        return output if check.is_plain and len(self.spec.checks) == 1 else f"{check.label}: {output}"

    @property
    def first_failing(self) -> Check | None:
        return next((check for check in self.spec.checks if self.said_by(check).health is Health.FAILING), None)

    @property
    def weight(self) -> int:
        """Its share now, as in SRV."""
        spec = self.spec
        if self.own is WELL and not spec.checks:  # nearly always: DNS asks it of each instance of an answer
            return spec.weight
        return spec.warning_weight if self.health is Health.WARNING else spec.weight

    @property
    def vouched(self) -> Vouched:
        """Where it is Vouched.NOT, nobody could have the server connect to it."""
        return vouches(self.registrant, self.spec)

    @property
    def draining(self) -> bool:
        return self.draining_since is not None

    @property
    def address(self) -> str:
        """`10.0.0.1:3001`, `[2001:db8::1]:3001`, `db.example.com:5432`; without a port the address alone."""
        return authority(self.spec.ip, self.spec.port or None)


_STATUS, _PROBED, _LAPSED_AT = map(Instance._fields.index, ("status", "probed", "lapsed_at"))


def vouches(by: Caller, spec: Registration) -> Vouched:
    """That it was `by` who registered it."""
    if by.address == spec.ip or ((ip := ip_of(spec.ip)) is not None and ip_of(by.address) == ip):
        return Vouched.ITS_ADDRESS
    return Vouched.TOKEN if by.name else Vouched.NOT


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
    if not isinstance(said, str) or said not in _PROTOCOLS or said == value == "tcp,udp":
        raise InvalidField("protocol", "must be tcp or udp, or a list of them")
    return said


def _shown_protocol(value: str) -> str | list[str]:
    return value if "," not in value else list(_PROTOCOLS[value])


def _lease(value: object) -> str | None:
    if value not in (None, "none"):
        raise InvalidField("lease", "must be none, or not be there; how long one lasts is its ttl")
    return None if value is None else "none"


def _own_id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidField(
            "id", "must be 1 to 128 letters, digits, '.', '_', ':', '@' or '-', the first a letter or digit"
        )
    return value


class Option(NamedTuple):
    """An optional field of a registration. `name`: in JSON. `check`: of what a client sent, or InvalidField. `shown`: for JSON."""

    field: str
    name: str
    check: Callable[[object], Any]
    shown: Callable[[Any], Any] = lambda value: value

    @property
    def default(self) -> Any:
        return getattr(_PLAIN, self.field)


_PLAIN = Registration(name="", ip="", port=0)
# The one list for HTTP, the journal, the audit log and other nodes.
OPTIONS = (
    Option("tags", "tags", _tags),
    Option("ports", "ports", _ports, dict),
    Option("protocol", "protocol", _protocol, _shown_protocol),
    Option("weight", "weight", partial(whole_of, "weight", 0, 65535)),
    Option("priority", "priority", partial(whole_of, "priority", 0, 65535)),
    Option("warning_weight", "warningWeight", partial(whole_of, "warningWeight", 0, 65535)),
    Option("zone", "zone", lambda value: None if value is None else label(value, "zone")),
    Option("ttl", "ttl", lambda value: None if value is None else shared(seconds_of("ttl", MIN_TTL, MAX_TTL, value))),
    Option("lease", "lease", _lease),
    Option("keep", "keep", partial(seconds_of, "keep", 0.0, MAX_KEEP)),
    Option("hold", "hold", partial(seconds_of, "hold", 0.0, MAX_KEEP)),
    Option(
        "imported_from",
        "importedFrom",
        lambda value: None if value is None else plain_text(value, "importedFrom", MAX_IMPORTED_FROM),
    ),
    Option("max_answers", "maxAnswers", partial(or_none, partial(whole_of, "maxAnswers", 1, 65535))),
    # Two spellings: of one plain check, which is all that there was at first, and of all others.
    Option("checks", "check", checks_of, as_check),
    Option("checks", "checks", checks_of, as_checks),
)
_CHECKS = {option.field: option.check for option in OPTIONS}
_DEFAULT = {option.field: option.default for option in OPTIONS}
_SHOWN = tuple((option.field, option.name, option.default, option.shown) for option in OPTIONS)


def options(spec: Registration) -> dict[str, Any]:
    """The optional fields that differ from their defaults, as JSON has them; `Registration.of` reads them back."""
    found: dict[str, Any] = {}
    for field, name, default, shown in _SHOWN:
        value = getattr(spec, field)
        if value != default and (said := shown(value)) is not None:
            found[name] = said
    return found


class Fact(NamedTuple):
    """What is known of an instance besides its registration, on every node and after a restart. `name`: in JSON. `dumps`, `loads`: to JSON
    and back; `loads` raises ValueError, KeyError or TypeError.
    """

    field: str
    name: str
    dumps: Callable[[Any], Any]
    loads: Callable[[Any], Any]

    @property
    def default(self) -> Any:
        return Instance._field_defaults[self.field]


# The one list for the journal, the history and other nodes. What older versions wrote in other forms (drains, why checks fail) stands
# there.
FACTS = (
    Fact("own", "own", Finding.dumps, Finding.loads),
    Fact("checks", "checkStates", states_dumped, states_loaded),
    Fact("lapsed_at", "lapsedAt", float, moment),
    Fact("attachments", "attachments", remembered.dumps, remembered.loads),
)


def facts(instance: Instance) -> dict[str, Any]:
    """Those that differ from their defaults, as JSON; `facts_of` reads them back."""
    return {fact.name: fact.dumps(value) for fact in FACTS if (value := getattr(instance, fact.field)) != fact.default}


def facts_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """For Instance, by field. What was written by an older version has none."""
    return {fact.field: fact.loads(found[fact.name]) for fact in FACTS if fact.name in found}

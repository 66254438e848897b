"""What a service says of itself (Registration), what identifies it (Key) and what the registry makes of it (Instance)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from discovery.core import metadata as metadata_text
from discovery.core import remembered
from discovery.core.address import (
    authority,
    folded,
    is_host_name,
    parse_address,
    parse_port_or_none,
    place_text,
)
from discovery.core.caller import NOBODY, Caller
from discovery.core.check import Check
from discovery.core.check_states import States, overall
from discovery.core.errors import InvalidField
from discovery.core.health import WELL, Finding, Health
from discovery.core.name import fold, service_name
from discovery.core.network import ip_of
from discovery.core.options import (
    DEFAULT_PRIORITY,
    DEFAULT_WARNING_WEIGHT,
    DEFAULT_WEIGHT,
    NO_HOLD,
    NO_KEEP,
    OPTIONS,
    PROTOCOLS,
    own_id,
)
from discovery.core.remembered import Attachments
from discovery.core.shared import shared
from discovery.core.status import SILENT, Probed, Status

NO_STATES: States = {}  # shared: no mapping of states is ever changed

# Of a label and its place in a list; a port takes two.
_LABEL_OCTETS = 112


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
            **{field: _CHECKS[field](value) for field, value in chosen.items() if value is not DEFAULTS[field]},
            id=own_id(id),
        )

    @property
    def locality(self) -> str:
        """Its zone, folded; "" without one."""
        return "" if self.zone is None else fold(self.zone)

    @property
    def protocols(self) -> tuple[str, ...]:
        return PROTOCOLS[self.protocol]

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
    def warns(self) -> bool:
        """In answers, but not well; who is known after its lease is in none."""
        return self.lapsed_at is None and self.health is Health.WARNING

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


_CHECKS = {option.field: option.check for option in OPTIONS}
# By field.
DEFAULTS = {option.field: getattr(Registration(name="", ip="", port=0), option.field) for option in OPTIONS}
_SHOWN = tuple((option.field, option.name, DEFAULTS[option.field], option.shown) for option in OPTIONS)


def options(spec: Registration) -> dict[str, Any]:
    """The optional fields that differ from their defaults, as JSON has them; `Registration.of` reads them back."""
    found: dict[str, Any] = {}
    for field, name, default, shown in _SHOWN:
        value = getattr(spec, field)
        if value != default and (said := shown(value)) is not None:
            found[name] = said
    return found

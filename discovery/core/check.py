"""A check: how it is found out whether an instance works. A `ttl` check is reported by the instance; all others the registry makes itself.
What they say is in `check_states`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import orjson

from discovery.core.address import MAX_HOST_NAME, PORT, parse_address, parse_port
from discovery.core.checked import flag_of, seconds_between, seconds_of, whole_between
from discovery.core.errors import InvalidField
from discovery.core.health import Health, health_named
from discovery.core.name import plain_text
from discovery.core.schema import FLAG, TEXT, Schema, by_name, list_of, one_of, string

# Of one instance; octets of all of them as JSON.
MAX_CHECKS = 16
MAX_ID = MAX_NAME = 255
MAX_OCTETS = 16 * 1024
# Seconds. More often than each second the check is the load; rarer than each hour it says nothing.
MIN_INTERVAL, MAX_INTERVAL = 1.0, 3600.0
MAX_TIMEOUT = 60.0
MAX_COUNT = 100
MAX_PATH = 1024
MAX_BODY = 1024
MAX_HEADERS = 8
MAX_HEADER = 256
MAX_CA = 8 * 1024
# Between two reports. A batch job that runs once a week is the longest that anybody waits for.
MIN_REPORT, MAX_REPORT = 1.0, 7 * 86400.0
# How long one may fail before its instance is deregistered.
MIN_CRITICAL, MAX_CRITICAL = 1.0, 30 * 86400.0

DEFAULT_INTERVAL, DEFAULT_TIMEOUT = 10.0, 2.0
DEFAULT_FAILURES, DEFAULT_SUCCESSES = 3, 1

TTL, HTTP, TCP, GRPC = "ttl", "http", "tcp", "grpc"
KINDS = (TTL, HTTP, TCP, GRPC)
PROBES = (HTTP, TCP, GRPC)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# RFC 3986 §3.3 and §3.4: a path and a query, as they stand in a request line.
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
# RFC 9110 §5.6.2 and §5.5, without obs-text.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(rf"[ -~]{{0,{MAX_HEADER}}}")
# They say how the request is framed, which is the prober's to say.
_FRAMING = frozenset(("connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`id` is one of its instance's checks; `name` is for people. `group`: its checks count together. `status`: what it says until it is
    first made or reported. `critical_after`: seconds of failing, after which the instance is
    deregistered; of checks with groups, when each group has one that failed so long.

    `ttl`: seconds within which the next report has to come. The others are probes: of the instance's address and port, or of `address`
    and `port`. `path`: of an HTTP request, answered 2xx; of `grpc`, the service asked for (grpc.health.v1). `ca`: the PEM certificates
    that the peer's must come from. `interval` and `timeout` in seconds. After `failures` in a row the check is failing, after `successes`
    in a row it is not.
    """

    kind: str
    id: str
    name: str = ""
    group: str = ""
    critical_after: float | None = None
    status: Health = Health.PASSING
    ttl: float = 0.0
    path: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    tls: bool = False
    ca: str = ""
    tls_skip_verify: bool = False
    address: str = ""
    port: int = 0
    interval: float = DEFAULT_INTERVAL
    timeout: float = DEFAULT_TIMEOUT
    failures: int = DEFAULT_FAILURES
    successes: int = DEFAULT_SUCCESSES

    @classmethod
    def of(cls, value: object, field: str = "check") -> Check:
        """From `{ttl: SECONDS | http: PATH | tcp: true | grpc: SERVICE or true, …}`; InvalidField names the part at fault."""
        form = PLAIN_FORM if field == "check" else FORM
        if not isinstance(value, Mapping):
            raise InvalidField(field, f"must be an object with {form.kinds}")
        for name in value:
            if name not in form.fields:
                raise InvalidField(
                    f"{field}.{name!s:.40}", f"is not known here; a check may have {', '.join(form.fields)}"
                )
        given = [kind for kind in KINDS if value.get(kind) is not None]
        if TCP in given and value[TCP] is not True:
            raise InvalidField(f"{field}.tcp", "must be true")
        if len(given) != 1:
            raise InvalidField(field, form.either)
        kind = given[0]
        found: dict[str, Any] = {"id": kind, **_of_kind(kind, value[kind], f"{field}.{kind}")}
        if kind == TTL:
            found["status"] = Health.FAILING
        for each in FIELDS:
            if each.name in value and each.name in form.fields:
                if kind not in each.kinds:
                    raise InvalidField(f"{field}.{each.name}", f"is not of a check by {kind}")
                found[each.field] = each.check(f"{field}.{each.name}", value[each.name])
        check = cls(kind=kind, **found)
        if check.ca and check.tls_skip_verify:
            raise InvalidField(f"{field}.ca", "is of no use beside tlsSkipVerify")
        return check

    def shown(self) -> dict[str, Any]:
        """As it is registered, without what is the default."""
        what: Any = {TTL: self.ttl, HTTP: self.path, TCP: True, GRPC: self.path or True}[self.kind]
        found = {self.kind: what}
        for each in FIELDS:
            value = getattr(self, each.field)
            if self.kind in each.kinds and (each.always or value != each.default(self)):
                found[each.name] = each.shown(value)
        return found

    @property
    def is_plain(self) -> bool:
        """It says what the field `check` could always say."""
        return self.kind in (HTTP, TCP) and self.id == self.kind and self.shown().keys() <= {*_PLAIN, "id"}

    @property
    def label(self) -> str:
        """For people."""
        return self.name or self.id


def _of_kind(kind: str, value: object, field: str) -> dict[str, Any]:
    if kind == TTL:
        return {"ttl": seconds_of(field, MIN_REPORT, MAX_REPORT, value)}
    if kind == HTTP:
        if not isinstance(value, str) or len(value) > MAX_PATH or not _PATH.fullmatch(value):
            raise InvalidField(field, f"must be a path such as /health, at most {MAX_PATH} characters of a URL")
        return {"path": value}
    return {} if value is True else {"path": plain_text(value, field, MAX_PATH)}


def _text(field: str, value: object) -> str:
    return "" if value == "" else plain_text(value, field, MAX_NAME)


def _method(field: str, value: object) -> str:
    if value not in METHODS:
        raise InvalidField(field, f"must be one of {', '.join(METHODS)}")
    return str(value)


def _headers(field: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or len(value) > MAX_HEADERS:
        raise InvalidField(field, f"must be an object with at most {MAX_HEADERS} names of headers and their values")
    for name, content in value.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise InvalidField(field, f"has {name!s:.64}, which is no name of a header that a check may send")
        if not isinstance(content, str) or not _VALUE.fullmatch(content):
            raise InvalidField(f"{field}.{name}", f"must be at most {MAX_HEADER} printable ASCII characters")
    return tuple(value.items())


def _body(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value.encode(errors="surrogatepass")) > MAX_BODY:
        raise InvalidField(field, f"must be a string of at most {MAX_BODY} octets")
    return value.encode(errors="replace").decode()


def _ca(field: str, value: object) -> str:
    if (
        not isinstance(value, str)
        or not value.isascii()
        or len(value) > MAX_CA
        or "-----BEGIN CERTIFICATE-----" not in value
    ):
        raise InvalidField(field, f"must be certificates in PEM, at most {MAX_CA:,} octets")
    return value


class _Field(NamedTuple):
    """`check(field, value)`: the value as it is kept; InvalidField. `schema`: the same as JSON schema. `always`: shown even where it is the
    default.
    """

    field: str
    name: str
    kinds: Sequence[str]
    check: Callable[[str, object], Any]
    schema: Schema
    shown: Callable[[Any], Any] = lambda value: value
    always: bool = False

    def default(self, check: Check) -> object:
        if self.field == "status":
            return Health.FAILING if check.kind == TTL else Health.PASSING
        return _DEFAULTS[self.field]


_HEADERS = {**by_name(TEXT), "maxProperties": MAX_HEADERS}
_DEFAULTS = {each.name: each.default for each in fields(Check)}
FIELDS = (
    _Field("id", "id", KINDS, lambda field, value: plain_text(value, field, MAX_ID), string(MAX_ID, 1), always=True),
    _Field("name", "name", KINDS, _text, string(MAX_NAME)),
    _Field("group", "group", KINDS, _text, string(MAX_NAME)),
    _Field("critical_after", "criticalAfter", KINDS, *seconds_between(MIN_CRITICAL, MAX_CRITICAL)),
    _Field("status", "status", KINDS, health_named, one_of(Health)),
    _Field("method", "method", (HTTP,), _method, one_of(METHODS)),
    _Field("headers", "headers", (HTTP,), _headers, _HEADERS, dict),
    _Field("body", "body", (HTTP,), _body, string(MAX_BODY)),
    _Field("tls", "tls", (HTTP, GRPC), flag_of, FLAG),
    _Field("ca", "ca", (HTTP, GRPC), _ca, string(MAX_CA)),
    _Field("tls_skip_verify", "tlsSkipVerify", (HTTP, GRPC), flag_of, FLAG),
    _Field("address", "address", PROBES, lambda field, value: parse_address(value, field), string(MAX_HOST_NAME)),
    _Field("port", "port", PROBES, lambda field, value: parse_port(value, field), PORT),
    _Field("interval", "interval", PROBES, *seconds_between(MIN_INTERVAL, MAX_INTERVAL), always=True),
    _Field("timeout", "timeout", PROBES, *seconds_between(0.1, MAX_TIMEOUT), always=True),
    _Field("failures", "failures", PROBES, *whole_between(1, MAX_COUNT), always=True),
    _Field("successes", "successes", PROBES, *whole_between(1, MAX_COUNT), always=True),
)  # fmt: skip


class Form(NamedTuple):
    """What may be said, and how it is told what must be."""

    fields: Sequence[str]
    kinds: str
    either: str

    @property
    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {name: _SCHEMAS[name] for name in self.fields},
            "oneOf": [{"required": [kind]} for kind in KINDS if kind in self.fields],
            "additionalProperties": False,
        }


_SCHEMAS: Mapping[str, Schema] = {
    TTL: seconds_between(MIN_REPORT, MAX_REPORT)[1],
    HTTP: {"type": "string", "pattern": "^/", "maxLength": MAX_PATH, "examples": ["/healthz"]},
    TCP: {"const": True},
    GRPC: {"anyOf": [{"const": True}, string(MAX_PATH)]},
    **{each.name: each.schema for each in FIELDS},
}

# The field `check`, which is older than most kinds: one check, of the instance's own port.
_PLAIN = (HTTP, TCP, "interval", "timeout", "failures", "successes")
PLAIN_FORM = Form(_PLAIN, "http (a path) or tcp (true)", 'must have either "http": a path, or "tcp": true')
FORM = Form(
    (*KINDS, *(each.name for each in FIELDS)),
    "ttl (seconds), http (a path), tcp (true) or grpc (a service, or true)",
    'must have just one of "ttl": seconds, "http": a path, "tcp": true, "grpc": a service or true',
)
CHECKS = list_of(FORM.schema, MAX_CHECKS)  # as JSON schema


# -- those of an instance


def checks_of(value: object) -> tuple[Check, ...]:
    """From a list of them, or the one of the field `check`."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return (Check.of(value, "check"),)
    if not isinstance(value, list | tuple):
        raise InvalidField("checks", "must be a list of objects")
    if len(value) > MAX_CHECKS:
        raise InvalidField("checks", f"has {len(value)} entries, at most {MAX_CHECKS} are kept")
    checks = tuple([Check.of(each, f"checks[{index}]") for index, each in enumerate(value)])
    seen = set[str]()
    for check in checks:
        if check.id in seen:
            raise InvalidField("checks", f"has two with the id {check.id!r}: give each of them an id")
        seen.add(check.id)
    if len(orjson.dumps([check.shown() for check in checks])) > MAX_OCTETS:
        raise InvalidField("checks", f"are more than {MAX_OCTETS:,} octets of JSON together")
    return checks


def as_check(checks: tuple[Check, ...]) -> dict[str, Any] | None:
    """For the field `check`: of one that this can say."""
    if len(checks) != 1 or not checks[0].is_plain:
        return None
    return {name: value for name, value in checks[0].shown().items() if name != "id"}


def as_checks(checks: tuple[Check, ...]) -> list[dict[str, Any]] | None:
    """For the field `checks`, of all others."""
    return None if as_check(checks) is not None else [check.shown() for check in checks]

"""Registering: POST /register; the bodies of registrations, and what all that registers and beats has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from discovery.core import metadata
from discovery.core.address import parse_ip, parse_port
from discovery.core.checked import flag_of
from discovery.core.errors import InvalidField
from discovery.core.health import MAX_OUTPUT, Finding
from discovery.core.instance import DEFAULTS, Instance, Key, Registration
from discovery.core.lease import MAX_TTL
from discovery.core.name import LABEL, NAME, fold, label
from discovery.core.options import ID, OPTIONS, Option
from discovery.core.schema import FLAG, OBJECT, WHOLE, Schema, described, list_of, or_null, string
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, Json, stamped
from discovery.rest.api.example import FIRST, Example
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.requests import Request, json_object
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import location
from discovery.rest.api.shapes import (
    ADDRESS,
    HEALTH,
    IP,
    REGISTERED,
    SENT_PORT,
    SENT_PORT_OR_NONE,
    WARNINGS,
    Fields,
    Shape,
    reply,
    said,
)
from discovery.store.registrants import native_ttl
from discovery.store.registration import Register

HEADING = "Registering"
# What a registration may end in.
CODES = (
    "SERVICE_FULL", "PERMANENT_REFUSED", "NAME_RESERVED", "ID_TAKEN", "REGISTRY_FULL", "TOO_MANY_REGISTRATIONS", "STORAGE_UNAVAILABLE",
    "ENGINE_UNAVAILABLE", "MOVED",
)  # fmt: skip

# Labels of one registration that the original's routes take.
_MOST_LABELS = 32


def original_key(name: object, ip: object, port: object) -> Key:
    """Of what the original's routes take: a label, an IP address and a port. InvalidField."""
    return Key(fold(label(name, "name")), parse_ip(ip), parse_port(port))


def _sent(option: Option) -> Schema:
    """Null, too, where that stands for the default."""
    try:
        option.check(None)
    except InvalidField:
        return {**option.schema, "default": option.shown(DEFAULTS[option.field])}
    return or_null(option.schema)


# The options that the original's routes do not read.
_NOT_ORIGINAL = ("lease", "keep", "hold", "importedFrom", "checks")
_MORE: Mapping[str, Schema] = {
    "metadata?": or_null(described(OBJECT, f"at most {metadata.MAX_BYTES} octets of JSON, {metadata.MAX_DEPTH} levels deep")),
    "id?": or_null(ID),
    "replace?": described({**FLAG, "default": False}, "with `id`: another instance of the service that has this id makes way for this one"),
}  # fmt: skip
REGISTER_BODY = Shape(
    "RegisterBody",
    {
        "name": LABEL, "ip": IP, "port": SENT_PORT, **_MORE,
        **{f"{each.name}?": _sent(each) for each in OPTIONS if each.name not in _NOT_ORIGINAL},
        "tags?": {**list_of(LABEL, _MOST_LABELS), "default": []},
    },
    "POST /register, and POST /heartbeat with `register`.",
)  # fmt: skip
OUTPUT = described(string(MAX_OUTPUT), "what it found, in its words")
INSTANCE_BODY = Shape(
    "InstanceBody",
    {
        "name": NAME,
        "ip": described(ADDRESS, "or a host name"),
        "address?": described(ADDRESS, "the same as `ip`, for who sends it in place of that"),
        "port?": described(SENT_PORT_OR_NONE, "not given, null or empty: it has none, and DNS gives its address alone"),
        **_MORE,
        **{f"{each.name}?": _sent(each) for each in OPTIONS},
        "health?": described(or_null(HEALTH), "what it says of itself; not given: as it was"),
        "output?": or_null(OUTPUT),
    },
    "PUT /instances, and an item of POST /registrations: what the original did not know, besides.",
)
# By the names in JSON: what `Registration.of` calls them.
_ORIGINAL = {"metadata": "metadata", "id": "id"} | {
    each.name: each.field for each in OPTIONS if each.name not in _NOT_ORIGINAL
}
_ALL = _ORIGINAL | {each.name: each.field for each in OPTIONS if each.name != "check"}


def original_registration(sent: Json) -> Registration:
    """The body of POST /register. InvalidField."""
    name, ip, port = (needed(sent, each) for each in ("name", "ip", "port"))
    original_key(name, ip, port)
    chosen = _chosen(sent, _ORIGINAL)
    if isinstance(tags := chosen.get("tags"), list):
        chosen["tags"] = _labels(tags)
    return Registration.of(name, ip, port, **chosen)


def registration(sent: Json) -> Registration:
    """The body of PUT /instances, and an item of POST /registrations. InvalidField."""
    name, spelt = needed(sent, "name"), "address" if "ip" not in sent and "address" in sent else "ip"
    try:
        return Registration.of(name, needed(sent, spelt), sent.get("port"), **_chosen(sent, _ALL))
    except InvalidField as error:
        raise InvalidField(spelt, error.reason) if error.field == "ip" else error from None


def needed(sent: Json, name: str) -> Any:
    """InvalidField."""
    if name not in sent:
        raise InvalidField(name, "is required")
    return sent[name]


def _chosen(sent: Json, fields: Mapping[str, str]) -> dict[str, Any]:
    chosen = {fields[name]: value for name, value in sent.items() if name in fields}
    if "checks" in chosen:
        check, checks = sent.get("check"), sent.get("checks") if "checks" in fields else None
        if check is not None and checks is not None:
            raise InvalidField("checks", "cannot stand beside check: name all of them here")
        if check is not None and not isinstance(check, dict):
            raise InvalidField("check", "must be a JSON object")
        if checks is not None and not isinstance(checks, list):
            raise InvalidField("checks", "must be a list of objects")
        chosen["checks"] = checks if check is None else check
    return chosen


def _labels(tags: Sequence[object]) -> Sequence[str]:
    """Each once. InvalidField."""
    if len(tags) > _MOST_LABELS:
        raise InvalidField("tags", f"has {len(tags)} entries, at most {_MOST_LABELS} are kept")
    labels = [label(tag, f"tags[{index}]") for index, tag in enumerate(tags)]
    return tuple({fold(tag): tag for tag in labels}.values())


def replaces(sent: Json) -> bool:
    """InvalidField."""
    return flag_of("replace", sent.get("replace", False))


def own_health(sent: Json, field: str = "") -> Finding | None:
    """What a body says of its instance's health; None: nothing. InvalidField; `field`: in front of the names."""
    health, output = sent.get("health"), sent.get("output")
    if health is not None:
        return Finding.of(health, output, field)
    if output is not None:
        raise InvalidField(f"{field}output", "stands beside health: passing, warning or failing")
    return None


ADVICE: Mapping[str, Schema] = {"heartbeatIntervalMs": WHOLE, "index": WHOLE, "warnings?": WARNINGS}
_REPLY = reply("RegisterReply", {**ADVICE, "message": said("Service registered successfully"), "instance": REGISTERED})
_FIELDS = Fields(REGISTER_BODY)


class Registrar(Handlers):
    """What registering and beating have in common."""

    def _advice(self, ttl: float, instance: Instance | None = None) -> Json:
        """When to beat next: a third of the timeout, so that two may be lost; ±10 % keep a fleet from beating in step. `instance`: whose
        lease that is, if it is one's alone.
        """
        if ttl > MAX_TTL:  # others may keep it who need not beat
            ttl = (instance and native_ttl(instance, self.registry.lease_ttl)) or MAX_TTL
        interval = ttl * (300 + 200 / 3 * self.random.random())
        return {"heartbeatIntervalMs": int(interval), "index": self.registry.index}


class Registering(Registrar):
    def routes(self) -> list[Route]:
        full = {
            **FIRST, "ports": {"admin": 9001}, "protocol": "tcp", "weight": 50, "priority": 10, "maxAnswers": 3,
            "check": {"http": "/healthz", "interval": 5}, "replace": True,
        }  # fmt: skip
        return [
            Route(
                "POST", "/register", self.register, Right.WRITE, Kind.REGISTRATION, "Register, or register again", HEADING,
                _REPLY, REGISTER_BODY, status=(201,), codes=CODES, is_small=True,
                examples=(Example(status=201, title="The least"), Example(full, status=201, title="All that there is")),
            ),
        ]  # fmt: skip

    async def register(self, request: Request) -> Answer:
        self.count_registration(request.caller.address, self.clock())
        sent = json_object(request)
        instance = await self.engine.submit(Register(original_registration(sent), replaces(sent)), request.caller)
        content = {
            "message": "Service registered successfully",
            "instance": views.registered(instance),
            **self._advice(self.registry.ttl_of(instance.spec), instance),
            **_FIELDS.said_of(sent),
        }
        return Answer(201, stamped(content, self.times), location(instance))

"""An instance as Eureka's clients send it, read into what the registry says of it (a Registration, its own health) and a record: what only
Eureka's clients ask for, in their words. Pure.

The records of an instance are its attachment, by the instance's id in Eureka: several ids at one address share an instance here. A record
leaves out what is as usual (`USUAL`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from discovery.core.address import parse_ip
from discovery.core.errors import InvalidField
from discovery.core.health import Finding, Health
from discovery.core.instance import Registration
from discovery.core.lease import MAX_TTL, MIN_TTL
from discovery.core.name import label
from discovery.rest.api.errors import HttpError

Record = dict[str, Any]
Records = dict[str, Record]

# The plugin's name, and of what it remembers.
NAME = "eureka"
# Characters of an id, and of each other text.
MAX_ID = 512
MAX_TEXT = 2048
UP, UNKNOWN = "UP", "UNKNOWN"
STATUSES = (UP, "DOWN", "STARTING", "OUT_OF_SERVICE", UNKNOWN)

# Of these classes of Java alone: of another, every client of Netflix would drop the whole answer.
_DATA_CENTERS = (
    "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
    "com.netflix.appinfo.MyDataCenterInfo",
    "com.netflix.appinfo.AmazonInfo",
)
_DATA_CENTER_NAMES = ("MyOwn", "Netflix", "Amazon")
_TEXTS = (
    "appGroupName", "asgName", "homePageUrl", "statusPageUrl", "healthCheckUrl", "secureHealthCheckUrl", "vipAddress", "secureVipAddress",
)  # fmt: skip
# What Eureka fills in, and so does this.
_PORT, _SECURE_PORT = 7001, 7002
_RENEWAL, _DURATION = 30, 90
USUAL: Mapping[str, Any] = {
    "securePort": {"$": _SECURE_PORT, "@enabled": "false"},
    "countryId": 1,
    "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
    "renewalIntervalInSecs": _RENEWAL,
    "isCoordinatingDiscoveryServer": "false",
    "status": UP,
}


class Unreadable(HttpError):
    """What cannot be parsed, as Eureka answers it."""

    def __init__(self, why: str) -> None:
        super().__init__("BROKEN_BODY", f"cannot parse request body: {why}")


class Missing(HttpError):
    """What Eureka refuses when it has parsed it: the bare text."""

    def __init__(self, text: str) -> None:
        super().__init__("BROKEN_BODY", text, is_bare=True)


class Sent(NamedTuple):
    """`record`: without the times that the server adds. `override`: the status that it was told to have; None: none. `dirty`: when it
    changed last by its own clock, epoch milliseconds; None: it does not say.
    """

    id: str
    spec: Registration
    record: Record
    override: str | None
    dirty: int | None


def read(content: Mapping[str, Any], app: str) -> Sent:
    """`content`: the body, `{"instance": {…}}`. `app`: of the path. Unreadable, Missing; InvalidField, where the registry has a rule."""
    found = content.get("instance")
    if not isinstance(found, dict):
        raise Unreadable("it has no instance")
    named = _text(found, "app")
    if not named:
        raise Unreadable("app is missing")
    host, ip = _text(found, "hostName"), _text(found, "ipAddr")
    port, is_open = _port(found, "port", _PORT, True)
    secure, is_secure = _port(found, "securePort", _SECURE_PORT, False)
    renewal, duration = _lease(found.get("leaseInfo"))
    metadata = _metadata(found.get("metadata"), "metadata")
    data_center = _data_center(found.get("dataCenterInfo"))
    if not host:
        raise Missing("Missing hostname")
    if not ip:
        raise Missing("Missing ip address")
    if named.lower() != app.lower():
        raise Missing(f"Mismatched appName, expecting {app.upper()} but was {named.upper()}")
    id = _text(found, "instanceId", MAX_ID) or host
    spec = Registration.of(
        named.lower(), _address(ip, host), (port if is_open or not is_secure else secure) or None,
        metadata=metadata, ttl=min(max(duration, 2 * renewal + 5, MIN_TTL), MAX_TTL), zone=_zone(data_center, metadata),
    )  # fmt: skip
    status = _word(found.get("status", UP))
    override = _word(found.get("overriddenStatus", found.get("overriddenstatus")))
    dirty = _milliseconds(found.get("lastDirtyTimestamp"))
    record: Record = {name: text for name in _TEXTS if (text := _text(found, name)) is not None}
    record |= {
        "hostName": host,
        "securePort": {"$": secure, "@enabled": _flag(is_secure)},
        "countryId": _whole(found.get("countryId", 1), "countryId"),
        "dataCenterInfo": data_center,
        "renewalIntervalInSecs": renewal,
        "isCoordinatingDiscoveryServer": "true" if str(found.get("isCoordinatingDiscoveryServer")).lower() == "true" else "false",
        "status": status,
    }  # fmt: skip
    if ip != spec.ip:
        record["ipAddr"] = ip
    if not is_open:
        record["port"] = {"$": port, "@enabled": "false"}
    record = {name: value for name, value in record.items() if USUAL.get(name) != value}
    return Sent(id, spec, record, None if override == UNKNOWN else override, dirty)


def own_health(records: Records) -> Finding:
    """What they say of it together: healthy while one of them is UP. In words what the last of them says."""
    words = [record.get("status", UP) for record in records.values()]
    return Finding() if UP in words else Finding(Health.FAILING, words[-1])


def is_out(records: Records) -> bool:
    """Whether each of them was overridden to be out of service, in whatever words."""
    return all(record.get("overriddenStatus", UP) != UP for record in records.values())


def number_of(text: str) -> int | None:
    """Of digits; None: it is no number of 64 bits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


# -- one field each


def _text(found: Mapping[str, Any], name: str, most: int = MAX_TEXT) -> str | None:
    """None where it is not there. A number is the text of it, as in Java."""
    value = _scalar(found.get(name), name)
    if value is not None and len(value) > most:
        raise Unreadable(f"{name} has {len(value):,} characters, at most {most:,} are kept")
    return value


def _scalar(value: Any, name: str) -> str | None:
    if isinstance(value, dict | list):
        raise Unreadable(f"{name} must be a text")
    return _flag(value) if isinstance(value, bool) else None if value is None else str(value)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _whole(value: Any, name: str) -> int:
    number = value if type(value) is int else number_of(value) if isinstance(value, str) else None
    if number is None or not -(1 << 31) <= number < 1 << 31:
        raise Unreadable(f"{name} must be a whole number")
    return number


def _milliseconds(value: Any) -> int | None:
    if value is None or value == "":
        return None
    number = (
        value if type(value) is int and 0 <= value < 10**18 else number_of(value) if isinstance(value, str) else None
    )
    if number is None:
        raise Unreadable("lastDirtyTimestamp must be milliseconds since 1970")
    return number


def _port(found: Mapping[str, Any], name: str, usual: int, is_usual: bool) -> tuple[int, bool]:
    """With whether it is enabled."""
    value = found.get(name)
    if value is None:
        return usual, is_usual
    if not isinstance(value, dict) or "$" not in value:
        raise Unreadable(f'{name} must be an object like {{"$": {usual}, "@enabled": "true"}}')
    return _whole(value["$"], name), str(value.get("@enabled", is_usual)).lower() == "true"


def _lease(value: Any) -> tuple[int, int]:
    """How often it means to renew, and how long it wants to live without: seconds."""
    if value is None or value == "":
        return _RENEWAL, _DURATION
    if not isinstance(value, dict):
        raise Unreadable("leaseInfo must be an object")
    names = (("renewalIntervalInSecs", _RENEWAL), ("durationInSecs", _DURATION))
    found = [(_signed(0 if value.get(name) is None else value[name], name), usual) for name, usual in names]
    renewal, duration = (number if number > 0 else usual for number, usual in found)
    return renewal, duration


def _signed(value: Any, name: str) -> int:
    text = str(value)
    return 0 if text.startswith("-") and number_of(text[1:]) is not None else _whole(value, name)


def _metadata(value: Any, name: str) -> dict[str, str]:
    """Its keys with a text each. What begins with @ is Java's."""
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{name} must be an object")
    return {key: _scalar(each, f"{name}.{key}") or "" for key, each in value.items() if key[:1] not in ("@", "$")}


def _data_center(value: Any) -> dict[str, Any]:
    if value is None:
        raise Missing("Missing dataCenterInfo")
    if not isinstance(value, dict) or value.get("@class") not in _DATA_CENTERS:
        raise Unreadable("dataCenterInfo has no @class that is known")
    if value.get("name") not in _DATA_CENTER_NAMES:
        raise Unreadable(f"dataCenterInfo.name must be one of {', '.join(_DATA_CENTER_NAMES)}")
    found = {"@class": value["@class"], "name": value["name"]}
    if value["name"] == "Amazon":
        found["metadata"] = _metadata(value.get("metadata"), "dataCenterInfo.metadata")
    return found


def _word(value: Any) -> str:
    return value if value in STATUSES else UNKNOWN


def _address(ip: str, host: str) -> str:
    """A client that does not know its address sends something else in its place."""
    try:
        return parse_ip(ip)
    except InvalidField:
        return host


def _zone(data_center: Mapping[str, Any], metadata: Mapping[str, str]) -> str | None:
    """Amazon's, or what Spring's clients have in their metadata; where a zone here can be called so."""
    zone = data_center.get("metadata", {}).get("availability-zone") or metadata.get("zone")
    try:
        return label(zone, "zone")
    except InvalidField:
        return None

"""Bodies as Consul's agents decode them: names of fields without regard to case or underscores, null as absent, unknown
fields ignored. Pure.

A `Struct` is read against its fields; maps whose keys are a service's own are kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from discovery.core import exact_json
from discovery.plugins.consul import durations
from discovery.plugins.consul.manners import Refused

# Reads a value; the second is where it stands, for the error.
Read = Callable[[Any, str], Any]

_KIND = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
# Of lists and maps in a body: more than any client sends, and bounded by what is kept anyway.
_MAX_ELEMENTS = 1024


def _wrong(value: Any, where: str, wanted: str) -> Refused:
    field = f"Go struct field {where}" if where else "Go value"
    return Refused(
        400, f"Request decode failed: json: cannot unmarshal {_KIND[type(value)]} into {field} of type {wanted}"
    )


def _exactly(kind: type, name: str) -> Read:
    def read_one(value: Any, where: str) -> Any:
        if type(value) is not kind:
            raise _wrong(value, where, name)
        return value

    return read_one


text, number, flag, anything = (
    _exactly(*each) for each in ((str, "string"), (int, "int"), (bool, "bool"), (dict, "object"))
)


def duration(value: Any, where: str) -> float:
    """Seconds. A number counts nanoseconds, as in Go."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1e9
    seconds = durations.seconds_of(text(value, where)) if value != "" else 0.0
    if seconds is None:
        raise Refused(400, f'Request decode failed: time: invalid duration "{value:.40}"')
    return seconds


def list_of(read: Read, name: str = "string") -> Read:
    def read_list(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > _MAX_ELEMENTS:
            raise _wrong(value, where, f"[]{name}")
        return [read(each, where) for each in value if each is not None]

    return read_list


def map_of(read: Read) -> Read:
    def read_map(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > _MAX_ELEMENTS:
            raise _wrong(value, where, "map[string]string")
        return {name: read(each, where) for name, each in value.items() if each is not None}

    return read_map


def struct(fields: Mapping[str, Read]) -> Read:
    """`fields`: by their names. What was read has those that were sent."""
    known = {name.lower(): (name, read) for name, read in fields.items()}

    def read_struct(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, where, "struct")
        found = {}
        for key, each in value.items():
            name, read = known.get(key.lower().replace("_", ""), ("", anything))
            if name and each is not None:
                found[name] = read(each, f"{where}.{name}" if where else f".{name}")
        return found

    return read_struct


ADDRESS = struct({"Address": text, "Port": number})
CHECK = struct(
    {
        "ID": text, "CheckID": text, "Name": text, "Notes": text, "Status": text, "Output": text, "ServiceID": text, "TTL": duration,
        "HTTP": text, "Header": map_of(list_of(text)), "Method": text, "Body": text, "TLSSkipVerify": flag, "TCP": text, "GRPC": text,
        "GRPCUseTLS": flag, "Interval": duration, "Timeout": duration, "DeregisterCriticalServiceAfter": duration,
        "SuccessBeforePassing": number, "FailuresBeforeCritical": number, "Args": list_of(text), "ScriptArgs": list_of(text),
        "Shell": text, "DockerContainerID": text, "AliasNode": text, "AliasService": text, "UDP": text, "H2PING": text,
    }
)  # fmt: skip
_SERVICE_FIELDS: Mapping[str, Read] = {
    "ID": text, "Name": text, "Service": text, "Tags": list_of(text), "Address": text, "Port": number, "Meta": map_of(text),
    "TaggedAddresses": map_of(ADDRESS), "Weights": struct({"Passing": number, "Warning": number}), "EnableTagOverride": flag,
    "Kind": text, "Proxy": anything, "Connect": anything,
}  # fmt: skip
SERVICE = struct({**_SERVICE_FIELDS, "Check": CHECK, "Checks": list_of(CHECK, "CheckType")})
ENTRY = struct(
    {
        "Node": text, "Address": text, "Datacenter": text, "NodeMeta": map_of(text), "SkipNodeUpdate": flag, "Check": CHECK,
        "Service": struct(_SERVICE_FIELDS), "Checks": list_of(CHECK, "HealthCheck"), "ServiceID": text, "CheckID": text,
    }
)  # fmt: skip
UPDATE = struct({"Status": text, "Output": text})


def body(octets: bytes, read: Read) -> dict[str, Any]:
    """Refused 400, in Go's words. Nothing at all, or null, is an object without fields where Go takes it for one."""
    if not octets.strip():
        raise Refused(400, "Request decode failed: EOF")
    try:
        value = exact_json.loads(octets)
    except ValueError as error:
        cut = "unexpected EOF" if "end of data" in str(error) or "EOF" in str(error) else str(error)
        raise Refused(400, f"Request decode failed: {cut}") from None
    found: dict[str, Any] = {} if value is None else read(value, "")
    return found

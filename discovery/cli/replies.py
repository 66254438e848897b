"""What commands read of the registry's replies: fields and their types, by which each reply is checked as it comes in. Whatever comes
besides is shown with -o json. `{name: type}` is an object, a name that ends in `?` of a field that may be missing; `{str: type}` is an
object with any names, `[type]` a list.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, NotRequired

from pydantic import StringConstraints
from typing_extensions import TypedDict

from discovery.client.event_stream import EventContent
from discovery.client.replies import Finite, OwnZone, Time

_object: Any = TypedDict


class Shape:
    """`type`: as `Reply.of_shape` takes it; made when it is first asked for, for no command reads all replies."""

    def __init__(self, of: Any) -> None:
        self._of = of

    @cached_property
    def type(self) -> Any:
        return _type(self._of)


def _type(of: Any) -> Any:
    if isinstance(of, list):
        return list[_type(of[0])]  # type: ignore[misc]  # made here
    if not isinstance(of, dict):
        return of
    if str in of:
        return dict[str, _type(of[str])]  # type: ignore[misc]
    types = {name: _type(each) for name, each in of.items()}
    fields = {name.removesuffix("?"): NotRequired[of] if name[-1] == "?" else of for name, of in types.items()}
    return _object("Object", fields)


_DONE = {"message": str}
_PLACED = {"ip": str, "port": int | None}
_IDENTITY = {**_PLACED, "id": str, "name": str, "draining?": bool}
_SECONDS = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}s$")]
_INSTANCES = {
    "instances": [
        {
            **_IDENTITY, "status": str, "timeSinceHeartbeat": _SECONDS, "zone?": str | None, "tags?": [str], "warning?": bool,
            "lapsedAt?": Time, "lease?": str,
        }
    ]
}  # fmt: skip
_HOLDS = {"instances": int, "services": [str]}
_NODE = {
    "node": str, "silent": bool, "lastHeardSeconds": Finite, "silentForSeconds": Finite | None, "version?": str | None, "holds?": _HOLDS,
}  # fmt: skip
_ENGINE = {
    "node": str, "leads": bool, "fresh": bool, "nodes": [_NODE], "leader?": str | None, "lagSeconds?": Finite, "movedTo?": object,
    "heldHere?": _HOLDS, "heldThroughUnknownNodes?": _HOLDS,
}  # fmt: skip
_LOST = {"instances": int, "serviceCount": int, "since": Time | None, "until": Time | None}
_BRAKE_HOLD = {"serviceName": str, "suspects": int, "since": Time, "until": Time}
_ZONE = {
    **dict.fromkeys(("networkCount", "services", "instances", "healthy", "missing", "askers", "answers", "crossed"), int),
    "zone": str, "networks": [str], "limping": [{"service": str, "healthy": int, "known": int}],
}  # fmt: skip
_PERMANENT = {**_PLACED, "id": str, "registeredAt": Time, "check?": object, "checks?": object}
_BEGUN = {"until": str, "reason": str}
_ACCOUNT = {**_PLACED, "served": bool, "heartbeats?": {str: object}, "checkStates?": {str: {str: object}}}

DONE, IDENTITY = Shape(_DONE), Shape(_IDENTITY)
SERVICES = Shape({"services": {str: _INSTANCES}, "next?": str | None})
SERVICE = Shape({**_INSTANCES, "serviceName": str})
RESOLVED = Shape({"instances": [{**_PLACED, "lastHeartbeat": Time}], "timestamp": Time, "zone?": OwnZone})
COUNTED = Shape({"instances": [{"status": str}]})
# The last four: of an instant before.
EXPLAINED = Shape(
    {
        "explained": [_ACCOUNT], "zone?": OwnZone, "down?": str | None, "gone?": [EventContent], "complete?": bool, "since?": str | None,
    }
)  # fmt: skip
HISTORY = Shape({"events": [EventContent], "complete": bool, "next?": str | None, "missing?": str | None})
GONE = Shape({"goneLastHour?": {"lost": _LOST}})
NODES = Shape({"activeInstances": int, "engine?": _ENGINE, "brakeHolds?": [_BRAKE_HOLD]})
ZONES = Shape({"minHealthy": int | None, "zones": [_ZONE], "others": int})
REGISTERED = Shape({"instance": _IDENTITY, "heartbeatIntervalMs": Finite})
REPORTED = Shape({"instance": _IDENTITY, "check": str})
DRAINED = Shape({"instance": _IDENTITY, "timestamp": Time, "safeAfter?": Time})
BEGUN = Shape(_BEGUN)
WINDOWS = Shape({"windows": [{**_BEGUN, "serviceName": str, "ip?": str, "port?": int | None}]})
TOKENS = Shape({"tokens": [{"name": str, "lastUsed?": str | None}], "revoked": [{"sha256": str}]})
TOKEN = Shape({"token": {"name": str, "sha256": str, "revokedAt": str}})
LOGGED = Shape({"queries": bool, "accesses": bool, "level": str})
# Of the registry on this host.
HEALTH = Shape({"service": str, "version": str})
READY = Shape({"warnings": [{"code": str, "severity": str, "count": int, "text?": str, "since?": str, "see?": str}]})
PERMANENT = Shape({"services": {str: {"changedAt": Time | None, "instances": [_PERMANENT]}}, "timestamp": Time})

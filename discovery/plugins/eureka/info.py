"""An instance as Eureka's clients read it: made of its registration and its record. Pure.

UP is who the other faces serve. Clients of Netflix drop a whole answer for one field that they do not know, so there are no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.core import metadata as metadata_text
from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.plugins.eureka.record import UNKNOWN, UP, USUAL, Record, Records

Info = dict[str, Any]

OUT_OF_SERVICE, DOWN = "OUT_OF_SERVICE", "DOWN"
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
_OUT = (Status.DRAINING, Status.MAINTENANCE)
# Java's empty map.
_EMPTY = {"@class": "java.util.Collections$EmptyMap"}
_COMPACT = (
    "instanceId", "app", "ipAddr", "vipAddress", "secureVipAddress", "dataCenterInfo", "hostName", "status", "lastUpdatedTimestamp",
    "actionType", "port", "securePort",
)  # fmt: skip


def statuses(status: Status, is_served: bool, is_alone: bool, record: Record) -> tuple[str, str]:
    """What it is, and what it was overridden to be. `status`: of the instance; `is_served`: whether it is in answers; `is_alone`: whether
    no other id shares its instance.
    """
    override: str | None = record.get("overriddenStatus")
    is_out = override not in (None, UP)
    if status in _OUT or (is_out and not is_alone):
        word = override if is_out and override is not None else OUT_OF_SERVICE
        return word, word
    own: str = record.get("status", UP)
    if not is_served and own == override:  # a copy: what it says of itself is not known
        return own, override
    if not is_served:
        return (own if own != UP else DOWN), UNKNOWN
    return (UP if is_alone else own), (UP if override == UP else UNKNOWN)


def native(instance: Instance) -> Records:
    """What stands for the records of one that did not come from Eureka's clients."""
    name = instance.spec.name.lower()
    return {instance.id: {"vipAddress": name, "secureVipAddress": name}}


def info(
    id: str, record: Record, instance: Instance, status: str, override: str, ttl: float, renewed_at: float, action: str | None = None
) -> Info:  # fmt: skip
    """`ttl`: of its lease, seconds, where that is not a copy's; `renewed_at`: epoch seconds. `action`: None: what its record says."""
    spec = instance.spec
    registered = record.get("registered", _ms(instance.registered_at))
    updated = record.get("updated", registered)
    evicted = updated if action == DELETED else 0
    values = {**USUAL, **record}
    found: Info = {
        "instanceId": id,
        "hostName": values.get("hostName", spec.ip),
        "app": spec.name.upper(),
        "ipAddr": values.get("ipAddr", spec.ip),
        "status": status,
        "overriddenStatus": override,
        "port": values.get("port") or {"$": spec.port, "@enabled": "true" if spec.port else "false"},
        "securePort": values["securePort"],
        "countryId": values["countryId"],
        "dataCenterInfo": values["dataCenterInfo"],
        "leaseInfo": {
            "renewalIntervalInSecs": values["renewalIntervalInSecs"],
            "durationInSecs": record.get("durationInSecs", int(ttl)),
            "registrationTimestamp": registered,
            "lastRenewalTimestamp": _ms(renewed_at),
            "evictionTimestamp": evicted,
            "serviceUpTimestamp": record.get("up", registered if status == UP else 0),
        },
        "metadata": _metadata(spec.metadata),
    }
    for name in _TEXTS:
        if name in values:
            found[name] = values[name]
    found["isCoordinatingDiscoveryServer"] = values["isCoordinatingDiscoveryServer"]
    found["lastUpdatedTimestamp"] = str(updated)
    found["lastDirtyTimestamp"] = str(record.get("dirty", registered))
    found["actionType"] = action or (ADDED if updated == registered else MODIFIED)
    return found


_TEXTS = (
    "appGroupName", "homePageUrl", "statusPageUrl", "healthCheckUrl", "secureHealthCheckUrl", "vipAddress", "secureVipAddress", "asgName",
)  # fmt: skip


def compact(full: Info) -> Info:
    """The fields of `X-Eureka-Accept: compact`."""
    found = {name: full[name] for name in _COMPACT if name in full}
    found["lastUpdatedTimestamp"] = int(found["lastUpdatedTimestamp"])
    return found


def hashcode(counts: Mapping[str, int]) -> str:
    """By which clients compare what they have with what there is."""
    return "".join([f"{status}_{counts[status]}_" for status in sorted(counts) if counts[status]])


def _metadata(packed: bytes) -> dict[str, str]:
    """Texts alone: what is nested is its JSON."""
    if packed == metadata_text.EMPTY:
        return _EMPTY
    texts = metadata_text.texts(metadata_text.unpack(packed))
    return {key: text for key, text in texts.items() if key[:1] not in ("@", "$")} or _EMPTY


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

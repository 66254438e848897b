"""The registry that runs on this host, if one does: what it warns of, and which of its instances somebody may have forgotten."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from discovery.cli.doctor.advice import reachable
from discovery.cli.doctor.finding import Finding, ok, problem, warning
from discovery.client.replies import Time, epoch
from discovery.core.address import authority
from discovery.settings import Settings

# Seconds for it to say that it is one.
_PATIENCE = 2
# Seconds after which nobody may know any more why an instance is there that nobody beats for.
_LONG = 30 * 86400.0
# Instances that are named.
_NAMED = 20


class _Warned(TypedDict):
    code: str
    severity: str
    count: int
    text: NotRequired[str]
    since: NotRequired[str]
    see: NotRequired[str]


class _Permanent(TypedDict):
    id: str
    ip: str
    port: int | None
    registeredAt: Time
    check: NotRequired[object]
    checks: NotRequired[object]


class _Service(TypedDict):
    changedAt: Time | None
    instances: list[_Permanent]


class _Services(TypedDict):
    services: dict[str, _Service]
    timestamp: Time


def registry_at(given: Settings) -> str | None:
    """The version of the registry that answers on HOST and PORT, if it is one."""
    health = _answer(given, "/health")
    with contextlib.suppress(KeyError, TypeError):
        return f"version {health['version']}" if health["service"] == "service-registry" else None
    return None


def _answer(given: Settings, path: str) -> Any:
    """None: nobody answers there."""
    scheme = "http" if given.tls_cert is None else "https"
    token = os.environ.get("DISCOVERY_TOKEN")
    asked = urllib.request.Request(  # noqa: S310 - http or https
        f"{scheme}://{authority(reachable(given.host[0]), given.port)}{path}",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    with contextlib.suppress(OSError, ValueError):
        try:
            with urllib.request.urlopen(asked, timeout=_PATIENCE) as reply:  # noqa: S310 - http or https
                return json.load(reply)
        except urllib.error.HTTPError as error:
            return json.load(error)
    return None


def warnings(given: Settings) -> Iterator[Finding]:
    """What the server says that runs here."""
    try:
        found = TypeAdapter(list[_Warned]).validate_python(_answer(given, "/ready")["warnings"])
    except (TypeError, LookupError, ValidationError):
        yield ok("no registry answers here that could be asked for its warnings")
        return
    if not found:
        yield ok("the registry that runs here warns of nothing")
    for each in found:
        text = (
            each.get("text")
            or f"{each['count']} of {each['code']}; set DISCOVERY_TOKEN to one that may read to see more"
        )
        since = f" (since {each['since']}, {each['see']})" if "since" in each and "see" in each else ""
        yield (problem if each["severity"] == "critical" else warning)(text + since)


def permanent(given: Settings) -> Iterator[Finding]:
    """Instances without a lease that nothing checks, of services that have not changed for so long: they may be long gone."""
    try:
        found = TypeAdapter(_Services).validate_python(_answer(given, "/services?status=permanent"))
    except ValidationError:
        yield ok(
            "no registry answers here that lists its instances; where one runs, set DISCOVERY_TOKEN to one that may read"
        )
        return
    before = epoch(found["timestamp"]) - _LONG
    forgotten = [
        f"{name} {authority(each['ip'], each['port'])} [id {each['id']}]"
        for name, service in found["services"].items()
        if service["changedAt"] is None or epoch(service["changedAt"]) <= before
        for each in service["instances"]
        if not each.keys() & {"check", "checks"} and epoch(each["registeredAt"]) <= before
    ]
    for text in forgotten[:_NAMED]:
        yield warning(
            f"{text} has no lease, nothing checks it, and nothing of its service has changed for 30 days: is it still there? "
            "`discovery deregister` removes it, a check of its port would tell"
        )
    if len(forgotten) > _NAMED:
        yield warning(
            f"{len(forgotten) - _NAMED} more are like these; `discovery get instances --status permanent` lists all"
        )
    if not forgotten:
        yield ok("every instance without a lease is checked, or of a service that has changed within 30 days")

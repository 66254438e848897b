"""The registry that runs on this host, if one does: what it warns of, and which of its instances somebody may have forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http import HTTPStatus

from discovery.cli import replies
from discovery.cli.connection import Json, shaped
from discovery.cli.doctor.advice import reachable
from discovery.cli.doctor.finding import Finding, ok, problem, warning
from discovery.cli.errors import Failed
from discovery.cli.replies import Shape
from discovery.client import RegistryClient, RegistryError, UnreadableToken, UnusableCertificate
from discovery.client.replies import epoch
from discovery.core.address import authority
from discovery.settings import Settings

# Seconds for it to say that it is one.
_PATIENCE = 2
# Seconds after which nobody may know any more why an instance is there that nobody beats for.
_LONG = 30 * 86400.0
# Instances that are named.
_NAMED = 20


def registry_at(given: Settings) -> str | None:
    """The version of the registry that answers on HOST and PORT, if it is one."""
    health = _answer(given, "/health", replies.HEALTH)
    return f"version {health['version']}" if health and health["service"] == "service-registry" else None


def _answer(given: Settings, path: str, has: Shape) -> Json | None:
    """None: no registry answers there, or none that shows it. Failed where nobody could be asked for it."""
    url = f"{'http' if given.tls_cert is None else 'https'}://{authority(reachable(given.host[0]), given.port)}"

    async def asked() -> Json:
        async with RegistryClient(url, timeout=_PATIENCE) as registry:
            reply = await registry.request("GET", path, accept=(HTTPStatus.SERVICE_UNAVAILABLE,))
            return shaped(reply, has, quietly=True)

    try:
        return asyncio.run(asked())
    except (UnreadableToken, UnusableCertificate) as error:
        raise Failed(str(error)) from None
    except RegistryError:
        return None


def warnings(given: Settings) -> Iterator[Finding]:
    """What the server says that runs here."""
    ready = _answer(given, "/ready", replies.READY)
    if ready is None:
        yield ok("no registry answers here that could be asked for its warnings")
        return
    if not ready["warnings"]:
        yield ok("the registry that runs here warns of nothing")
    for each in ready["warnings"]:
        text = (
            each.get("text")
            or f"{each['count']} of {each['code']}; set DISCOVERY_TOKEN to one that may read to see more"
        )
        since = f" (since {each['since']}, {each['see']})" if "since" in each and "see" in each else ""
        yield (problem if each["severity"] == "critical" else warning)(text + since)


def permanent(given: Settings) -> Iterator[Finding]:
    """Instances without a lease that nothing checks, of services that have not changed for so long: they may be long gone."""
    found = _answer(given, "/services?status=permanent", replies.PERMANENT)
    if found is None:
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

"""Why the registry refuses a write, or knows of nothing by that name. The edges have a table from these to their own codes."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from discovery.core.check import Check
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Instance, Key

# Seconds until it is worth to ask again.
_RETRY = 1


class UnknownInstance(DiscoveryError):
    plain = "it is not registered"
    facts = MappingProxyType({"suggestion": "Register the instance first: POST /register with name, ip and port"})

    def __init__(self, what: str) -> None:
        super().__init__(f"No instance {what} is registered")

    @classmethod
    def at(cls, which: Key | str) -> UnknownInstance:
        return cls(str(which))


class UnknownCheck(DiscoveryError):
    def __init__(self, instance: Instance, check: str) -> None:
        known = ", ".join(each.id for each in instance.spec.checks)
        which = f"{check!r:.80} of instance {instance.id}"
        super().__init__(
            f"No check {which} is registered; "
            + (f"it has {known}" if known else "it has none: register it with checks")
        )


class CheckIsMade(DiscoveryError):
    """By the registry: nobody else reports on it."""

    def __init__(self, instance: Instance, check: Check) -> None:
        super().__init__(
            f"The check {check.id} of instance {instance.id} is made by the registry itself, as it is one by {check.kind}; only checks "
            "by ttl are reported"
        )


class UnknownService(DiscoveryError):
    def __init__(self, name: str) -> None:
        super().__init__(f"No service {name} is registered")
        self.facts = {"serviceName": name}


class ServiceFull(DiscoveryError):
    def __init__(self, name: str, limit: int, setting: str = "MAX_INSTANCES_PER_SERVICE") -> None:
        super().__init__(
            f"Service {name} has {limit} instances, the most that {setting} allows, and none that is unhealthy; "
            "deregister one or raise the limit"
        )
        self.facts = {"serviceName": name, "limit": limit}


class RegistryFull(DiscoveryError):
    """`what`: services or instances."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"The registry has {limit} {what}, the most that MAX_{what.upper()} allows; deregister some or raise the limit"
        )
        self.facts = {"limit": limit, "of": what}


class PermanentRefused(DiscoveryError):
    """`limit` 0: none is taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} instances without a lease are registered by this token or client, the most that PERMANENT_PER_TOKEN allows; "
            "deregister some, or leave lease out and send heartbeats"
            if limit
            else "No instance without a lease is taken here (PERMANENT_ALLOWED=false); leave lease out and send heartbeats"
        )
        self.facts = {"limit": limit}


class NameReserved(DiscoveryError):
    """`why`: the rest of the sentence that begins with the name."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"The name {name} {why}; register under another name")
        self.facts = {"serviceName": name}


class IdTaken(DiscoveryError):
    """`same_service`: whoever registers may ask that the other one makes way."""

    def __init__(self, id: str, same_service: bool = False) -> None:
        what_to_do = "deregister that one or choose another id"
        if same_service:
            what_to_do = (
                "if that is the same process, before it came back at another address or port, register with "
                f'"replace": true, and the old one makes way; otherwise {what_to_do}'
            )
        of = "of this service " if same_service else ""
        super().__init__(f"The id {id} belongs to another instance {of}(GET /instances/{id} shows it); {what_to_do}")
        self.facts = {"id": id}


class TakenOver(DiscoveryError):
    """An import may not touch it. `origin`: from where it is imported; None: it registers or beats here itself."""

    def __init__(self, key: Key, origin: str | None) -> None:
        why = "registers or beats here itself" if origin is None else f"is imported from {origin}"
        super().__init__(f"{key} {why}; leave it as it is, and import it no longer")


class Deregistered(DiscoveryError):
    """A heartbeat that carries a registration, too soon after the instance was deregistered. `left`: seconds."""

    plain = "it was deregistered a moment ago"

    def __init__(self, key: Key, left: float) -> None:
        super().__init__(
            f"{key} was deregistered, and a heartbeat does not bring it back for "
            f"another {left:.1f} s; POST /register or /registrations does"
        )
        self.facts = {"suggestion": "Register the instance: POST /register", "retryAfterMs": round(left * 1000)}


class NoWindow(DiscoveryError):
    def __init__(self, what: str) -> None:
        super().__init__(f"There is no maintenance window for {what}; GET /maintenance lists those there are")


class TooManyWindows(DiscoveryError):
    """`whose`: of a token, for instance; empty: in all."""

    def __init__(self, limit: int, whose: str = "") -> None:
        super().__init__(
            f"There are {limit} maintenance windows{whose}, and there cannot be more; end some (GET /maintenance)"
        )


class TooManyRevoked(DiscoveryError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} tokens are revoked, and there cannot be more; take tokens that are in no file any more from that list "
            "(GET /admin/tokens shows it): DELETE /admin/revocations/SHA256"
        )


class TooManyDocuments(DiscoveryError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit:,} documents are remembered for plugins, and there cannot be more; remove some (GET /admin/documents/PLUGIN)"
        )


class NotRevoked(DiscoveryError):
    def __init__(self, sha256: str) -> None:
        super().__init__(f"No revoked token has the SHA-256 {sha256}; GET /admin/tokens lists those there are")


class EngineAway(DiscoveryError):
    """What the nodes of the registry share cannot be reached: nothing can change, and nobody can say that something does not exist.
    `text`: where that is to be told otherwise.
    """

    def __init__(self, reason: str, text: str | None = None) -> None:
        usual = f"What the nodes of the registry share cannot be changed now: {reason}; try again in a moment"
        super().__init__(usual if text is None else text)
        self.facts = {"reason": reason, "retryAfter": _RETRY}


class UnknownForNow(EngineAway):
    """No instance is known here by that name, and another node may know it."""


class EngineNotOpened(EngineAway):
    """The same at the start, in words for whoever starts the server."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, reason)


class NewerVersion(DiscoveryError):
    """What the nodes share has something in it that this version cannot understand. It must not go on: it would guess."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"A newer version of this program writes to the registry that this node shares, and it would have to guess: {what}; run that "
            "version here too"
        )


class NotDurable(DiscoveryError):
    """A write that cannot be made safe now. Heartbeats and reads go on."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The registry cannot write to its disk, so nothing can change: {reason}; try again in a moment"
        )
        self.facts = {"reason": reason, "retryAfter": _RETRY}


class Moved(DiscoveryError):
    """The truth is elsewhere (`discovery migrate`). `nodes`: where; what people call a data folder, or the addresses that an older version
    wrote.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        super().__init__(
            f"This registry has moved to {', '.join(nodes)}: registrations and heartbeats belong there; this process only answers reads, "
            "from what it knew"
        )
        self.facts = {"nodes": tuple(nodes)}

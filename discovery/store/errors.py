"""Why the registry refuses a write, or knows of nothing by that name. The edges have a table from these to their own codes."""

from __future__ import annotations

from discovery.core.errors import DiscoveryError
from discovery.core.instance import Instance, Key


class UnknownInstance(DiscoveryError):
    def __init__(self, what: str) -> None:
        super().__init__(f"No instance {what} is registered")
        self.what = what

    @classmethod
    def at(cls, key: Key) -> UnknownInstance:
        return cls(f"{key.ip} port {key.port} of service {key.service}")


class UnknownService(DiscoveryError):
    def __init__(self, name: str) -> None:
        super().__init__(f"No service {name} is registered")
        self.name = name


class ServiceFull(DiscoveryError):
    def __init__(self, name: str, limit: int) -> None:
        super().__init__(
            f"Service {name} has {limit} healthy instances, the most that MAX_INSTANCES_PER_SERVICE allows; "
            "deregister one or raise the limit"
        )
        self.name = name
        self.limit = limit


class NameReserved(DiscoveryError):
    def __init__(self, name: str) -> None:
        super().__init__(f"The name {name} has fixed records in a zone file; register under another name")
        self.name = name


class IdTaken(DiscoveryError):
    def __init__(self, id: str, holder: Instance) -> None:
        super().__init__(
            f"The id {id} belongs to {holder.spec.name} at {holder.address}; deregister that one or choose another id"
        )
        self.id = id

"""One instance of a service, as whoever wants to connect to it sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

PASSING = "passing"
HEALTHY, SUSPECT, FLAPPING = "healthy", "suspect", "flapping"
# The registry's defaults, which it does not repeat for each instance.
DEFAULT_WEIGHT, DEFAULT_WARNING_WEIGHT, DEFAULT_PRIORITY = 100, 1, 10


class InstanceContent(TypedDict):
    """As /resolve and events have it."""

    ip: str
    port: Annotated[int, Field(ge=0, le=65535)] | None
    status: str
    id: NotRequired[str]
    name: NotRequired[str]
    metadata: NotRequired[dict[str, Any] | None]
    tags: NotRequired[list[str]]
    ports: NotRequired[dict[str, int] | None]
    weight: NotRequired[Annotated[int, Field(ge=0, le=65535)]]
    warningWeight: NotRequired[Annotated[int, Field(ge=0, le=65535)]]
    health: NotRequired[str]
    warning: NotRequired[bool]
    output: NotRequired[str]
    priority: NotRequired[int]
    zone: NotRequired[str | None]


@dataclass(frozen=True)
class Instance:
    """`ip`: or a host name. `port` None: it has none. `ports`: more ports, by name. `priority`: lower is preferred, `weight`: share among
    the same priority, both as in SRV records; small of one that warns, by itself or a check of it. `health`: what it says of itself,
    `output`: in its words. `behind`: others are nearer (the registry's CLIENT_ZONES), and this one is for when they fail.
    """

    service: str
    ip: str
    port: int | None
    status: str = HEALTHY
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    weight: int = DEFAULT_WEIGHT
    priority: int = DEFAULT_PRIORITY
    zone: str | None = None
    health: str = PASSING
    output: str = ""
    behind: bool = False

    @property
    def address(self) -> str:
        """
        >>> Instance("api", "2001:db8::1", 3001).address
        '[2001:db8::1]:3001'
        >>> Instance("mail", "mx.example.com", None).address
        'mx.example.com'
        """
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def host(self) -> str:
        """As it stands in a URL."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    @classmethod
    def of(cls, service: str, content: InstanceContent) -> Instance:
        weight = content.get("weight", DEFAULT_WEIGHT)
        return cls(
            service=service,
            ip=content["ip"],
            port=content["port"],
            status=content["status"],
            id=content.get("id", ""),
            metadata=content.get("metadata") or {},
            tags=tuple(content.get("tags", ())),
            ports=content.get("ports") or {},
            weight=content.get("warningWeight", DEFAULT_WARNING_WEIGHT) if content.get("warning") else weight,
            priority=content.get("priority", DEFAULT_PRIORITY),
            zone=content.get("zone"),
            health=content.get("health", PASSING),
            output=content.get("output", ""),
        )

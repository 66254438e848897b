"""The client's side: register this process, find others, ask the registry. It knows nothing of the server but its HTTP.

`discovery/docs/sdk.md` shows how to use it. Every name that is meant for users is here.
"""

from discovery.client.errors import (
    InvalidAddress,
    NotARegistry,
    Refused,
    RegistryError,
    Unreachable,
    UnreadableToken,
    UnusableCertificate,
    printable,
)
from discovery.client.event_stream import Connected, Disconnected, Event, Reset, events
from discovery.client.instance import Instance
from discovery.client.registry_client import RegistryClient
from discovery.client.replies import Reply
from discovery.client.resolver import NoInstance, Resolver
from discovery.client.service import Service

__all__ = [
    "Connected",
    "Disconnected",
    "Event",
    "Instance",
    "InvalidAddress",
    "NoInstance",
    "NotARegistry",
    "Refused",
    "RegistryClient",
    "RegistryError",
    "Reply",
    "Reset",
    "Resolver",
    "Service",
    "Unreachable",
    "UnreadableToken",
    "UnusableCertificate",
    "events",
    "printable",
]

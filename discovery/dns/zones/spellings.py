"""Other registries' spellings of the same names, turned into ours, so that their clients need no change.

Consul, in a zone whose first label is `consul`: `SERVICE.service`, `TAG.SERVICE.service`, `_SERVICE._tcp.service`,
`_SERVICE._TAG.service`, each with `dc1`, Consul's default datacenter, behind it or not.
Kubernetes, everywhere: `SERVICE.default` and what stands before it; there is one namespace.
"""

from __future__ import annotations

from collections.abc import Callable

from discovery.dns.message.names import Name

_DATACENTER = b"dc1"
NAMESPACE = "default"
_NAMESPACE = NAMESPACE.encode("ascii")

_SERVICES = b"service"
# Names right below an origin that exist and are no services.
CONSUL_BRANCHES = (_SERVICES, _DATACENTER)
BRANCHES = frozenset((*CONSUL_BRANCHES, _NAMESPACE))


def is_consul(origin: Name) -> bool:
    """Whether names in the zone may be spelt as Consul does."""
    return origin[:1] == (b"consul",)


def ours(relative: Name, consul: bool, is_service: Callable[[bytes], bool]) -> Name | None:
    """The name as `selector` reads it; None for a branch (`service.consul`) that exists without records."""
    if consul:
        relative = relative[:-1] if relative[-2:] == (_SERVICES, _DATACENTER) else relative
        if relative == (_DATACENTER,):
            return None
        if relative[-1:] == (_SERVICES,):
            return _consul(relative[:-1])
    if relative[-1:] == (_NAMESPACE,) and not is_service(_NAMESPACE):
        return relative[:-1] or None
    return relative


def _consul(rest: Name) -> Name | None:
    match rest:
        case ():
            return None
        case (tag,) if tag.startswith(b"_"):
            return None
        case (service, tag) if service.startswith(b"_") and tag.startswith(b"_") and tag not in (b"_tcp", b"_udp"):
            return tag[1:], service[1:]
        case _:
            return rest

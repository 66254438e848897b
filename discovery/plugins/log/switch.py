"""Which queries and requests are logged, and how many of them: the filter, and the rate above which lines are held back. Pure."""

from __future__ import annotations

from ipaddress import ip_network

from discovery.core.errors import InvalidField
from discovery.core.network import Network, Networks
from discovery.dns.message.names import Name, from_text


class Filter:
    """`name`, `client`: as PUT /admin/log has them; InvalidField for what is neither a name nor a network."""

    def __init__(self, name: str | None, client: str | None) -> None:
        self._name = None if name is None else _name(name)
        self._networks = None if client is None else Networks([_network(client)])

    def has_name(self, name: Name) -> bool:
        """Of a question."""
        wanted = self._name
        if wanted is None:
            return True
        return wanted[0] in name if len(wanted) == 1 else name[-len(wanted) :] == wanted

    def has_path(self, path: str) -> bool:
        """Of a request, as it was sent."""
        if self._name is None:
            return True
        return len(self._name) == 1 and self._name[0].decode() in path.lower().split("/")

    def has_client(self, address: str) -> bool:
        return self._networks is None or address in self._networks


def _name(text: str) -> Name:
    try:
        name = from_text(text)
    except ValueError:
        name = ()
    if not name:
        raise InvalidField("name", "must be a DNS name such as user-service or user-service.svc.local")
    return name


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip())
    except ValueError:
        raise InvalidField("client", "must be an address or a network such as 10.0.0.7 or 10.0.0.0/8") from None


class Rate:
    """So many lines a second. `written`, `held_back`: in all. Monotonic seconds."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = -1
        self._in_second = 0
        self._untold = 0
        self.written = 0
        self.held_back = 0

    def take(self, now: float) -> bool:
        """Whether there is room for a line."""
        second = int(now)
        if second != self._second:
            self._second, self._in_second = second, 0
        if self._in_second >= self._per_second:
            self.held_back += 1
            self._untold += 1
            return False
        self._in_second += 1
        self.written += 1
        return True

    def untold(self) -> int:
        """Lines that were held back since the last call."""
        untold, self._untold = self._untold, 0
        return untold

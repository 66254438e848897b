"""An active check: how the registry itself finds out whether an instance works, as the instance asked for at registration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from discovery.core.checked import seconds_of, whole_of
from discovery.core.errors import InvalidField

# Seconds. More often than each second the check is the load; rarer than each hour it says nothing.
MIN_INTERVAL, MAX_INTERVAL = 1.0, 3600.0
MAX_TIMEOUT = 60.0
MAX_COUNT = 100
MAX_PATH = 1024

DEFAULT_INTERVAL, DEFAULT_TIMEOUT = 10.0, 2.0
DEFAULT_FAILURES, DEFAULT_SUCCESSES = 3, 1

# RFC 3986 §3.3 and §3.4: a path and a query, as they stand in a request line.
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_FIELDS = ("http", "tcp", "interval", "timeout", "failures", "successes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`path` of an HTTP GET that must answer 2xx; None: a TCP connection must open. Always to the instance's own ip and port.

    `interval` and `timeout` in seconds. After `failures` in a row the instance is failing, after `successes` in a row it is not.
    """

    path: str | None = None
    interval: float = DEFAULT_INTERVAL
    timeout: float = DEFAULT_TIMEOUT
    failures: int = DEFAULT_FAILURES
    successes: int = DEFAULT_SUCCESSES

    @classmethod
    def of(cls, value: object) -> Check:
        """From `{http: PATH | tcp: true, interval?, timeout?, failures?, successes?}`; InvalidField names the part at fault."""
        if not isinstance(value, Mapping):
            raise InvalidField("check", "must be an object with http (a path) or tcp (true)")
        for name in value:
            if name not in _FIELDS:
                raise InvalidField(f"check.{name!s:.40}", f"is not known here; a check may have {', '.join(_FIELDS)}")
        http, tcp = value.get("http"), value.get("tcp")
        if tcp is not None and tcp is not True:
            raise InvalidField("check.tcp", "must be true")
        if (http is None) == (tcp is None):
            raise InvalidField("check", 'must have either "http": a path, or "tcp": true')
        return cls(
            path=None if http is None else _path(http),
            interval=seconds_of("check.interval", MIN_INTERVAL, MAX_INTERVAL, value.get("interval", DEFAULT_INTERVAL)),
            timeout=seconds_of("check.timeout", 0.1, MAX_TIMEOUT, value.get("timeout", DEFAULT_TIMEOUT)),
            failures=whole_of("check.failures", 1, MAX_COUNT, value.get("failures", DEFAULT_FAILURES)),
            successes=whole_of("check.successes", 1, MAX_COUNT, value.get("successes", DEFAULT_SUCCESSES)),
        )

    def shown(self) -> dict[str, object]:
        """As it is registered."""
        what: dict[str, object] = {"tcp": True} if self.path is None else {"http": self.path}
        numbers = {"interval": self.interval, "timeout": self.timeout}
        return what | numbers | {"failures": self.failures, "successes": self.successes}


def _path(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_PATH or not _PATH.fullmatch(value):
        raise InvalidField("check.http", f"must be a path such as /health, at most {MAX_PATH} characters of a URL")
    return value

"""One example of an operation, and the few things that all examples are about: two instances of `user-service`, on 2026-01-31 at noon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.rest.api.route import Example

__all__ = ["Example"]

Table = Mapping[tuple[str, str], tuple[Example, ...]]

# Of places in paths, and of parameters that an operation must have. Those of DNS over HTTPS: user-service.svc.local A, in base64url.
PLACES: Mapping[str, Any] = {
    "name": "user-service",
    "id": "user-1",
    "ip": "10.0.0.7",
    "port": 3001,
    "domain": "user-service.svc.local",
    "token": "deploy",
    "sha256": "be180dccc1a51fdb748adb3e4127772868fd6e8464f18bdd24cdb8c30beae30a",
    "dns": "AAABAAABAAAAAAAADHVzZXItc2VydmljZQNzdmMFbG9jYWwAAAEAAQ",
}
AT = {"ip": "10.0.0.7", "port": "3001"}
SERVICE = "user-service"
NOW = "2026-01-31T12:00:00.000Z"
INDEX = 1769860800
# An instance as it is registered, and another of which less is said.
FIRST = {
    "name": SERVICE, "ip": "10.0.0.7", "port": 3001, "id": "user-1", "metadata": {"version": "1.4.2"}, "tags": ["blue"], "zone": "eu-1",
    "ttl": 30,
}  # fmt: skip
SECOND = {"name": SERVICE, "ip": "10.0.0.8", "port": 3001, "id": "user-2"}
LEAST = {"name": SERVICE, "ip": "10.0.0.7", "port": 3001}
WINDOW = {"reason": "a new disk", "seconds": 3600}
ADMIN = {"name": "admin", "address": "10.0.0.2"}

_BEATS = {"lastHeartbeat": "2026-01-31T11:59:58.000Z", "registeredAt": "2026-01-31T11:00:00.000Z"}
IDENTITY = {"id": "user-1", **LEAST}
# As replies have them.
RESOLVED = {
    "id": "user-1", "ip": "10.0.0.7", "port": 3001, "status": "healthy", **_BEATS, "metadata": {"version": "1.4.2"}, "tags": ["blue"],
    "zone": "eu-1", "ttl": 30,
}  # fmt: skip
RESOLVED_SECOND = {"id": "user-2", "ip": "10.0.0.8", "port": 3001, "status": "healthy", **_BEATS, "metadata": {}}
LISTED = {**RESOLVED, "name": SERVICE, "isHealthy": True, "timeSinceHeartbeat": "2s"}
LISTED_SECOND = {**RESOLVED_SECOND, "name": SERVICE, "isHealthy": True, "timeSinceHeartbeat": "2s"}
DRAINING = {**LISTED, "status": "draining", "isHealthy": False, "draining": True}

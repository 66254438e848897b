"""All routes, as /openapi.json describes them: what each takes and what it may answer. The tests hold them to the routes and errors that
there are. Each has its heading and its examples in `examples`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel

from discovery.rest.api import (
    audit,
    dig,
    event_replies,
    history,
    listing,
    observing,
    rates,
    replies,
    resolving,
    schemas,
    server_replies,
    waiting,
)
from discovery.rest.api.query import Table

JSON = "application/json"
DNS = "application/dns-message"
STREAM = "text/event-stream"
TEXT = "text/plain"

Document = dict[str, Any]

_ALWAYS = (
    "BAD_REQUEST", "BROKEN_BODY", "REQUEST_TIMEOUT", "BODY_TOO_LARGE", "EXPECTATION_FAILED", "UNKNOWN_HOST", "INTERNAL",
    "TOO_MANY_CONNECTIONS", "TOO_BUSY", "CODING_UNSUPPORTED", "VERSION_UNSUPPORTED",
)  # fmt: skip
_TOKEN = ("UNAUTHORIZED", "FORBIDDEN")
_JSON_BODY = ("BODY_MISSING", "BROKEN_JSON", "NOT_AN_OBJECT", "INVALID_FIELD", "NOT_JSON", "ENCODED_BODY")
_REGISTER = (
    "SERVICE_FULL", "NAME_RESERVED", "ID_TAKEN", "REGISTRY_FULL", "TOO_MANY_REGISTRATIONS", "STORAGE_UNAVAILABLE",
    "ENGINE_UNAVAILABLE", "MOVED",
)  # fmt: skip
_HISTORY = ("NOT_RECORDED", "HISTORY_BUSY", "HISTORY_TOO_SLOW")
_UPSERT = (*_REGISTER, "INSTANCE_DEREGISTERED")
_OF_PLACE = {
    "name": "INVALID_FIELD", "domain": "INVALID_FIELD", "id": "INSTANCE_UNKNOWN",
    "token": "TOKEN_UNKNOWN", "sha256": "TOKEN_NOT_REVOKED",
}  # fmt: skip
_OF_QUERY = {"ip": ("INVALID_FIELD", "PARAMETER_MISSING"), "dns": ("INVALID_FIELD", "PARAMETER_MISSING")}
# Those that anybody may ask, whatever token they show.
OPEN = ("/health", "/ready", "/openapi.json")
# Pages for browsers and their files: no part of the API, and anybody's. They know nothing; their scripts ask the API with the token that is
# typed on them.
PAGES = ("/", "/ui", "/ui/", "/ui/{file}", "/docs", "/docs/", "/docs/{file}")


class Operation(NamedTuple):
    """`reply`: of status `status`; None: it is no JSON, but `media`. `codes`: besides those that any of its kind may get.

    `query`: parameters beside which any other is ignored. `known`: a table beside which any other is refused.
    """

    summary: str
    reply: type[BaseModel] | None
    body: type[BaseModel] | None = None
    status: tuple[int, ...] = (200,)
    codes: tuple[str, ...] = ()
    query: tuple[tuple[str, bool, Document], ...] = ()
    known: Table = {}  # noqa: RUF012 a value, never written to
    media: str = JSON


_AT = (("ip", True, schemas.ADDRESS), ("port", True, schemas.PORT))
# With an entity tag, which the client may have already.
_KNOWN_ALREADY = (200, 304)
_DNS_QUERY = (
    ("dns", True, {"type": "string", "pattern": "^[A-Za-z0-9_-]*$", "description": "a DNS message in base64url"}),
)


def _operations() -> dict[tuple[str, str], Operation]:
    heartbeat, register, window = schemas.HeartbeatBody, schemas.RegisterBody, schemas.MaintenanceBody
    stored = ("STORAGE_UNAVAILABLE", "ENGINE_UNAVAILABLE", "MOVED")
    gone = ("SERVICE_UNKNOWN", *stored)
    unknown = ("INSTANCE_UNKNOWN", *stored)
    table = {
        ("POST", "/register"): Operation(
            "Register, or register again", replies.RegisterReply, register, (201,), _REGISTER
        ),
        ("PUT", "/instances"): Operation(
            "A heartbeat that carries the registration", replies.HeartbeatReply, register, (200, 201), _UPSERT
        ),
        ("POST", "/heartbeat"): Operation(
            "Renew a lease; with register: true, as PUT /instances",
            replies.HeartbeatReply,
            heartbeat,
            (200, 201),
            (*_UPSERT, "INSTANCE_UNKNOWN"),
        ),
        ("POST", "/registrations"): Operation(
            "Register many instances",
            replies.RegistrationsReply,
            schemas.RegistrationsBody,
            codes=("STORAGE_UNAVAILABLE",),  # of all at once; the others are told of each
        ),
        ("POST", "/heartbeats"): Operation(
            "Renew many leases", replies.HeartbeatsReply, schemas.HeartbeatsBody, codes=("ENGINE_UNAVAILABLE", "MOVED")
        ),
        ("GET", "/resolve/{name}"): Operation(
            "The instances to use",
            replies.ResolveReply,
            status=_KNOWN_ALREADY,
            codes=("SERVICE_UNKNOWN", "NO_HEALTHY_INSTANCE", "TOO_MANY_WATCHERS"),
            known=resolving.PARAMETERS,
        ),
        ("GET", "/instances/{id}"): Operation("One instance", replies.InstanceReply),
        ("DELETE", "/instances/{id}"): Operation("Deregister by id", replies.DeregisterReply, codes=stored),
        ("GET", "/services"): Operation(
            "All services, streamed, or a page",
            replies.ServicesReply,
            status=_KNOWN_ALREADY,
            codes=("TOO_MANY_WATCHERS",),
            known=listing.PARAMETERS,
        ),
        ("GET", "/events"): Operation(
            "What happens, as it happens (Server-Sent Events); each message is an Event",
            None,
            codes=("TOO_MANY_WATCHERS",),
            known=waiting.EVENTS,
            media=STREAM,
        ),
        ("GET", "/changes"): Operation(
            "What has happened since an index", event_replies.ChangesReply, codes=("INDEX_GONE",), known=waiting.CHANGES
        ),
        ("GET", "/services/{name}/explain"): Operation(
            "Who was in the answers at an instant, and why the others were not",
            history.PastReply,
            codes=("SERVICE_UNKNOWN", *_HISTORY),
            known=history.EXPLAIN,
        ),
        ("GET", "/history"): Operation(
            "What happened, newest first", history.HistoryReply, codes=_HISTORY, known=history.HISTORY
        ),
        ("DELETE", "/services/{name}"): Operation(
            "Deregister a whole service", replies.DeregisterServiceReply, codes=gone
        ),
        ("DELETE", "/services/{name}/instances"): Operation(
            "Deregister an instance", replies.DeregisterReply, codes=unknown, query=_AT
        ),
        ("POST", "/admin/clear"): Operation("Deregister everything", replies.ClearReply, codes=stored),
        ("DELETE", "/admin/tokens/{token}"): Operation(
            "Revoke a token on all nodes, by name or SHA-256",
            server_replies.TokenReply,
            codes=(*stored, "TOO_MANY_REVOKED"),
        ),
        ("DELETE", "/admin/revocations/{sha256}"): Operation(
            "Forget that a token was revoked", server_replies.TokenReply, codes=stored
        ),
        ("GET", "/stats"): Operation("Counters", server_replies.StatsReply),
        ("GET", "/stats/history"): Operation("How much and how fast, by second and by minute", rates.StatsHistoryReply),
        ("GET", "/top"): Operation(
            "Who asks most, and for what", observing.TopReply, codes=("INVALID_FIELD",), query=observing.TOP_QUERY
        ),
        ("GET", "/admin/audit"): Operation(
            "Who changed what, newest first", audit.AuditReply, codes=("AUDIT_OFF",), known=audit.AUDIT
        ),
        ("GET", "/admin/tokens"): Operation(
            "Which tokens there are, without their secrets", server_replies.TokensReply
        ),
        ("GET", "/admin/log"): Operation("What is logged", observing.LogReply),
        ("PUT", "/admin/log"): Operation("Log more, for a time", observing.LogReply, observing.LogBody),
        ("GET", "/metrics"): Operation("Counters for Prometheus", None, media=TEXT),
        ("GET", "/health"): Operation("Whether the process lives", server_replies.HealthReply),
        ("GET", "/ready"): Operation("Whether it can be asked", server_replies.ReadyReply, codes=("NOT_READY",)),
        ("GET", "/maintenance"): Operation("All maintenance windows", replies.MaintenancesReply),
        ("GET", "/dns-query"): Operation(
            "DNS over HTTPS (RFC 8484)", None, codes=("NO_QUERY",), query=_DNS_QUERY, media=DNS
        ),
        ("POST", "/dns-query"): Operation("DNS over HTTPS (RFC 8484)", None, codes=("NO_QUERY", "NOT_DNS"), media=DNS),
        ("GET", "/dns/{domain}"): Operation(
            "What this server says over DNS, in text, or as JSON to who accepts that", None, known=dig.DIG, media=TEXT
        ),
        ("GET", "/openapi.json"): Operation("This document", server_replies.DocumentReply),
    }
    for path, query in (("/services/{name}/instances", _AT), ("/instances/{id}", ())):
        table |= {
            ("PUT", f"{path}/drain"): Operation(
                "Out of new answers, still alive", replies.DrainReply, codes=unknown, query=query
            ),
            ("DELETE", f"{path}/drain"): Operation("Back into answers", replies.DrainReply, codes=unknown, query=query),
        }
    for path, query, missing in (
        ("/services/{name}", (), gone),
        ("/services/{name}/instances", _AT, unknown),
        ("/instances/{id}", (), unknown),
    ):
        table |= {
            ("PUT", f"{path}/maintenance"): Operation(
                "Begin maintenance", replies.MaintenanceReply, window, codes=(*missing, "TOO_MANY_WINDOWS"), query=query
            ),
            ("DELETE", f"{path}/maintenance"): Operation(
                "End maintenance", replies.MaintenanceReply, codes=(*stored, "NO_MAINTENANCE"), query=query
            ),
        }
    return table


OPERATIONS = _operations()


def codes_of(method: str, path: str) -> set[str]:
    """The errors that an operation may end in."""
    operation = OPERATIONS[method, path]
    codes = {*_ALWAYS, *operation.codes, *(() if path in OPEN else _TOKEN)}
    codes |= {_OF_PLACE[name] for name in places_in(path)}
    codes |= {code for name, _, _ in operation.query for code in _OF_QUERY.get(name, ())}
    codes |= {*(("INVALID_FIELD", "PARAMETER_UNKNOWN") if operation.known else ())}
    codes |= {*(_JSON_BODY if operation.body else ()), *(() if method == "GET" else ("FOREIGN_ORIGIN",))}
    return codes


def places_in(path: str) -> list[str]:
    """The names in braces."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]

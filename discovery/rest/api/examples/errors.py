"""Of each error one body, as the server says it: `ERRORS`, by code."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from discovery.rest.api.codes import CODES
from discovery.rest.api.examples.example import NOW, PLACES

# The message, and the facts that the code comes with.
_SAID: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "BAD_REQUEST": ("This is not an HTTP request that can be read: Invalid header token", {}),
    "BODY_MISSING": ("The request has no body; send a JSON object", {}),
    "BROKEN_BODY": ("The body cannot be read: Invalid character in chunk size", {}),
    "BROKEN_JSON": ("The body is not valid JSON: unexpected end of data: line 1 column 2 (char 1)", {}),
    "INVALID_FIELD": ("port: is out of range, ports go from 1 to 65535", {"field": "port"}),
    "NOT_AN_OBJECT": ("The body must be a JSON object", {}),
    "NO_QUERY": ("This is no DNS query: it is a response, or too short to have an id", {}),
    "PARAMETER_MISSING": (
        "ip: the query parameter is required",
        {"field": "ip", "example": "PUT /services/user-service/instances/drain?ip=127.0.0.1&port=3001"},
    ),
    "PARAMETER_UNKNOWN": (
        "'sinse' is no parameter of this route. Did you mean since? It takes kind, meta.KEY, port, service, since, tag, zone",
        {"field": "sinse", "suggestion": "since"},
    ),
    "UNAUTHORIZED": ("The token in Authorization is not known here; ask whoever runs this registry for one", {}),
    "FORBIDDEN": ("The token deploy has no right 'register:user-service'", {"missing": "register:user-service"}),
    "FOREIGN_ORIGIN": (
        "Pages of 'https://other.example' may not use this API; ALLOWED_ORIGINS lists those that may",
        {},
    ),
    "AUDIT_OFF": ("No audit is written here: set AUDIT_FILE to a file, and start the server again", {}),
    "INSTANCE_DEREGISTERED": (
        "10.0.0.7 port 3001 of service user-service was deregistered, and a heartbeat does not bring it back for another 10.0 s; "
        "POST /register does",
        {"suggestion": "Register the instance: POST /register", "retryAfterMs": 10000},
    ),
    "INSTANCE_UNKNOWN": (
        "No instance 10.0.0.7 port 3001 of service user-service is registered",
        {"suggestion": "Register the instance first: POST /register with name, ip and port"},
    ),
    "NO_HEALTHY_INSTANCE": (
        "Service user-service is known, but none of its 2 instances matches; see GET /services",
        {"serviceName": "user-service", "instanceCount": 0, "instances": []},
    ),
    "NO_MAINTENANCE": (
        "There is no maintenance window for 10.0.0.7 port 3001 of user-service; GET /maintenance lists those there are",
        {},
    ),
    "NOT_RECORDED": ("The history does not go back so far", {"since": "2026-01-24T12:00:00.000Z"}),
    "ROUTE_UNKNOWN": ("There is no GET /nothing here; GET /openapi.json lists the routes", {}),
    "SERVICE_UNKNOWN": (
        "No service user-service is registered; GET /services lists those that are, GET /history?service=user-service what became of it",
        {"serviceName": "user-service"},
    ),
    "TOKEN_NOT_REVOKED": (
        f"No revoked token has the SHA-256 {PLACES['sha256']}; GET /admin/tokens lists those there are",
        {},
    ),
    "TOKEN_UNKNOWN": (
        "No token called deploy is in this node's TOKENS_FILE; ask a node that has it, or name it by the SHA-256 of its secret, which "
        "`discovery token list --output wide` shows",
        {},
    ),
    "REQUEST_TIMEOUT": ("The head of a request took longer than 10 s", {}),
    "ID_TAKEN": (
        "The id user-1 belongs to another instance (GET /instances/user-1 shows it); deregister that one or choose another id",
        {"id": "user-1"},
    ),
    "NAME_RESERVED": (
        "The name ns has fixed records in a zone file; register under another name",
        {"serviceName": "ns"},
    ),
    "SERVICE_FULL": (
        "Service user-service has 10 instances, the most that MAX_INSTANCES_PER_SERVICE allows, and none that is unhealthy; deregister one "
        "or raise the limit",
        {"serviceName": "user-service", "limit": 10},
    ),
    "TOO_MANY_REVOKED": (
        "10000 tokens are revoked, and there cannot be more; take tokens that are in no file any more from that list (GET /admin/tokens "
        "shows it): DELETE /admin/revocations/SHA256",
        {},
    ),
    "TOO_MANY_WINDOWS": (
        "There are 1000 maintenance windows, and there cannot be more; end some (GET /maintenance)",
        {},
    ),
    "INDEX_GONE": (
        "What happened up to index 1769860300 is no longer known, and 7 lies before it; read GET /services anew and go on from its "
        "X-Registry-Index",
        {"index": 1769860800, "oldest": 1769860300},
    ),
    "BODY_TOO_LARGE": ("The body has 200080 octets, at most 131072 are read here", {}),
    "ENCODED_BODY": ("Content-Encoding is gzip; send the body as it is", {}),
    "NOT_DNS": ("Content-Type is text/plain; send a DNS message as application/dns-message", {}),
    "NOT_JSON": ("Content-Type is text/plain; send the body as application/json", {}),
    "EXPECTATION_FAILED": ("Only 'Expect: 100-continue' is understood", {}),
    "UNKNOWN_HOST": (
        "This server is not called 'other.example'; use its address, or add the name to ALLOWED_HOSTS",
        {},
    ),
    "TOO_MANY_REGISTRATIONS": (
        "More than 100 registrations a second come from 10.0.0.7; wait a moment (REGISTERS_PER_SECOND)",
        {"retryAfter": 1},
    ),
    "INTERNAL": ("Something went wrong inside the registry; its log has the details", {}),
    "CODING_UNSUPPORTED": ("Transfer-Encoding may only be chunked; send the body as it is", {}),
    "HISTORY_BUSY": (
        "20 questions to the history are being answered; ask again in a second",
        {"retryAfter": 1},
    ),
    "HISTORY_TOO_SLOW": (
        "The history could not be searched in 5 s; ask for less: a service, an ip, or a shorter time (from, to)",
        {},
    ),
    "NOT_READY": (
        "Not ready: it is still being filled",
        {"ready": False, "notReady": {"registry": "it is still being filled"}},
    ),
    "STORAGE_UNAVAILABLE": (
        "The registry cannot write to its disk, so nothing can change: no space; try again in a moment",
        {"reason": "no space", "retryAfter": 1},
    ),
    "ENGINE_UNAVAILABLE": (
        "The registry cannot reach what its nodes share, so nothing can change: no etcd member answers; try again in a moment",
        {"reason": "no etcd member answers", "retryAfter": 1},
    ),
    "MOVED": (
        "This registry has moved to http://10.0.0.1:3100: send registrations and heartbeats there; this process only answers reads, from "
        "what it knew",
        {"nodes": ["http://10.0.0.1:3100"]},
    ),
    "TOO_MANY_CONNECTIONS": ("There are too many connections; try again in a moment", {"retryAfter": 1}),
    "TOO_MANY_WATCHERS": (
        "There are too many watchers; ask without index, or try again in 5 s (MAX_WATCHERS)",
        {"retryAfter": 5},
    ),
    "TOO_BUSY": ("Too many large bodies are being sent at once; try again in a moment", {"retryAfter": 1}),
    "VERSION_UNSUPPORTED": ("This version of HTTP is not spoken here; use HTTP/1.1", {}),
    "REGISTRY_FULL": (
        "The registry has 10000 services, the most that MAX_SERVICES allows; deregister some or raise the limit",
        {"limit": 10000, "of": "services"},
    ),
}
ERRORS: Mapping[str, Mapping[str, Any]] = {
    code: {"error": HTTPStatus(CODES[code]).phrase, "message": message, "code": code, **facts, "timestamp": NOW}
    for code, (message, facts) in _SAID.items()
}

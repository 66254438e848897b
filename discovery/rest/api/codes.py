"""The codes of errors, each with its status; the README has what each means, and the tests hold both to what the source can say."""

from __future__ import annotations

# code → status.
CODES = {
    "BAD_REQUEST": 400,
    "BODY_MISSING": 400,
    "BROKEN_BODY": 400,
    "BROKEN_JSON": 400,
    "INVALID_FIELD": 400,
    "NOT_AN_OBJECT": 400,
    "NO_QUERY": 400,
    "PARAMETER_MISSING": 400,
    "PARAMETER_UNKNOWN": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "FOREIGN_ORIGIN": 403,
    "INSTANCE_DEREGISTERED": 404,
    "INSTANCE_UNKNOWN": 404,
    "NO_HEALTHY_INSTANCE": 404,
    "NO_MAINTENANCE": 404,
    "ROUTE_UNKNOWN": 404,
    "SERVICE_UNKNOWN": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "ID_TAKEN": 409,
    "NAME_RESERVED": 409,
    "SERVICE_FULL": 409,
    "TOO_MANY_WINDOWS": 409,
    "BODY_TOO_LARGE": 413,
    "ENCODED_BODY": 415,
    "NOT_DNS": 415,
    "NOT_JSON": 415,
    "EXPECTATION_FAILED": 417,
    "UNKNOWN_HOST": 421,
    "TOO_MANY_REGISTRATIONS": 429,
    "INTERNAL": 500,
    "CODING_UNSUPPORTED": 501,
    "NOT_READY": 503,
    "STORAGE_UNAVAILABLE": 503,
    "ENGINE_UNAVAILABLE": 503,
    "TOO_MANY_CONNECTIONS": 503,
    "TOO_BUSY": 503,
    "VERSION_UNSUPPORTED": 505,
    "REGISTRY_FULL": 507,
}
# Of what is no operation: no path here, or another method of one.
ELSEWHERE = ("ROUTE_UNKNOWN", "METHOD_NOT_ALLOWED")

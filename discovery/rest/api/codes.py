"""The codes of errors, each with its status, the error of the registry that it stands for, and an example of what is said with it.
docs/http.md has what each means, and the tests hold them to what the source can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from discovery.core.check import HTTP, TTL, Check
from discovery.core.errors import DiscoveryError, Forbidden, InvalidField, Unauthorized
from discovery.core.instance import Instance, Key, Registration
from discovery.rest.api.example import NOW, SERVICE, SHA256
from discovery.store import errors


class Code(NamedTuple):
    """`facts`: what else stands in the body. `of`: the error inside that has this code; None: only HTTP has it."""

    status: int
    message: str
    facts: Mapping[str, Any] = {}
    of: type[DiscoveryError] | None = None

    def body(self, code: str) -> dict[str, Any]:
        said = {"error": HTTPStatus(self.status).phrase, "message": self.message, "code": code}
        return {**said, **self.facts, "timestamp": NOW}


def _raised(status: int, example: DiscoveryError) -> Code:
    return Code(status, str(example), example.facts, type(example))


_KEY = Key(SERVICE, "10.0.0.7", 3001)
_USER = Instance(
    "user-1", 0.0, Registration(name=SERVICE, ip=_KEY.ip, port=_KEY.port, checks=(Check(kind=TTL, id="db-pool"),))
)

CODES: Mapping[str, Code] = {
    "BAD_REQUEST": Code(400, "This is not an HTTP request that can be read: Invalid header token"),
    "BODY_MISSING": Code(400, "The request has no body; send a JSON object"),
    "BROKEN_BODY": Code(400, "The body cannot be read: Invalid character in chunk size"),
    "BROKEN_JSON": Code(400, "The body is not valid JSON: unexpected end of data: line 1 column 2 (char 1)"),
    "INVALID_FIELD": _raised(400, InvalidField("port", "is out of range, ports go from 1 to 65535")),
    "NOT_AN_OBJECT": Code(400, "The body must be a JSON object"),
    "NO_QUERY": Code(400, "This is no DNS query: it is a response, or too short to have an id"),
    "PARAMETER_MISSING": Code(
        400,
        "ip: the query parameter is required",
        {"field": "ip", "example": "PUT /services/user-service/instances/drain?ip=127.0.0.1&port=3001"},
    ),
    "PARAMETER_UNKNOWN": Code(
        400,
        "'sinse' is no parameter of this route. Did you mean since? It takes kind, meta.KEY, port, service, "
        "since, tag, zone",
        {"field": "sinse", "suggestion": "since"},
    ),
    "TLS_REQUIRED": Code(400, "This port speaks HTTPS; ask again with https:// in front of the address"),
    "UNAUTHORIZED": _raised(
        401, Unauthorized("The token in Authorization is not known here; ask whoever runs this registry for one", "")
    ),
    "FORBIDDEN": _raised(403, Forbidden("deploy", "register:user-service")),
    "FOREIGN_ORIGIN": Code(
        403, "Pages of 'https://other.example' may not use this API; ALLOWED_ORIGINS lists those that may"
    ),
    "AUDIT_OFF": Code(404, "No audit is written here: set AUDIT_FILE to a file, and start the server again"),
    "CHECK_UNKNOWN": _raised(404, errors.UnknownCheck(_USER, "db-pol")),
    "INSTANCE_DEREGISTERED": _raised(404, errors.Deregistered(_KEY, 10.0)),
    "INSTANCE_UNKNOWN": _raised(404, errors.UnknownInstance.at(_KEY)),
    "NO_HEALTHY_INSTANCE": Code(
        404,
        "Service user-service is known, but none of its 2 instances matches; see GET /services",
        {"serviceName": "user-service", "instanceCount": 0, "instances": []},
    ),
    "NO_MAINTENANCE": _raised(404, errors.NoWindow("10.0.0.7 port 3001 of user-service")),
    "NOT_RECORDED": Code(404, "The history does not go back so far", {"since": "2026-01-24T12:00:00.000Z"}),
    "ROUTE_UNKNOWN": Code(404, "There is no GET /nothing here; GET /openapi.json lists the routes"),
    "SERVICE_UNKNOWN": Code(
        404,
        "No service user-service is registered; GET /services lists those that are, GET "
        "/history?service=user-service what became of it",
        {"serviceName": SERVICE},
        errors.UnknownService,
    ),
    "TOKEN_NOT_REVOKED": _raised(404, errors.NotRevoked(SHA256)),
    "TOKEN_UNKNOWN": Code(
        404,
        "No token called deploy is in this node's TOKENS_FILE; ask a node that has it, or name it by the "
        "SHA-256 of its secret, which `discovery token list --output wide` shows",
    ),
    "METHOD_NOT_ALLOWED": Code(405, "/register does not take GET; it takes POST"),
    "REQUEST_TIMEOUT": Code(408, "The head of a request took longer than 10 s"),
    "CHECK_IS_MADE": _raised(409, errors.CheckIsMade(_USER, Check(kind=HTTP, id="http"))),
    "ID_TAKEN": _raised(409, errors.IdTaken("user-1")),
    "NAME_RESERVED": _raised(
        409, errors.NameReserved("ns", "has fixed records: a zone file's, or those of the zone's name server")
    ),
    "PERMANENT_REFUSED": _raised(409, errors.PermanentRefused(1000)),
    "TAKEN_OVER": _raised(409, errors.TakenOver(_KEY, None)),
    "SERVICE_FULL": _raised(409, errors.ServiceFull(SERVICE, 10)),
    "TOO_MANY_DOCUMENTS": _raised(409, errors.TooManyDocuments(10_000)),
    "TOO_MANY_REVOKED": _raised(409, errors.TooManyRevoked(2_000)),
    "TOO_MANY_WINDOWS": _raised(409, errors.TooManyWindows(1000)),
    "INDEX_GONE": Code(
        410,
        "What happened up to index 1769860300 is no longer known, and 7 lies before it; read GET /services "
        "anew and go on from its X-Registry-Index",
        {"index": 1769860800, "oldest": 1769860300},
    ),
    "BODY_TOO_LARGE": Code(413, "The body has 200080 octets, at most 131072 are read here"),
    "ENCODED_BODY": Code(415, "Content-Encoding is gzip; send the body as it is"),
    "NOT_DNS": Code(415, "Content-Type is text/plain; send a DNS message as application/dns-message"),
    "NOT_JSON": Code(415, "Content-Type is text/plain; send the body as application/json"),
    "EXPECTATION_FAILED": Code(417, "Only 'Expect: 100-continue' is understood"),
    "UNKNOWN_HOST": Code(
        421, "This server is not called 'other.example'; use its address, or add the name to ALLOWED_HOSTS"
    ),
    "TOO_MANY_REGISTRATIONS": Code(
        429,
        "More than 100 registrations a second come from 10.0.0.7; wait a moment (REGISTERS_PER_SECOND)",
        {"retryAfter": 1},
    ),
    "INTERNAL": Code(500, "Something went wrong inside the registry; its log has the details"),
    "CODING_UNSUPPORTED": Code(501, "Transfer-Encoding may only be chunked; send the body as it is"),
    "HISTORY_BUSY": Code(
        503, "20 questions to the history are being answered; ask again in a second", {"retryAfter": 1}
    ),
    "HISTORY_TOO_SLOW": Code(
        503, "The history could not be searched in 5 s; ask for less: a service, an ip, or a shorter time (from, to)"
    ),
    "NOT_READY": Code(
        503,
        "Not ready: it is still being filled",
        {"ready": False, "notReady": {"registry": "it is still being filled"}, "warnings": []},
    ),
    "STORAGE_UNAVAILABLE": _raised(503, errors.NotDurable("no space")),
    "ENGINE_UNAVAILABLE": _raised(503, errors.EngineAway("no etcd member answers")),
    "MOVED": _raised(503, errors.Moved(["http://10.0.0.1:3100"])),
    "TOO_MANY_CONNECTIONS": Code(503, "There are too many connections; try again in a moment", {"retryAfter": 1}),
    "TOO_MANY_WATCHERS": Code(
        503, "There are too many watchers; ask without index, or try again in 5 s (MAX_WATCHERS)", {"retryAfter": 5}
    ),
    "TOO_BUSY": Code(503, "Too many large bodies are being sent at once; try again in a moment", {"retryAfter": 1}),
    "VERSION_UNSUPPORTED": Code(505, "This version of HTTP is not spoken here; use HTTP/1.1"),
    "REGISTRY_FULL": _raised(507, errors.RegistryFull("services", 10_000)),
}

"""The codes of errors, each with its status and an example of what is said with it; docs/http.md has what each means, and the tests hold
them to what the source can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from discovery.rest.api.example import NOW


class Code(NamedTuple):
    """`facts`: what else stands in the body."""

    status: int
    message: str
    facts: Mapping[str, Any] = {}

    def body(self, code: str) -> dict[str, Any]:
        said = {"error": HTTPStatus(self.status).phrase, "message": self.message, "code": code}
        return {**said, **self.facts, "timestamp": NOW}


CODES: Mapping[str, Code] = {
    "BAD_REQUEST": Code(400, "This is not an HTTP request that can be read: Invalid header token"),
    "BODY_MISSING": Code(400, "The request has no body; send a JSON object"),
    "BROKEN_BODY": Code(400, "The body cannot be read: Invalid character in chunk size"),
    "BROKEN_JSON": Code(400, "The body is not valid JSON: unexpected end of data: line 1 column 2 (char 1)"),
    "INVALID_FIELD": Code(400, "port: is out of range, ports go from 1 to 65535", {"field": "port"}),
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
    "UNAUTHORIZED": Code(401, "The token in Authorization is not known here; ask whoever runs this registry for one"),
    "FORBIDDEN": Code(
        403, "The token deploy has no right 'register:user-service'", {"missing": "register:user-service"}
    ),
    "FOREIGN_ORIGIN": Code(
        403, "Pages of 'https://other.example' may not use this API; ALLOWED_ORIGINS lists those that may"
    ),
    "AUDIT_OFF": Code(404, "No audit is written here: set AUDIT_FILE to a file, and start the server again"),
    "CHECK_UNKNOWN": Code(404, "No check 'db-pol' of instance user-1 is registered; it has db-pool"),
    "INSTANCE_DEREGISTERED": Code(
        404,
        "10.0.0.7 port 3001 of service user-service was deregistered, and a heartbeat does not bring it "
        "back for another 10.0 s; POST /register or /registrations does",
        {"suggestion": "Register the instance: POST /register", "retryAfterMs": 10000},
    ),
    "INSTANCE_UNKNOWN": Code(
        404,
        "No instance 10.0.0.7 port 3001 of service user-service is registered",
        {"suggestion": "Register the instance first: POST /register with name, ip and port"},
    ),
    "NO_HEALTHY_INSTANCE": Code(
        404,
        "Service user-service is known, but none of its 2 instances matches; see GET /services",
        {"serviceName": "user-service", "instanceCount": 0, "instances": []},
    ),
    "NO_MAINTENANCE": Code(
        404,
        "There is no maintenance window for 10.0.0.7 port 3001 of user-service; GET /maintenance lists those there are",
    ),
    "NOT_RECORDED": Code(404, "The history does not go back so far", {"since": "2026-01-24T12:00:00.000Z"}),
    "ROUTE_UNKNOWN": Code(404, "There is no GET /nothing here; GET /openapi.json lists the routes"),
    "SERVICE_UNKNOWN": Code(
        404,
        "No service user-service is registered; GET /services lists those that are, GET "
        "/history?service=user-service what became of it",
        {"serviceName": "user-service"},
    ),
    "TOKEN_NOT_REVOKED": Code(
        404,
        "No revoked token has the SHA-256 be180dccc1a51fdb748adb3e4127772868fd6e8464f18bdd24cdb8c30beae30a; "
        "GET /admin/tokens lists those there are",
    ),
    "TOKEN_UNKNOWN": Code(
        404,
        "No token called deploy is in this node's TOKENS_FILE; ask a node that has it, or name it by the "
        "SHA-256 of its secret, which `discovery token list --output wide` shows",
    ),
    "METHOD_NOT_ALLOWED": Code(405, "/register does not take GET; it takes POST"),
    "REQUEST_TIMEOUT": Code(408, "The head of a request took longer than 10 s"),
    "CHECK_IS_MADE": Code(
        409,
        "The check http of instance user-1 is made by the registry itself, as it is one by http; only checks by ttl are reported",
    ),
    "ID_TAKEN": Code(
        409,
        "The id user-1 belongs to another instance (GET /instances/user-1 shows it); deregister that one or "
        "choose another id",
        {"id": "user-1"},
    ),
    "NAME_RESERVED": Code(
        409, "The name ns has fixed records in a zone file; register under another name", {"serviceName": "ns"}
    ),
    "PERMANENT_REFUSED": Code(
        409,
        "1000 instances without a lease are registered by this token or client, the most that "
        "PERMANENT_PER_TOKEN allows; deregister some, or leave lease out and send heartbeats",
        {"limit": 1000},
    ),
    "TAKEN_OVER": Code(
        409,
        "10.0.0.5 port 3001 of service user-service registers or beats here itself; leave it as it is, and import it no longer",
    ),
    "SERVICE_FULL": Code(
        409,
        "Service user-service has 10 instances, the most that MAX_INSTANCES_PER_SERVICE allows, and none "
        "that is unhealthy; deregister one or raise the limit",
        {"serviceName": "user-service", "limit": 10},
    ),
    "TOO_MANY_DOCUMENTS": Code(
        409,
        "10,000 documents are remembered for plugins, and there cannot be more; remove some (GET /admin/documents/PLUGIN)",
    ),
    "TOO_MANY_REVOKED": Code(
        409,
        "10000 tokens are revoked, and there cannot be more; take tokens that are in no file any more from "
        "that list (GET /admin/tokens shows it): DELETE /admin/revocations/SHA256",
    ),
    "TOO_MANY_WINDOWS": Code(
        409, "There are 1000 maintenance windows, and there cannot be more; end some (GET /maintenance)"
    ),
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
    "STORAGE_UNAVAILABLE": Code(
        503,
        "The registry cannot write to its disk, so nothing can change: no space; try again in a moment",
        {"reason": "no space", "retryAfter": 1},
    ),
    "ENGINE_UNAVAILABLE": Code(
        503,
        "What the nodes of the registry share cannot be changed now: no etcd member answers; try again in a moment",
        {"reason": "no etcd member answers", "retryAfter": 1},
    ),
    "MOVED": Code(
        503,
        "This registry has moved to http://10.0.0.1:3100: send registrations and heartbeats there; this "
        "process only answers reads, from what it knew",
        {"nodes": ["http://10.0.0.1:3100"]},
    ),
    "TOO_MANY_CONNECTIONS": Code(503, "There are too many connections; try again in a moment", {"retryAfter": 1}),
    "TOO_MANY_WATCHERS": Code(
        503, "There are too many watchers; ask without index, or try again in 5 s (MAX_WATCHERS)", {"retryAfter": 5}
    ),
    "TOO_BUSY": Code(503, "Too many large bodies are being sent at once; try again in a moment", {"retryAfter": 1}),
    "VERSION_UNSUPPORTED": Code(505, "This version of HTTP is not spoken here; use HTTP/1.1"),
    "REGISTRY_FULL": Code(
        507,
        "The registry has 10000 services, the most that MAX_SERVICES allows; deregister some or raise the limit",
        {"limit": 10000, "of": "services"},
    ),
}
# Of what is no operation: no path here, another method of one, HTTP without TLS on the port of HTTPS.
ELSEWHERE = ("ROUTE_UNKNOWN", "METHOD_NOT_ALLOWED", "TLS_REQUIRED", "TOO_MANY_DOCUMENTS")

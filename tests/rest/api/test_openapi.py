"""/openapi.json against what there is: the routes of the whole server, the errors that the code can say, and the answers that it gives."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jsonschema_rs
import openapi_spec_validator
import pytest

import discovery
from discovery.cli.setting_list import names
from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key, Registration
from discovery.rest.api.codes import CODES
from discovery.rest.api.openapi import codes_of
from discovery.rest.api.query import parse
from discovery.store.engine import Engine
from discovery.store.errors import EngineAway, Moved, NotDurable
from discovery.store.service import Entry
from discovery.store.write import Write
from tests.rest.harness import USER, Api, serving
from tests.routes import DOCUMENT, FACES, OPERATIONS

PACKAGE = Path(discovery.__file__).parent
PAGE = (PACKAGE / "docs" / "http.md").read_text()
AT = "/services/user-service/instances"
# Codes of what is no operation: no path here, another method of one, HTTP without TLS on the port of HTTPS; and of plugins alone.
ELSEWHERE = ("ROUTE_UNKNOWN", "METHOD_NOT_ALLOWED", "TLS_REQUIRED", "TOO_MANY_DOCUMENTS")
HERE = "?ip=127.0.0.1&port=3001"

T = TypeVar("T")


# -- the document itself


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(DOCUMENT)


def test_every_operation_has_an_id_and_a_summary_of_its_own() -> None:
    described = [DOCUMENT["paths"][path][method.lower()] for method, path in OPERATIONS]
    assert len({each["operationId"] for each in described}) == len(described)
    assert all(each["summary"] for each in described)


async def test_it_is_served_as_it_was_made() -> None:
    async with serving() as api:
        paths = (await api.get("/openapi.json")).body["paths"]
        assert paths
        assert all(DOCUMENT["paths"][path] == item for path, item in paths.items())


# -- errors: the code, docs/http.md and the document


def test_every_code_that_the_source_can_say_is_in_the_document() -> None:
    assert {code for code, each in CODES.items() if each.of is not None} | set(_codes_in_source()) == CODES.keys()


# `HttpError("CODE", …)`, `HttpError.usual("CODE")`, and of a subclass.
_SAYS = re.compile(r'(?:HttpError(?:\.usual)?|super\(\)\.__init__)\(\s*"([A-Z]+(?:_[A-Z]+)+|INTERNAL|MOVED)"')


def _codes_in_source() -> Iterator[str]:
    """Other registries' APIs answer in their words."""
    for folder in ("rest", "plugins"):
        for file in (PACKAGE / folder).rglob("*.py"):
            if file.parent.name not in FACES:
                yield from re.findall(_SAYS, file.read_text())


def test_every_code_is_on_the_page_and_the_page_has_no_other() -> None:
    rows = PAGE.partition("| status | `code` |")[2].partition("\n\n")[0]
    words = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", rows))
    assert words >= CODES.keys()
    assert words - CODES.keys() <= names().keys()
    for row in rows.splitlines()[2:]:
        statuses = set(re.findall(r"\d{3}", row.split("|")[1]))
        assert {str(CODES[code].status) for code in re.findall(r"`([A-Z_]+)`", row) if code in CODES} == statuses, row


def test_every_code_is_documented_for_some_operation() -> None:
    documented = {code for method, path in OPERATIONS for code in codes_of(OPERATIONS[method, path])}
    assert documented == CODES.keys() - set(ELSEWHERE)


def test_each_operation_lists_its_codes_by_status_and_a_success() -> None:
    for method, path in OPERATIONS:
        listed = set()
        for status, response in DOCUMENT["paths"][path][method.lower()]["responses"].items():
            if int(status) >= 400:
                codes = response["content"]["application/json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
                assert {CODES[code].status for code in codes} == {int(status)}
                listed |= set(codes)
            else:
                assert int(status) in OPERATIONS[method, path].status
        assert listed == codes_of(OPERATIONS[method, path])


def test_every_example_of_a_parameter_is_one_that_its_route_takes() -> None:
    seen = 0
    for (method, path), operation in OPERATIONS.items():
        for parameter in DOCUMENT["paths"][path][method.lower()]["parameters"]:
            name = parameter["name"]
            schema = parameter["schema"].get("items", parameter["schema"])
            if parameter["in"] == "query" and not parameter["required"]:
                assert schema["examples"], (path, name)
                for example in schema["examples"]:
                    assert parse(f"{name}={example}", operation.query)
                    seen += 1
    assert seen > 10


# -- answers


class Asked(NamedTuple):
    """`code`: of the error that it must be; "" for a success."""

    method: str
    path: str
    template: str
    body: Any = None
    code: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 a value, never written to


def ask(line: str, body: Any = None, code: str = "", template: str = "", **headers: str) -> Asked:
    method, path = line.split()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked(method, path, template or path.partition("?")[0], body, code, named)


NAMED = "/services/{name}"
PLACED = "/services/{name}/instances"
BY_ID = "/instances/{id}"
WINDOW = {"reason": "a new disk", "seconds": 60}
RICH = USER | {
    "metadata": {"a": [1, None]}, "tags": ["blue"], "ports": {"admin": 9000}, "protocol": "udp", "weight": 1, "priority": 2,
    "zone": "eu-1", "ttl": 20.5, "maxAnswers": 3, "check": {"http": "/health", "interval": 5}, "id": "user-1",
}  # fmt: skip

# In this order: each is asked of what the ones before have left.
TOUR = [
    ask("GET /health"),
    ask("GET /ready"),
    ask("GET /stats"),
    ask("GET /maintenance"),
    ask("GET /services"),
    ask("GET /openapi.json"),
    ask("GET /admin/documents/consul", None, "", "/admin/documents/{plugin}"),
    ask("DELETE /admin/documents/consul/a%2Fb", None, "", "/admin/documents/{plugin}/{key}"),
    ask("GET /changes"),
    ask("GET /changes?since=1", None, "INDEX_GONE"),
    ask("GET /changes?since=-1", None, "INVALID_FIELD"),
    ask("GET /events?sinse=1", None, "PARAMETER_UNKNOWN"),
    ask("GET /resolve/user-service", None, "SERVICE_UNKNOWN", "/resolve/{name}"),
    ask("GET /resolve/a%0Ab", None, "INVALID_FIELD", "/resolve/{name}"),
    ask("POST /register", RICH),
    ask("POST /register", USER | {"port": 3002}),
    ask("PUT /instances", USER | {"port": 3002, "importedFrom": "consul://old:8500", "hold": 60}, "TAKEN_OVER"),
    ask("POST /register", USER | {"name": "other-service", "id": "user-1"}, "ID_TAKEN"),
    ask("POST /register", USER | {"port": 3003}, "SERVICE_FULL"),
    ask("PUT /instances", USER | {"port": 3003, "lease": "none"}, "PERMANENT_REFUSED"),
    ask("POST /register", USER | {"name": "fixed"}, "NAME_RESERVED"),
    ask("POST /register", USER | {"port": 0}, "INVALID_FIELD"),
    ask("POST /register", [], "NOT_AN_OBJECT"),
    ask("POST /register", b"{", "BROKEN_JSON", Content_Type="application/json"),
    ask("POST /register", b"", "BODY_MISSING", Content_Type="application/json"),
    ask("POST /register", b"{}", "NOT_JSON", Content_Type="text/plain"),
    ask("POST /register", b"{}", "ENCODED_BODY", Content_Type="application/json", Content_Encoding="gzip"),
    ask("POST /register", USER | {"metadata": {"a": "b" * 200_000}}, "BODY_TOO_LARGE"),
    ask("POST /registrations", {"instances": [RICH | {"tag": 1}, USER | {"port": 3003}, USER | {"port": 0}, 7], "tag": 1}),
    ask("POST /registrations", {"instances": 7}, "INVALID_FIELD"),
    ask("POST /register", USER, "EXPECTATION_FAILED", Expect="the unexpected"),
    ask("PUT /register", USER, "METHOD_NOT_ALLOWED"),
    ask("GET /nothing", None, "ROUTE_UNKNOWN"),
    ask("POST /register", USER, "FOREIGN_ORIGIN", Origin="http://evil.example"),
    ask("GET /health", None, "UNKNOWN_HOST", Host="evil.example", Origin="http://evil.example"),
    ask("PUT /instances", RICH),
    ask("PUT /instances", USER | {"name": "new-service"}),
    ask("POST /heartbeat", USER),
    ask("POST /heartbeat", USER | {"mood": "fine"}),
    ask("POST /register", RICH | {"tag": "blue"}),
    ask("POST /heartbeat", RICH | {"register": True}),
    ask("POST /heartbeat", USER | {"name": "newer-service", "register": True}),
    ask("POST /heartbeat", USER | {"port": 3009}, "INSTANCE_UNKNOWN"),
    ask("POST /heartbeats", {"instances": [USER, {"id": "user-1"}, {"id": "nobody"}, 7, {"name": "x", "ip": 1, "port": []}]}),
    ask("POST /heartbeats", {"instances": 7}, "INVALID_FIELD"),
    ask("GET /resolve/user-service", template="/resolve/{name}"),
    ask("GET /services"),
    ask("GET /services?limit=1"),
    ask("GET /services?limit=0", None, "INVALID_FIELD"),
    ask("GET /services?limits=1", None, "PARAMETER_UNKNOWN"),
    ask("GET /services/user-service", template=NAMED),
    ask("GET /services/usr-service", None, "SERVICE_UNKNOWN", NAMED),
    ask("GET /resolve/user-service?tag=blue&meta.a=1&_=7", None, "NO_HEALTHY_INSTANCE", "/resolve/{name}"),
    ask("GET /resolve/user-service?tag=blue&zone=eu-1&limit=1", template="/resolve/{name}"),
    ask("GET /resolve/user-service?strategy=weighted&explain=1", template="/resolve/{name}"),
    ask("GET /resolve/user-service?limit=x", None, "INVALID_FIELD", "/resolve/{name}"),
    ask("GET /resolve/user-service?tags=blue", None, "PARAMETER_UNKNOWN", "/resolve/{name}"),
    ask("GET /instances/user-1", template=BY_ID),
    ask("GET /instances/nobody", None, "INSTANCE_UNKNOWN", BY_ID),
    ask(f"PUT {AT}/drain{HERE}", template=f"{PLACED}/drain"),
    ask(f"PUT {AT}/drain", None, "PARAMETER_MISSING", f"{PLACED}/drain"),
    ask(f"PUT {AT}/drain?ip=x&port=1", None, "INVALID_FIELD", f"{PLACED}/drain"),
    ask("PUT /instances/user-1/drain", template=f"{BY_ID}/drain"),
    ask(f"PUT {AT}/maintenance{HERE}", WINDOW, template=f"{PLACED}/maintenance"),
    ask("PUT /services/user-service/maintenance", WINDOW, template=f"{NAMED}/maintenance"),
    ask("PUT /instances/user-1/maintenance", WINDOW, template=f"{BY_ID}/maintenance"),
    ask("PUT /instances/user-1/maintenance", {"reason": ""}, "INVALID_FIELD", f"{BY_ID}/maintenance"),
    ask("PUT /services/nobody/maintenance", WINDOW, "SERVICE_UNKNOWN", f"{NAMED}/maintenance"),
    ask("GET /maintenance"),
    ask("GET /services"),
    ask("GET /resolve/user-service", None, "NO_HEALTHY_INSTANCE", "/resolve/{name}"),
    ask("GET /resolve/user-service?explain=1", template="/resolve/{name}"),
    ask("DELETE /instances/user-1/maintenance", template=f"{BY_ID}/maintenance"),
    ask("DELETE /instances/user-1/maintenance", None, "NO_MAINTENANCE", f"{BY_ID}/maintenance"),
    ask(f"DELETE {AT}/maintenance{HERE}", None, "NO_MAINTENANCE", f"{PLACED}/maintenance"),
    ask("DELETE /services/user-service/maintenance", template=f"{NAMED}/maintenance"),
    ask("DELETE /instances/user-1/drain", template=f"{BY_ID}/drain"),
    ask(f"DELETE {AT}/drain{HERE}", template=f"{PLACED}/drain"),
    ask("DELETE /instances/user-1", template=BY_ID),
    ask(f"DELETE {AT}?ip=127.0.0.1&port=3002", template=PLACED),
    ask("PUT /instances", USER | {"port": 3002}, "INSTANCE_DEREGISTERED"),
    ask("DELETE /services/new-service", template=NAMED),
    ask("DELETE /services/new-service", None, "SERVICE_UNKNOWN", NAMED),
    ask("GET /changes?limit=1000"),
    ask("POST /admin/clear"),
]  # fmt: skip


async def test_every_answer_of_a_tour_is_as_documented_to_the_last_field() -> None:
    def is_host(host: bytes) -> bool:
        return b"evil" not in host

    async with serving(max_instances=2, is_host=is_host) as api:
        api.registry.reserved = {"fixed": "has fixed records in a zone file"}
        api.registry.max_permanent = 0
        for asked in TOUR:
            await assert_documented(api, asked)


# Answers that are no JSON, and those of plugins, have tests of their own.
ELSEWHERE_TESTED = (
    "/dns-query", "/dns/{domain}", "/events", "/metrics", "/stats/history", "/top", "/admin/log", "/admin/audit", "/admin/tokens",
    "/history", "/sd/prometheus", "/zones", "/instances/{id}/checks/{check}",
    "/services/{name}/explain", "/admin/tokens/{token}", "/admin/revocations/{sha256}",
)  # fmt: skip


def test_the_tour_goes_everywhere() -> None:
    """The other errors follow below, or need a token, 10 s or a crowd."""
    toured = {(asked.method, asked.template) for asked in TOUR}
    assert toured >= {(method, path) for method, path in OPERATIONS if path not in ELSEWHERE_TESTED}
    elsewhere = {"UNAUTHORIZED", "FORBIDDEN", "NO_QUERY", "NOT_DNS", "BAD_REQUEST", "BROKEN_BODY", "REQUEST_TIMEOUT"}
    elsewhere |= {
        "TOO_MANY_CONNECTIONS",
        "TOO_MANY_WATCHERS",
        "TOO_BUSY",
        "CODING_UNSUPPORTED",
        "VERSION_UNSUPPORTED",
        "TLS_REQUIRED",
        "NOT_RECORDED",
        "AUDIT_OFF",
        "CHECK_UNKNOWN",
        "CHECK_IS_MADE",
        "HISTORY_BUSY",
        "HISTORY_TOO_SLOW",
        "TOKEN_UNKNOWN",
        "TOKEN_NOT_REVOKED",
        "TOO_MANY_REVOKED",
        "TOO_MANY_DOCUMENTS",
    } | {code for _, code, _ in BROKEN}
    assert {asked.code for asked in TOUR} - {""} == CODES.keys() - elsewhere


class Broken:
    """An engine whose every write ends in `error`."""

    leads = True

    def __init__(self, inner: Engine, error: Exception) -> None:
        self._inner = inner
        self._error = error

    async def open(self) -> None:
        await self._inner.open()

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        raise self._error

    def renew(self, which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
        return self._inner.renew(which, by)

    async def submit_all(self, writes: Iterable[Write[T]], by: Caller = NOBODY) -> list[T | DiscoveryError]:
        raise self._error

    @property
    def safe(self) -> float:
        return self._inner.safe

    def not_ready(self) -> str | None:
        return self._inner.not_ready()

    def stats(self) -> Mapping[str, Any]:
        return self._inner.stats()

    async def close(self) -> None:
        await self._inner.close()


class Away(Broken):
    """Not even a heartbeat is taken."""

    def renew(self, which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
        raise self._error


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    (
        "POST /registrations",
        "STORAGE_UNAVAILABLE",
        {"engine": lambda inner, registry: Broken(inner, NotDurable("no space"))},
    ),
    (
        "POST /heartbeats",
        "ENGINE_UNAVAILABLE",
        {"engine": lambda inner, registry: Away(inner, EngineAway("no etcd member answers"))},
    ),
    ("POST /heartbeats", "MOVED", {"engine": lambda inner, registry: Away(inner, Moved(["http://10.0.0.1:3100"]))}),
    (
        "POST /register",
        "STORAGE_UNAVAILABLE",
        {"engine": lambda inner, registry: Broken(inner, NotDurable("no space"))},
    ),
    (
        "POST /register",
        "ENGINE_UNAVAILABLE",
        {"engine": lambda inner, registry: Broken(inner, EngineAway("no etcd member answers"))},
    ),
    (
        "POST /register",
        "MOVED",
        {"engine": lambda inner, registry: Broken(inner, Moved(["http://10.0.0.1:3100"]))},
    ),
    ("POST /register", "INTERNAL", {"engine": lambda inner, registry: Broken(inner, RuntimeError("a bug"))}),
    ("POST /register", "REGISTRY_FULL", {"max_services": 1}),
    ("POST /register", "TOO_MANY_REGISTRATIONS", {"registers_per_second": 1}),
    ("GET /ready", "NOT_READY", {"checks": {"registry": lambda: "it is still being filled"}}),
    ("PUT /services/first/maintenance", "TOO_MANY_WINDOWS", {}),
]


@pytest.mark.parametrize(("line", "code", "options"), BROKEN, ids=[f"{line} {code}" for line, code, _ in BROKEN])
async def test_what_goes_wrong_is_as_documented_too(
    line: str, code: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discovery.store.operations.MAX_WINDOWS", 0)
    async with serving(**options) as api:
        api.registry.register(Registration.of("first", "10.0.0.1", 1), api.clock.now, api.clock.wall())
        body = {"GET": None, "POST": USER | {"instances": [USER]}, "PUT": WINDOW}[line.split()[0]]
        if code == "TOO_MANY_REGISTRATIONS":
            assert [(await api.post("/register", USER)).status for _ in range(2)] == [201, 201]
        await assert_documented(api, ask(line, body, code, f"{NAMED}/maintenance" if "services" in line else ""))


async def assert_documented(api: Api, asked: Asked) -> None:
    reply = await api.request(asked.method, asked.path, asked.body, asked.headers)
    assert (reply.body or {}).get("code", "") == asked.code, (asked, reply)
    if asked.code in CODES:  # there is a suggestion where something is like what was asked for
        assert reply.body.keys() >= CODES[asked.code].body(asked.code).keys() - {"suggestion"}
    if asked.code in ELSEWHERE:
        assert reply.status == CODES[asked.code].status
        return
    operation = DOCUMENT["paths"][asked.template][asked.method.lower()]
    assert str(reply.status) in operation["responses"], (asked, reply)
    described = operation["responses"][str(reply.status)]
    assert reply.headers["Content-Type"].partition(";")[0] in described["content"]
    for name, header in described.get("headers", {}).items():
        assert name in reply.headers or not header["required"], (asked, reply)
    for error in _closed_validator(json.dumps(described["content"]["application/json"]["schema"])).iter_errors(
        reply.body
    ):
        raise AssertionError(f"{asked.method} {asked.path}: {error}")


def _closed() -> Any:
    """The schemas, with nothing allowed that they do not name."""
    components = copy.deepcopy(DOCUMENT["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return components


CLOSED = _closed()


@cache
def _closed_validator(schema: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads(schema) | {"components": CLOSED}, validate_formats=True)


# -- requests: the document says what the server takes


FORBIDDEN: list[tuple[str, Any]] = [
    ("name", "a" * 64), ("name", "-a"), ("name", "a-"), ("name", "_a"), ("name", "a.b"), ("name", ""), ("name", 7),
    ("ip", "localhost"), ("ip", 7), ("port", 0), ("port", 65536), ("port", 1.5), ("port", True), ("port", "0x1"),
    ("tags", ["a"] * 33), ("tags", ["a b"]), ("tags", "a"), ("ports", {"a": 0}), ("ports", {"a b": 1}), ("ports", []),
    ("protocol", "sctp"), ("weight", -1), ("weight", 65536), ("priority", "1"), ("zone", "a.b"), ("ttl", 0.5), ("ttl", 3601),
    ("maxAnswers", 0), ("id", ""), ("id", "-"), ("id", "a" * 129), ("metadata", []), ("metadata", "a"),
    ("check", {}), ("check", {"http": "health"}), ("check", {"tcp": False}), ("check", {"tcp": True, "interval": 0.5}),
    ("check", {"tcp": True, "http": "/"}), ("check", {"tcp": True, "other": 1}), ("check", {"tcp": True, "failures": 101}),
]  # fmt: skip
ALLOWED: list[tuple[str, Any]] = [
    ("name", "a" * 63), ("name", "a_-_"), ("name", "7"), ("ip", "::1"), ("ip", "10.0.0.7"), ("port", 65535), ("port", "3001"),
    ("tags", []), ("tags", ["a"] * 32), ("ports", None), ("ports", {"a": 1}), ("weight", 65535), ("zone", None), ("ttl", 1),
    ("ttl", 3600), ("ttl", None), ("maxAnswers", None), ("maxAnswers", 65535), ("id", None), ("id", "a" * 128),
    ("metadata", None), ("check", None), ("check", {"tcp": True, "timeout": 0.1}), ("anything", "else"),
]  # fmt: skip


async def test_what_the_document_forbids_is_refused_and_what_it_allows_is_taken(api: Api) -> None:
    for field, value in FORBIDDEN:
        assert not _takes("RegisterBody", USER | {field: value}), (field, value)
        assert (await api.post("/register", USER | {field: value})).body["code"] == "INVALID_FIELD", (field, value)
    for field, value in ALLOWED:
        assert _takes("RegisterBody", USER | {field: value}), (field, value)
        assert (await api.post("/register", USER | {field: value})).status == 201, (field, value)
        await api.post("/admin/clear")


@cache
def _validator(model: str) -> jsonschema_rs.Validator:
    schema = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def _takes(model: str, body: object) -> bool:
    return _validator(model).is_valid(body)

"""Every route of the whole server × (no token, wrong, expired, foreign scope, right, admin) → the status it must have, on both lanes.

A route that is not in the table fails the test.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dns.message
import pytest

from discovery.rest.api.openapi import codes_of
from tests.rest.wire import request as octets
from tests.routes import OPERATIONS, ROUTES
from tests.stories.process import LIMIT, Discovery, running, until

NO, WRONG, EXPIRED, FOREIGN, RIGHT, ADMIN = WHO = ("no token", "wrong", "expired", "foreign", "right", "admin")
SECRETS = {who: f"dsc_{who}-{hashlib.sha256(who.encode()).hexdigest()[:20]}" for who in WHO[1:]}
LINES = {
    EXPIRED: 'register = ["*"]\nread = true\nadmin = true\nexpires = 2020-01-01T00:00:00Z',
    FOREIGN: 'register = ["other-*"]',
    RIGHT: 'register = ["web", "web-*"]\nread = true',
    ADMIN: "admin = true",
}
QUERY = dns.message.make_query("web.svc.local", "A", id=0).to_wire()
WEB = {"name": "web", "ip": "10.0.0.1", "port": 80}
WINDOW = {"reason": "a new disk", "seconds": 60}
AT = "?ip=10.0.0.1&port=80"


class Row(NamedTuple):
    """What is sent, what it gives who may, and who that is.

    `maintained`: web is in maintenance when it is sent. `revoked`: that token is.
    """

    path: str
    kind: str
    body: Any = None
    status: int = 200
    maintained: str = ""
    revoked: str = ""


OPEN, READ, WRITE, ADMINS, MANY = "open", "read", "write", "admins", "many"
# Statuses in the order of WHO; 2 is the row's own.
STATUSES = {
    OPEN: (2, 2, 2, 2, 2, 2),
    READ: (2, 401, 401, 2, 2, 2),
    WRITE: (401, 401, 401, 403, 2, 2),
    ADMINS: (401, 401, 401, 403, 403, 2),
    MANY: (401, 401, 401, 2, 2, 2),  # a batch: what is foreign is told of in the answer
}
WITH_READ_TOKEN = STATUSES | {READ: (401, 401, 401, 403, 2, 2)}

TABLE = {
    "POST /register": Row("/register", WRITE, WEB, 201),
    "PUT /instances": Row("/instances", WRITE, WEB),
    "POST /heartbeat": Row("/heartbeat", WRITE, WEB),
    "POST /heartbeats": Row("/heartbeats", MANY, {"instances": []}),
    "PUT /instances/{id}/checks/{check}": Row("/instances/web-1/checks/ttl", WRITE, {"health": "passing"}, 404),
    "POST /registrations": Row("/registrations", MANY, {"instances": []}),
    "GET /resolve/{name}": Row("/resolve/web", READ),
    "GET /instances/{id}": Row("/instances/web-1", READ),
    "DELETE /instances/{id}": Row("/instances/web-1", WRITE),
    "PUT /instances/{id}/drain": Row("/instances/web-1/drain", WRITE),
    "DELETE /instances/{id}/drain": Row("/instances/web-1/drain", WRITE),
    "PUT /instances/{id}/maintenance": Row("/instances/web-1/maintenance", WRITE, WINDOW),
    "DELETE /instances/{id}/maintenance": Row("/instances/web-1/maintenance", WRITE, maintained="/instances/web-1"),
    "GET /services": Row("/services", READ),
    "GET /zones": Row("/zones", READ),
    "GET /services/{name}": Row("/services/web", READ),
    "DELETE /services/{name}": Row("/services/web", WRITE),
    "PUT /services/{name}/maintenance": Row("/services/web/maintenance", ADMINS, WINDOW),
    "DELETE /services/{name}/maintenance": Row("/services/web/maintenance", ADMINS, maintained="/services/web"),
    "DELETE /services/{name}/instances": Row(f"/services/web/instances{AT}", WRITE),
    "PUT /services/{name}/instances/drain": Row(f"/services/web/instances/drain{AT}", WRITE),
    "DELETE /services/{name}/instances/drain": Row(f"/services/web/instances/drain{AT}", WRITE),
    "PUT /services/{name}/instances/maintenance": Row(f"/services/web/instances/maintenance{AT}", WRITE, WINDOW),
    "DELETE /services/{name}/instances/maintenance": Row(
        f"/services/web/instances/maintenance{AT}", WRITE, maintained="/instances/web-1"
    ),
    "GET /services/{name}/explain": Row("/services/web/explain", READ),
    "GET /history": Row("/history", READ),
    "GET /maintenance": Row("/maintenance", READ),
    "POST /admin/clear": Row("/admin/clear", ADMINS),
    "DELETE /admin/tokens/{token}": Row(f"/admin/tokens/{'0' * 64}", ADMINS),
    "DELETE /admin/revocations/{sha256}": Row(f"/admin/revocations/{'0' * 64}", ADMINS, revoked="0" * 64),
    "GET /stats": Row("/stats", READ),
    "GET /stats/history": Row("/stats/history", READ),
    "GET /sd/prometheus": Row("/sd/prometheus", READ),
    "GET /health": Row("/health", OPEN),
    "GET /ready": Row("/ready", OPEN),
    "GET /dns-query": Row(f"/dns-query?dns={base64.urlsafe_b64encode(QUERY).decode().rstrip('=')}", READ),
    "POST /dns-query": Row("/dns-query", READ, QUERY),
    "GET /dns/{domain}": Row("/dns/web.svc.local", READ),
    "GET /": Row("/", OPEN, status=404),  # to a browser 302
    "GET /ui": Row("/ui", OPEN),
    "GET /ui/": Row("/ui/", OPEN, status=302),
    "GET /ui/{file}": Row("/ui/js/main.js", OPEN),
    "GET /openapi.json": Row("/openapi.json", OPEN),
    "GET /docs": Row("/docs", OPEN),
    "GET /docs/": Row("/docs/", OPEN, status=302),
    "GET /docs/{file}": Row("/docs/start.js", OPEN),
    "GET /events": Row("/events", READ),
    "GET /changes": Row("/changes", READ),
    "GET /metrics": Row("/metrics", READ),
    "GET /top": Row("/top", ADMINS),
    "GET /admin/audit": Row("/admin/audit", ADMINS),
    "GET /admin/documents/{plugin}": Row("/admin/documents/consul", ADMINS),
    "DELETE /admin/documents/{plugin}/{key}": Row("/admin/documents/consul/a%2Fb", ADMINS),
    "GET /admin/tokens": Row("/admin/tokens", ADMINS),
    "GET /admin/log": Row("/admin/log", ADMINS),
    "PUT /admin/log": Row("/admin/log", ADMINS, {"queries": False}),
}
# Writes that name their service: whether anything is there, only those who may write it are told.
BY_NAME = [line for line, row in TABLE.items() if row.kind == WRITE and "{id}" not in line]


def write_tokens(file: Path, *who: str) -> None:
    file.write_text(
        "\n".join(
            f'[[token]]\nname = "{one}"\nsha256 = "{hashlib.sha256(SECRETS[one].encode()).hexdigest()}"\n{LINES[one]}'
            for one in who
        )
    )


class Api:
    """A client with the tokens of all. `said`: all that was ever answered."""

    def __init__(self, server: Discovery) -> None:
        self.server = server
        self.said = bytearray()
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)

    def send(self, method: str, path: str, body: Any = None, who: str = ADMIN) -> tuple[int, Any]:
        """The status and the JSON, None for what is none."""
        headers = {} if who == NO else {"Authorization": f"Bearer {SECRETS[who]}"}
        headers["Content-Type"] = "application/dns-message" if isinstance(body, bytes) else "application/json"
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self._connection.request(method, path, sent, headers)
        response = self._connection.getresponse()
        endless = response.status == 200 and path == "/events"
        text = response.readline() if endless else response.read()
        if endless:
            self._connection.close()
        self.said += str(response.headers).encode() + text
        is_json = text and response.headers["Content-Type"].startswith("application/json")
        return response.status, json.loads(text) if is_json else None

    def prepare(self, row: Row) -> None:
        """`web` alone is registered, beating and in answers, unless the row wants it in maintenance."""
        assert self.send("POST", "/admin/clear")[0] == 200
        assert self.send("POST", "/register", WEB | {"id": "web-1"})[0] == 201
        for scope in ("/instances/web-1", "/services/web"):
            assert self.send("DELETE", f"{scope}/maintenance")[0] in (200, 404)
        if row.maintained:
            assert self.send("PUT", f"{row.maintained}/maintenance", WINDOW)[0] == 200
        if row.revoked:
            assert self.send("DELETE", f"/admin/tokens/{row.revoked}")[0] == 200

    def close(self) -> None:
        self._connection.close()


@contextmanager
def guarded(folder: Path, **more: Any) -> Iterator[Api]:
    write_tokens(folder / "tokens.toml", *LINES)
    with running(
        TOKENS_FILE=str(folder / "tokens.toml"), DATA_DIR=str(folder / "data"), REGISTERS_PER_SECOND=0,
        HEARTBEAT_TIMEOUT_SECONDS=3600, AUDIT_FILE=str(folder / "audit.jsonl"), **more,
    ) as server:  # fmt: skip
        api = Api(server)
        yield api
        api.close()
        assert "Traceback" not in "\n".join(server.log)


@pytest.fixture(scope="module")
def open_reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with guarded(tmp_path_factory.mktemp("open")) as api:
        yield api


@pytest.fixture(scope="module")
def closed_reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with guarded(tmp_path_factory.mktemp("closed"), REQUIRE_READ_TOKEN=True) as api:
        yield api


# -- the table


def test_every_route_of_the_server_is_in_the_table() -> None:
    """HEAD stands for its GET."""
    assert {f"{route.method} {route.template}" for route in ROUTES} == TABLE.keys()


@pytest.mark.parametrize("line", TABLE)
def test_with_open_reads(open_reads: Api, line: str) -> None:
    assert_row(open_reads, line, STATUSES)


@pytest.mark.parametrize("line", TABLE)
def test_with_reads_that_take_a_token(closed_reads: Api, line: str) -> None:
    assert_row(closed_reads, line, WITH_READ_TOKEN)


def assert_row(api: Api, line: str, statuses: Mapping[str, tuple[int, ...]]) -> None:
    method, template = line.split()
    row = TABLE[line]
    api.prepare(row)
    for who, must in zip(WHO, statuses[row.kind], strict=True):
        if must == 2 and method != "GET":  # what is refused changes nothing
            api.prepare(row)
        for spelt in (method, "HEAD") if method == "GET" else (method,):
            status, said = api.send(spelt, row.path, row.body, who)
            assert status == (row.status if must == 2 else must), (who, said)
            if must != 2 and spelt != "HEAD":
                assert said["code"] == {401: "UNAUTHORIZED", 403: "FORBIDDEN"}[must], who
                assert said["code"] in codes_of(OPERATIONS[method, template])
                assert ("missing" in said) == (must == 403)


@pytest.mark.parametrize("line", BY_NAME)
def test_a_missing_right_is_not_disguised_as_not_found(open_reads: Api, line: str) -> None:
    row = TABLE[line]
    assert open_reads.send("POST", "/admin/clear")[0] == 200
    status, said = open_reads.send(line.split()[0], row.path, row.body, FOREIGN)
    assert (status, said["missing"]) == (403, "register:web")
    assert open_reads.send(line.split()[0], row.path, row.body, RIGHT)[0] in (201, 404)


def test_the_owner_of_some_names_is_a_stranger_to_others(open_reads: Api) -> None:
    for name, status in {"web": 201, "WEB": 201, "web-2": 201, "other-1": 403, "webb": 403, "a-web": 403}.items():
        assert open_reads.send("POST", "/register", WEB | {"name": name}, RIGHT)[0] == status, name


# -- the fast lane


def raw(api: Api, *requests: bytes) -> list[int]:
    """Statuses, all on one connection, one after the other."""
    found = []
    with socket.create_connection(("127.0.0.1", api.server.port), LIMIT) as sock:
        reader = sock.makefile("rb")
        for one in requests:
            sock.sendall(one)
            found.append(int(reader.readline().split()[1]))
            fields = dict(line.lower().split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
            api.said += reader.read(int(fields[b"content-length"]))
    return found


def shown(who: str) -> list[str]:
    return [] if who == NO else [f"Authorization: Bearer {SECRETS[who]}"]


def heartbeat(who: str) -> bytes:
    body = json.dumps(WEB).encode()
    return octets("POST /heartbeat", "Content-Type: application/json", *shown(who), body=body)


def resolve(who: str) -> bytes:
    return octets("GET /resolve/web", *shown(who))


@pytest.mark.parametrize("fixture", ["open_reads", "closed_reads"])
def test_the_fast_lane_says_the_same(fixture: str, request: pytest.FixtureRequest) -> None:
    api: Api = request.getfixturevalue(fixture)
    reads = {"open_reads": STATUSES, "closed_reads": WITH_READ_TOKEN}[fixture][READ]
    api.prepare(TABLE["POST /heartbeat"])
    for order in (WHO, WHO[::-1]):  # what came before on the connection grants nothing to what comes after
        beats = raw(api, *(heartbeat(who) for who in order for _ in range(2)))
        wanted = dict(zip(WHO, STATUSES[WRITE], strict=True))
        assert beats == [200 if wanted[who] == 2 else wanted[who] for who in order for _ in range(2)]
        resolves = raw(api, *(resolve(who) for who in order))
        wanted = dict(zip(WHO, reads, strict=True))
        assert resolves == [200 if wanted[who] == 2 else wanted[who] for who in order]


def test_a_token_that_is_taken_away_ends_on_a_connection_that_goes_on(tmp_path: Path) -> None:
    """Read again on SIGHUP: the file lies behind a link into another folder, where nobody watches."""
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "real.toml"
    (tmp_path / "tokens.toml").symlink_to(file)
    with guarded(tmp_path) as api:
        api.prepare(TABLE["POST /heartbeat"])
        with socket.create_connection(("127.0.0.1", api.server.port), LIMIT) as sock:

            def beat() -> int:
                sock.sendall(heartbeat(RIGHT))
                return int(re.findall(rb"HTTP/1.1 (\d+)", sock.recv(65536))[0])

            assert beat() == 200
            for names, status in (([ADMIN], 401), ([ADMIN, RIGHT], 200)):
                write_tokens(file, *names)
                api.server.process.send_signal(signal.SIGHUP)
                until(lambda status=status: beat() == status)  # type: ignore[misc]
            file.write_text("[[token")
            api.server.process.send_signal(signal.SIGHUP)
            until(lambda: any("stays in use" in line for line in api.server.log))
            assert beat() == 200


# -- secrets


def test_a_secret_is_nowhere_but_in_its_requests(tmp_path: Path) -> None:
    """Neither in what was printed, answered or kept on disk, at the wordiest of levels, nor in the process list."""
    own = "the-short-form-0123456789"
    with guarded(tmp_path, LOG_LEVEL="debug", API_TOKEN=own) as api:
        SECRETS["own"] = own
        for line, row in TABLE.items():
            if not line.startswith("GET "):
                api.prepare(row)
            for who in (*WHO, "own"):
                api.send(line.split()[0], row.path, row.body, who)
        for spelling in ("Basic {}", "{}", "Bearer {} {}", "Bearer x{}"):
            fields = f"Authorization: {spelling.format(*[SECRETS[RIGHT]] * 2)}"
            assert raw(api, octets("POST /register", fields, body=b"{}")) == [401]
        assert raw(api, octets("GET /stats", *shown(RIGHT))) == [200]
        raw_head = octets("GET /stats", *shown(RIGHT), "Broken Header: x")
        with socket.create_connection(("127.0.0.1", api.server.port), LIMIT) as sock:
            sock.sendall(raw_head)
            api.said += sock.recv(65536)
        command = Path(f"/proc/{api.server.process.pid}/cmdline").read_bytes()
        assert api.server.stop() == 0
        printed = "\n".join([*api.server.output, *api.server.log]).encode()
        kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        for secret in SECRETS.values():
            for where in (printed, bytes(api.said), command, kept):
                assert secret.encode() not in where
                assert secret.encode()[4:] not in where
        assert b"right" in printed, "names of tokens are"
    del SECRETS["own"]

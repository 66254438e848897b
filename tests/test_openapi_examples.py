"""The examples of the OpenAPI document are true: each request is sent to a whole server, whose reply has what the example has; each error
body is what its code comes with.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from discovery.rest.api.codes import CODES
from discovery.rest.api.dns import MEDIA_TYPE as DNS
from discovery.rest.api.example import FIRST, LEAST, SHA256, Example
from discovery.rest.api.openapi import exchanges
from discovery.rest.api.route import Route
from tests.plugins.started import ZONE, Running, running, settings
from tests.routes import DOCUMENT, OPERATIONS

SECRETS = {"admin": "an-admin-of-the-examples", "deploy": "a-token-of-the-examples"}
SENT = {"Authorization": f"Bearer {SECRETS['admin']}"}
RIGHTS = {"admin": "admin = true", "deploy": 'register = ["user-*"]'}
TOKEN = hashlib.sha256(SECRETS["deploy"].encode()).hexdigest()
SECOND = LEAST | {"ip": "10.0.0.8", "id": "user-2"}
WINDOW = {"reason": "a new disk", "seconds": 3600}
CHECKED = FIRST | {"checks": [{"id": "db-pool", "ttl": 30}]}
# Of GET /top: which requests are in its lists is left to chance.
SAMPLED = ("clients", "httpClients", "names", "unknownNames")


def validate(described: Any, value: Any) -> None:
    """Of one media type of a request or response."""
    for error in _validator(json.dumps(described["schema"])).iter_errors(value):
        raise AssertionError(str(error))


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    """Many share one; to make it takes the whole document."""
    whole = json.loads(schema) | {"components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


def described(route: Route) -> Any:
    return DOCUMENT["paths"][route.template][route.method.lower()]


# -- the document


def test_every_route_has_a_heading_and_examples_of_each_success_but_of_octets_and_of_nothing_new() -> None:
    for route in OPERATIONS.values():
        assert route.heading
        given = {each.example.status for each in exchanges(route)}
        assert given == (set() if route.media == DNS else set(route.status) - {304}), route.path


def test_every_error_that_an_operation_may_end_in_has_an_example() -> None:
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    one = response["content"]["application/json"]
                    codes = one["schema"]["allOf"][1]["properties"]["code"]["enum"]
                    assert sorted(one["examples"]) == codes
                    for code in codes:
                        assert one["examples"][code] == {"$ref": f"#/components/examples/{code}"}
                        validate(one, DOCUMENT["components"]["examples"][code]["value"])


def test_an_example_is_valid_by_its_own_schema() -> None:
    for route in OPERATIONS.values():
        for exchange in exchanges(route):
            if exchange.body is not None:
                validate(described(route)["requestBody"]["content"]["application/json"], exchange.body)
            content = described(route)["responses"][str(exchange.example.status)]["content"][route.media]
            if "schema" in content:
                validate(content, exchange.reply)
            assert content["examples"][exchange.name]["value"] == exchange.reply, (route.path, exchange.name)


# -- the server


@pytest.fixture(name="server")
async def _server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "svc.local.zone").write_text(ZONE.format(ip="10.0.0.1"))
    (tmp_path / "tokens.toml").write_text(
        "\n".join(
            f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n{RIGHTS[name]}'
            for name, secret in SECRETS.items()
        )
    )
    for name, value in {"TOKENS_FILE": "tokens.toml", "DATA_DIR": "data", "AUDIT_FILE": "audit.log"}.items():
        monkeypatch.setenv(name, value)
    async with running(settings(tmp_path)) as server:
        yield server


async def send(server: Running, method: str, path: str, body: Any = None, query: Any = None) -> tuple[int, Any]:
    """The status, and JSON or text: of a stream up to the end of its first event."""
    url = server.http + path
    async with server.session.request(method, url, json=body, params=query, headers=SENT) as response:
        if response.content_type == "text/event-stream":
            return response.status, (await response.content.readuntil(b"}\n\n")).decode()
        text = await response.text()
        return response.status, json.loads(text) if response.content_type == "application/json" else text


def sent_to(route: Route) -> str:
    """With what the document shows in the places of the path, and the parameters that must be there."""
    path, query = route.template, []
    for each in described(route)["parameters"]:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", TOKEN if each["name"] == "sha256" else str(each["example"]))
        elif each["required"]:
            query.append(f"{each['name']}={each['example']}")
    return path + ("?" + "&".join(query) if query else "")


async def test_each_request_has_such_a_reply(server: Running) -> None:
    """Two instances are there each time, and what `after` says has been done."""
    for route in OPERATIONS.values():
        for exchange in exchanges(route):
            await prepare(server, exchange.example)
            query = await asked(server, exchange.example)
            status, said = await send(server, route.method, sent_to(route), exchange.body, query)
            assert status == exchange.example.status, (route.path, said)
            try:
                compare(said, exchange.reply)
            except AssertionError as error:
                raise AssertionError(f"{route.method} {route.path} {exchange.name}: {error}") from None
            content = described(route)["responses"][str(status)]["content"][route.media]
            if "schema" in content:
                validate(content, said)


async def asked(server: Running, example: Example) -> dict[str, Any]:
    """`since` is just before what happened last."""
    if "since" not in example.query:
        return dict(example.query)
    _, changes = await send(server, "GET", "/changes?limit=1000")
    return {**example.query, "since": changes["index"] - 1}


async def prepare(server: Running, example: Example) -> None:
    for path in ("/instances/user-1/maintenance", "/services/user-service/maintenance", f"/admin/revocations/{TOKEN}"):
        await send(server, "DELETE", path)
    assert (await send(server, "POST", "/admin/clear"))[0] == 200
    for body in (FIRST, SECOND):
        assert (await send(server, "POST", "/register", body))[0] == 201
    for line in example.after:
        method, path = line.split()
        sent: Any = CHECKED if path == "/instances" else WINDOW if path.endswith("maintenance") else None
        status, said = await send(server, method, path, sent)
        assert status == 200, (line, said)


def compare(said: Any, wanted: Any, name: str = "") -> None:
    """What the example has is there, and of its type; its first entry stands for a list. There may be more."""
    if isinstance(wanted, str) and "\n" in wanted:
        for line in wanted.splitlines():
            assert any(like(line, each) for each in said.splitlines()), line
    elif isinstance(wanted, dict) and said is not None:
        assert wanted.keys() <= said.keys(), name
        for each, value in wanted.items():
            compare(said[each], value, each)
        assert name or said.get("message") == wanted.get("message")
    elif isinstance(wanted, list) and wanted and name not in SAMPLED:
        assert said, name
        compare(said[0], wanted[0], name or "0")


def like(line: str, other: str) -> bool:
    """But for numbers, and whatever JSON says."""
    if line.startswith("data: "):
        return other.startswith("data: ") and json.loads(line[6:]).keys() <= json.loads(other[6:]).keys()
    return re.sub(r"[0-9]+", "0", line) == re.sub(r"[0-9]+", "0", other)


@pytest.mark.parametrize(
    ("line", "who", "body", "code"),
    [
        ("POST /register", "nobody", FIRST, "UNAUTHORIZED"),
        ("POST /register", "deploy", FIRST | {"name": "billing"}, "FORBIDDEN"),
        ("DELETE /admin/tokens/nobody", "admin", None, "TOKEN_UNKNOWN"),
        (f"DELETE /admin/revocations/{SHA256}", "admin", None, "TOKEN_NOT_REVOKED"),
        ("GET /services/user-service/explain?at=2020-01-01T00:00:00Z", "admin", None, "NOT_RECORDED"),
        ("GET /dns-query?dns=AAAA", "admin", None, "NO_QUERY"),
        ("POST /dns-query", "admin", {}, "NOT_DNS"),
    ],
)
async def test_errors_that_need_a_whole_server_are_as_their_examples(
    server: Running, line: str, who: str, body: Any, code: str
) -> None:
    """The others are held to theirs in tests/rest/api/test_openapi."""
    method, path = line.split()
    headers = {"Authorization": f"Bearer {SECRETS.get(who, 'not a secret')}"}
    async with server.session.request(method, server.http + path, json=body, headers=headers) as response:
        said = await response.json()
    assert (said["code"], said.keys()) == (code, CODES[code].body(code).keys())

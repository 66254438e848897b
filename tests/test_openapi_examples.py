"""The examples of /openapi.json are true: each request is sent to a whole server, whose reply has what the example has; each error body is
what its code comes with.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from discovery.rest.api.codes import CODES
from discovery.rest.api.doh import MEDIA_TYPE as DNS
from discovery.rest.api.examples import AREAS, EXAMPLES
from discovery.rest.api.examples.errors import ERRORS
from discovery.rest.api.examples.example import FIRST, PLACES, SECOND, WINDOW
from discovery.rest.api.route import Example
from tests.plugins.started import ZONE, Running, running, settings
from tests.routes import DOCUMENT, OPERATIONS

SECRETS = {"admin": "an-admin-of-the-examples", "deploy": "a-token-of-the-examples"}
SENT = {"Authorization": f"Bearer {SECRETS['admin']}"}
RIGHTS = {"admin": "admin = true", "deploy": 'register = ["user-*"]'}
TOKEN = hashlib.sha256(SECRETS["deploy"].encode()).hexdigest()
# Of GET /top: which requests are in its lists is left to chance.
SAMPLED = "unknownNames"
ALL = [
    pytest.param(method, path, example, id=f"{method} {path} {number}")
    for (method, path), (_, examples) in EXAMPLES.items()
    for number, example in enumerate(examples)
]


def validate(described: Any, value: Any) -> None:
    """Of one media type of a request or response."""
    schema = described["schema"] | {"components": DOCUMENT["components"]}
    for error in jsonschema_rs.iter_errors(schema, value, validate_formats=True):
        raise AssertionError(str(error))


def keys(value: Any) -> Any:
    """What is in it, without what it says: a list has what any of its entries has."""
    if isinstance(value, dict):
        return {name: keys(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(keys(each), sort_keys=True) for each in value})
    return ""


# -- the document


def test_every_route_has_an_area_and_examples_of_each_success_but_of_octets_and_of_nothing_new() -> None:
    assert EXAMPLES.keys() == OPERATIONS.keys()
    assert sum(map(len, AREAS.values())) == len(EXAMPLES)
    for route, operation in OPERATIONS.items():
        given = {example.status for example in EXAMPLES[route][1]}
        assert given == (set() if operation.media == DNS else set(operation.status) - {304}), route
        assert (operation.body is None) == all(example.body is None for example in EXAMPLES[route][1])


def test_every_error_that_an_operation_may_end_in_has_an_example() -> None:
    shown = set()
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    described = response["content"]["application/json"]
                    codes = described["schema"]["allOf"][1]["properties"]["code"]["enum"]
                    assert sorted(described["examples"]) == codes
                    for code in codes:
                        assert described["examples"][code] == {"$ref": f"#/components/examples/{code}"}
                        validate(described, DOCUMENT["components"]["examples"][code]["value"])
                    shown |= set(codes)
    assert shown <= ERRORS.keys() <= CODES.keys()


@pytest.mark.parametrize(("method", "path", "example"), ALL)
def test_an_example_is_valid_by_its_own_schema(method: str, path: str, example: Example) -> None:
    operation = DOCUMENT["paths"][path][method.lower()]
    if example.body is not None:
        validate(operation["requestBody"]["content"]["application/json"], example.body)
    (described,) = operation["responses"][str(example.status)]["content"].values()
    if "schema" in described and not example.excerpt:
        validate(described, example.reply)
    assert {"summary": example.title} | {"value": example.reply} in [
        {"summary": "", **{name: part for name, part in each.items() if name != "description"}}
        for each in described["examples"].values()
    ]


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


def sent_to(path: str) -> str:
    places = {**PLACES, "sha256": TOKEN}
    return re.sub(r"\{(\w+)\}", lambda place: str(places[place[1]]), path)


async def test_each_request_has_such_a_reply(server: Running) -> None:
    """Two instances are there each time, and what `after` says has been done."""
    for (method, path), (_, examples) in EXAMPLES.items():
        for example in examples:
            await prepare(server, example)
            status, said = await send(server, method, sent_to(path), example.body, await asked(server, example))
            assert status == example.status, (method, path, said)
            try:
                compare(said, example)
            except AssertionError as error:
                raise AssertionError(f"{method} {path} {example.title}: {error}") from None
            (described,) = DOCUMENT["paths"][path][method.lower()]["responses"][str(status)]["content"].values()
            if "schema" in described:
                validate(described, said)


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
        status, said = await send(server, method, path, WINDOW if path.endswith("maintenance") else None)
        assert status == 200, (line, said)


def compare(said: Any, example: Example) -> None:
    if isinstance(example.reply, str):
        for line in example.reply.splitlines():
            assert any(like(line, each) for each in said.splitlines()), line
        return
    there, wanted = keys(said), keys(example.reply)
    if SAMPLED in said:
        there, wanted = dict.fromkeys(there), dict.fromkeys(wanted)
    if example.excerpt:
        there = {name: there[name] for name in wanted}
        wanted |= {name: there[name] for name in ("info", "paths") if name in wanted}
    assert there == wanted
    for name in ("message", "kind", "status"):
        assert isinstance(said, list) or said.get(name) == example.reply.get(name), name


def like(line: str, other: str) -> bool:
    """But for numbers, and whatever JSON says."""
    if line.startswith("data: "):
        return other.startswith("data: ") and keys(json.loads(line[6:])) == keys(json.loads(other[6:]))
    return re.sub(r"[0-9]+", "0", line) == re.sub(r"[0-9]+", "0", other)


@pytest.mark.parametrize(
    ("line", "who", "body", "code"),
    [
        ("POST /register", "nobody", FIRST, "UNAUTHORIZED"),
        ("POST /register", "deploy", FIRST | {"name": "billing"}, "FORBIDDEN"),
        ("DELETE /admin/tokens/nobody", "admin", None, "TOKEN_UNKNOWN"),
        (f"DELETE /admin/revocations/{PLACES['sha256']}", "admin", None, "TOKEN_NOT_REVOKED"),
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
    assert (said["code"], said.keys()) == (code, ERRORS[code].keys())

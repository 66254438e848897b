"""A group of routes that speaks another registry's language: a prefix, its errors, and where its token stands.

The group is invented. Not a line of it is about rights, bounds, counters, logs or refusals, and they hold for it as for our own.
"""

from __future__ import annotations

import base64
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from discovery import app
from discovery.core.errors import InvalidField
from discovery.core.schema import TEXT
from discovery.plugins import Plugin, Seams
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Authorization, Kind, Manners, Right, Route, bearer
from discovery.rest.api.shapes import Shape
from discovery.rest.api.times import Times
from discovery.store.engine import Engine
from tests.plugins.auth.house import OWNER, SECRETS, written
from tests.plugins.started import Running, running, settings

PUT = Shape("Put", {"service": TEXT})


def as_text(failure: HttpError, times: Times, request: Request | None) -> Answer:
    """What is not there is told by nothing but its status."""
    assert request is not None
    assert request.path.startswith("/other/v1"), "an error's answer may depend on what was asked"
    return Answer(failure.status, b"" if failure.status == 404 else failure.message.encode(), media="text/plain")


class Other(Plugin):
    """`put` is a heartbeat of that language."""

    def __init__(self, authorization: Authorization) -> None:
        self.manners = Manners("/other/v1", as_text, authorization)

    def install(self, seams: Seams) -> None:
        routes = [
            Route(
                "PUT", "/agent/put", self.put, Right.WRITE, Kind.HEARTBEAT, "Beat", "Other", body=PUT, max_body=2_000
            ),
            Route("GET", "/catalog/{service}", self.find, Right.READ, Kind.QUESTION, "Find", "Other"),
            Route("PUT", "/agent/reset", self.put, Right.ADMIN, Kind.OPERATION, "Reset", "Other"),
        ]
        seams.routes.extend(self.manners.routes(*routes))

    def put(self, request: Request) -> Answer:
        service = dict(parse_qsl(request.body.decode())).get("service")
        if service is None:
            raise InvalidField("service", "Missing service name")
        return Answer(200, service.encode(), media="text/plain")

    def find(self, request: Request) -> Answer:
        return Answer(200, request.names["service"].encode(), media="text/plain")

    async def open(self, engine: Engine) -> None:
        """It needs nothing."""


SHOWN: dict[str, tuple[Authorization, Callable[[str], tuple[dict[str, str], str]]]] = {
    "header": (
        lambda request: (token := request.header(b"x-other-token")) and f"Bearer {token}",
        lambda secret: ({"X-Other-Token": secret}, ""),
    ),
    "query": (
        lambda request: f"Bearer {request.query[6:]}" if request.query else None,
        lambda secret: ({}, f"?token={secret}"),
    ),
    "basic": (
        bearer,
        lambda secret: ({"Authorization": "Basic " + base64.b64encode(f"any:{secret}".encode()).decode()}, ""),
    ),
}


@pytest.fixture(name="way", params=SHOWN)
def _way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="folder")
def _folder(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens.toml").write_text(written((OWNER,)))
    monkeypatch.setenv("TOKENS_FILE", "tokens.toml")
    monkeypatch.setattr(app, "PLUGINS", (*app.PLUGINS, lambda registry, clock: Other(SHOWN[way][0])))
    return tmp_path


@pytest.fixture(name="it")
async def _it(folder: Path) -> AsyncIterator[Running]:
    async with running(settings(folder)) as it:
        yield it


async def ask(it: Running, method: str, path: str, body: str = "", way: str = "") -> tuple[int, str]:
    """With the owner's token, when it is said how it is shown."""
    headers, query = SHOWN[way][1](SECRETS[OWNER]) if way else ({}, "")
    async with it.session.request(method, f"{it.http}{path}{query}", data=body.encode(), headers=headers) as response:
        assert response.content_type == "text/plain"
        return response.status, await response.text()


async def test_it_speaks_its_own_language_under_our_laws(
    it: Running, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "discovery.requests")
    assert await ask(it, "PUT", "/other/v1/agent/put", "service=web", way) == (200, "web")
    assert await ask(it, "GET", "/other/v1/catalog/web") == (200, "web")
    # its errors, those of the framing and of the door too
    assert await ask(it, "PUT", "/other/v1/agent/put", "", way) == (400, "service: Missing service name")
    assert await ask(it, "GET", "/other/v1/nothing") == (404, "")
    assert (await ask(it, "DELETE", "/other/v1/catalog/web", way=way))[0] == 405
    assert (await ask(it, "PUT", "/other/v1/agent/put", "service=" + "x" * 3_000, way))[0] == 413
    assert (await ask(it, "PUT", "/other/v1/agent/put", "service=web"))[0] == 401
    assert (await ask(it, "PUT", "/other/v1/agent/reset", "", way))[0] == 403
    async with it.session.get(it.http + "/nothing") as response:
        assert (await response.json())["code"] == "ROUTE_UNKNOWN"

    async with it.session.get(it.http + "/metrics") as response:
        counted = (await response.text()).splitlines()
    assert 'discovery_heartbeats_total{result="refused"} 3.0' in counted
    requests = 'discovery_http_requests_total{method="PUT",route="/other/v1/agent/put",status="%d"} 1.0'
    assert {requests % status for status in (200, 400, 401, 413)} <= set(counted)
    levels = {
        record.getMessage()[:28]: record.levelno for record in caplog.records if record.name == "discovery.requests"
    }
    assert levels["PUT /other/v1/agent/put -> 2"] == logging.DEBUG
    refused = [record.getMessage() for record in caplog.records if record.name == "discovery.refusals"]
    assert refused
    assert refused[0].startswith("refused PUT /other/v1/agent/put from 127.0.0.1 (owner): 400")
    assert SECRETS[OWNER] not in caplog.text
    async with it.session.get(it.http + "/openapi.json") as response:
        document = await response.json()
    assert "/other/v1/catalog/{service}" in document["paths"]


def test_a_route_below_a_prefix_is_the_same_route() -> None:
    route = Route("GET", "/x", lambda request: Answer(200, b""), Right.ADMIN, Kind.OPERATION)
    (below,) = Manners("/other").routes(route)
    assert dataclasses.replace(below, path="/x", manners=route.manners).__dict__ == route.__dict__

"""CORS (Fetch standard): which origins may read, on which answers, and what a preflight gets."""

from __future__ import annotations

import pytest

from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.guard.browsers import Cors
from tests.rest.harness import ORIGIN, USER, Api, route, serving

ALLOW = "Access-Control-Allow-Origin"
ANSWERS = [
    ("GET", "/services"),  # streamed
    ("GET", "/health"),
    ("GET", "/resolve/nobody"),  # 404 of ours
    ("GET", "/nothing"),  # 404 of the framework's
    ("PATCH", "/register"),  # 405
    ("POST", "/register"),  # 400
]


async def test_an_allowed_origin_may_read_every_answer_and_another_may_not(api: Api) -> None:
    others = [
        "http://evil.example", "null", "http://localhost:30000", "https://localhost:3000", "http://localhost", "*",
        "http://localhost:3000.evil.example", "http://LOCALHOST:3000",
    ]  # fmt: skip
    for method, path in ANSWERS:
        for origin in (ORIGIN, *others):
            reply = await api.request(method, path, headers={"Origin": origin})
            assert reply.headers.get(ALLOW) == (ORIGIN if origin == ORIGIN else None), (path, origin)
            assert "Access-Control-Allow-Credentials" not in reply.headers
            assert "Origin" in reply.headers["Vary"]


async def test_without_an_origin_nothing_is_granted_but_caches_are_told(api: Api) -> None:
    """Fetch, "CORS protocol and HTTP caches": else a cache hands this answer, without the grant, to a page that may read it."""
    for method, path in ANSWERS:
        reply = await api.request(method, path)
        assert ALLOW not in reply.headers
        assert "Origin" in reply.headers.get("Vary", "")


async def test_a_500_can_be_read_too() -> None:
    async def fail(request: Request) -> Answer:
        raise RuntimeError("a bug")

    async with serving(routes=[route("/fail", fail)]) as api:
        reply = await api.get("/fail", Origin=ORIGIN)
        assert (reply.status, reply.headers[ALLOW]) == (500, ORIGIN)


@pytest.mark.parametrize("path", ["/register", "/services/a/instances", "/heartbeat"])
async def test_a_preflight_of_an_allowed_origin_is_granted(api: Api, path: str) -> None:
    for method in ("POST", "DELETE", "GET"):
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
        reply = await api.request("OPTIONS", path, headers={"Origin": ORIGIN, **asked})
        assert (reply.status in (200, 204), reply.body) == (True, None)
        assert reply.headers[ALLOW] == ORIGIN
        assert method in reply.headers["Access-Control-Allow-Methods"].split(", ")
        assert "content-type" in reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert int(reply.headers["Access-Control-Max-Age"]) > 0
        assert "Origin" in reply.headers["Vary"]


async def test_a_preflight_of_another_origin_is_not(api: Api) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    reply = await api.request("OPTIONS", "/register", headers=asked)
    assert ALLOW not in reply.headers


async def test_no_answer_ever_has_a_wildcard(api: Api) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    for reply in (
        await api.request("OPTIONS", "/register", headers=asked),
        await api.get("/health", Origin=ORIGIN),
        await api.get("/health"),
    ):
        granted = {name: value for name, value in reply.headers.items() if name.lower().startswith("access-control-")}
        assert "*" not in "".join(granted.values())


@pytest.mark.parametrize("credentials", [True, False])
def test_credentials_are_granted_to_origins_that_the_operator_set_alone(credentials: bool) -> None:
    request = Request("GET", "/services", headers={b"origin": ORIGIN.encode()})
    granted = Cors([ORIGIN], credentials).granted(request)
    assert granted[ALLOW] == ORIGIN
    assert granted.get("Access-Control-Allow-Credentials") == ("true" if credentials else None)


async def test_a_page_may_read_where_the_new_instance_is(api: Api) -> None:
    reply = await api.request("POST", "/register", USER, headers={"Origin": ORIGIN})
    assert "location" in reply.headers["Access-Control-Expose-Headers"].lower()

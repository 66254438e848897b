"""X-Registry-Index: on every answer, from which on a change is news."""

from __future__ import annotations

import orjson
import pytest

from tests.rest.harness import ORIGIN, USER, Api

INDEX = "X-Registry-Index"
RESOLVE = "/resolve/user-service"


async def test_every_answer_that_is_about_no_service_has_the_registrys(api: Api) -> None:
    await api.register()
    await api.register(name="other")
    asked: list[tuple[str, str, object, int]] = [
        ("GET", "/services", None, 200),
        ("GET", "/services?limit=5", None, 200),
        ("HEAD", "/services", None, 200),
        ("GET", "/health", None, 200),
        ("GET", "/stats", None, 200),
        ("GET", "/resolve/nobody", None, 404),
        ("GET", "/resolve/nobody?tag=blue", None, 404),
        ("GET", "/resolve/nobody?tags=blue", None, 400),
        ("GET", "/nothing", None, 404),
        ("PATCH", "/register", None, 405),
        ("POST", "/register", b"{", 400),
        ("POST", "/register", USER | {"port": 3002}, 201),
        ("POST", "/heartbeat", USER, 200),
        ("POST", "/heartbeat", USER | {"port": 9}, 404),
        ("OPTIONS", "/", None, 200),
        ("GET", "/dns-query", None, 404),
    ]
    for method, path, body, status in asked:
        reply = await api.request(method, path, body)
        assert (reply.status, reply.headers[INDEX]) == (status, str(api.registry.index)), (method, path)


async def test_a_service_has_that_of_its_last_change(api: Api) -> None:
    await api.register()
    own = api.registry.index
    await api.register(name="other")
    await api.post("/heartbeat", USER)
    await api.register()
    for path in (RESOLVE, f"{RESOLVE}?limit=1", "/resolve/USER-service"):
        assert (await api.get(path)).headers[INDEX] == str(own)
    api.forward(11)
    api.settle()
    reply = await api.get(RESOLVE)
    assert (reply.status, reply.headers[INDEX]) == (404, str(api.registry.index_of("user-service")))
    assert api.registry.index_of("user-service") > own
    assert (await api.get(f"{RESOLVE}?tag=blue")).headers[INDEX] == reply.headers[INDEX]


async def test_pages_may_read_it(api: Api) -> None:
    await api.register()
    for path in (RESOLVE, "/services"):
        reply = await api.get(path, Origin=ORIGIN)
        assert INDEX in reply.headers["Access-Control-Expose-Headers"].split(", ")


async def test_what_is_no_http_gets_it_too(api: Api) -> None:
    assert INDEX.encode() in await api.octets(b"nonsense\r\n\r\n")
    preflight = await api.request("OPTIONS", "/register", headers={"Access-Control-Request-Method": "POST"})
    assert (preflight.status, preflight.headers[INDEX]) == (204, "0")


async def test_while_the_table_is_ahead_of_it_an_answer_has_no_tag_and_the_index_before(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of what will be one index: whoever has seen it would lack the rest."""
    await api.register()
    own = str(api.registry.index)
    publish = api.registry.publish
    monkeypatch.setattr(api.registry, "publish", lambda index: None)
    await api.register(port=3002)
    for path in ("/services", RESOLVE, f"{RESOLVE}?limit=5"):
        reply = await api.get(path)
        assert (reply.status, reply.headers[INDEX]) == (200, own)
        assert "ETag" not in reply.headers
        assert b"3002" in orjson.dumps(reply.body), "what is known is told"
    publish(api.registry.index + 1)
    for path in ("/services", RESOLVE, f"{RESOLVE}?limit=5"):
        reply = await api.get(path)
        assert reply.headers[INDEX] == str(api.registry.index) != own
        assert "ETag" in reply.headers

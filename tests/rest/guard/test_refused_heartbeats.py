"""A heartbeat that is refused says of which instance it was, whichever way it came and was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from discovery.core.caller import Caller
from discovery.core.errors import Forbidden, Unauthorized
from discovery.core.instance import Key
from discovery.rest.api.requests import Request
from discovery.store.engine import WriteSeams
from discovery.store.refused import Why
from tests.rest.harness import USER, serving

KEY = Key("user-service", "127.0.0.1", 3001)
EXPIRED = Why("the token ci expired at 04:12:00", "its token expired")
UNKNOWN = Why("no instance 127.0.0.1 port 3002 of service user-service is registered", "it is not registered")
BAD = {"Authorization": "Bearer bad"}


def admit(request: Request) -> Caller:
    if request.header(b"authorization") == "Bearer bad":
        raise Unauthorized("The token ci expired at 04:12:00; ask for a new one", "its token expired")
    return Caller(request.address)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "found"),
    [
        ("POST", "/heartbeat", USER, BAD, {KEY: EXPIRED}),
        ("PUT", "/instances", USER, BAD, {KEY: EXPIRED}),
        ("POST", "/heartbeats", {"instances": [USER, {"id": "id-1"}, {}, 7]}, BAD, {KEY: EXPIRED}),
        ("POST", "/heartbeat", USER | {"port": 3002}, {}, {KEY._replace(port=3002): UNKNOWN}),
        ("POST", "/heartbeats", {"instances": [USER, USER | {"port": 3002}]}, {}, {KEY._replace(port=3002): UNKNOWN}),
        ("POST", "/heartbeat", USER, {}, {}),
        ("POST", "/heartbeat", USER | {"ip": "10.0.0.9"}, BAD, {}),  # whose address it is not
        ("POST", "/heartbeat", USER | {"more": "x" * 5000}, BAD, {}),
        ("POST", "/heartbeat", {"name": "user-service"}, BAD, {}),
        ("POST", "/register", USER, BAD, {}),
        ("POST", "/heartbeats", {"instances": 7}, BAD, {}),
    ],
)
@pytest.mark.parametrize("closes", [False, True], ids=["kept alive", "closed"])
async def test_it_is_noted_under_its_instance(
    method: str, path: str, body: Any, headers: Mapping[str, str], found: dict[Key, Why], closes: bool
) -> None:
    async with serving(admit=admit) as api:
        await api.register()
        for _ in range(2):  # a head that is known is read another way
            await api.request(method, path, body, {**headers, **({"Connection": "close"} if closes else {})})
        noted = api.registry.refused.of_service("user-service", api.clock())
        assert {key: each.why for key, each in noted.items()} == found
        assert all(each.times in (2, 4) for each in noted.values())  # the batch names one twice
        assert all(each.since == api.clock.wall() for each in noted.values())


async def test_who_is_no_instance_is_told_to_whoever_counts_wrong_tokens() -> None:
    told: list[tuple[str, int]] = []
    async with serving(admit=admit) as api:
        await api.register()
        api.refusals.wrong_token = lambda request, status: told.append((request.path, status))
        await api.request("POST", "/heartbeat", USER, BAD)
        await api.request("POST", "/heartbeat", USER | {"ip": "10.0.0.9"}, BAD)
        await api.request("GET", "/services", None, BAD)
        await api.request("POST", "/heartbeat", USER | {"port": 4})
    assert told == [("/heartbeat", 401), ("/services", 401)]


async def test_a_token_without_the_right_says_nothing_of_an_instance_elsewhere() -> None:
    def refuse(owner: str | None, by: Caller) -> None:
        raise Forbidden("ci", f"register:{owner}")

    def with_token(request: Request) -> Caller:
        return Caller(request.address, "ci")

    async with serving(admit=with_token, seams=WriteSeams(authorize=[refuse])) as api:
        for ip in ("10.0.0.9", "127.0.0.1"):
            assert (await api.post("/heartbeat", USER | {"ip": ip})).status == 403
        (found,) = api.registry.refused.of_service("user-service", api.clock()).items()
        assert (found[0].ip, found[1].why.plain) == ("127.0.0.1", "its token has not the right to it")


async def test_a_body_that_names_nothing_is_not_waited_for() -> None:
    head = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer bad\r\nConnection: close\r\n"
    async with serving(admit=admit) as api:
        large = await api.octets(head + b"Content-Length: 1000000\r\n\r\n")
        expecting = await api.octets(head + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        for answer in (large, expecting):
            assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 413"))
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] in ("UNAUTHORIZED", "BODY_TOO_LARGE")

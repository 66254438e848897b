"""What browsers are led to send: foreign pages that write (CSRF), names pointed here after the page was loaded (DNS rebinding), and
the headers that keep what we answer from being taken for a page.
"""

from __future__ import annotations

import json
import re

import pytest

from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import MAX_SINGLE
from discovery.rest.guard.browsers import hosts
from tests.rest.harness import ORIGIN, USER, Reply, assert_error, route, serving
from tests.rest.wire import request

# Names that zone files fix; `user-service.svc.local` is none, since whoever registers it decides where it points.
IS_HOST = hosts(["registry.example", "Node-7.Example"], {"ns.svc.local"}.__contains__)

OURS = [
    "127.0.0.1", "127.0.0.1:3100", "[::1]", "[::1]:3100", "10.0.0.7:80", "localhost", "localhost:3100", "app.localhost", "discovery:3100",
    "registry.example", "registry.example:3100", "node-7.example", "ns.svc.local:3100", "ns.svc.local.",
]  # fmt: skip
FOREIGN = [
    "", ":3100", "evil.example", "evil.example:3100", "registry.example.evil.example", "evil-registry.example", "a.registry.example",
    "127.0.0.1.evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "svc.local.evil.example", "evilsvc.local", "evil.example.",
    "user-service.svc.local", "evil.svc.local:3100", "registry.service.consul",
    "256.0.0.1", "[evil.example]:80",
]  # fmt: skip

PAGE = "http://evil.example"
FOREIGN_PAGES = [
    PAGE, "null", "", "https://localhost:3000", "http://localhost:30000", "http://localhost:3000.evil.example", "http://localhost",
    "http://evil.example/http://localhost:3000", "file://", "http://127.0.0.1.evil.example", "chrome-extension://abcdef",
]  # fmt: skip

# A body, so that it would be carried out if it were let in.
WRITES = [
    ("POST", "/register", USER),
    ("PUT", "/instances", USER),
    ("POST", "/heartbeat", USER),
    ("POST", "/heartbeats", {"instances": [USER]}),
    ("DELETE", "/services/user-service", None),
    ("DELETE", "/services/user-service/instances?ip=127.0.0.1&port=3001", None),
    ("DELETE", "/instances/id-1", None),
    ("PUT", "/instances/id-1/drain", None),
    ("PUT", "/services/user-service/maintenance", {"reason": "a", "seconds": 1}),
    ("POST", "/admin/clear", None),
]


# -- names of this server


def test_an_address_a_bare_name_our_own_and_a_fixed_one_are_this_server_and_none_that_a_stranger_can_own() -> None:
    assert [host for host in OURS if not IS_HOST(host.encode())] == []
    assert [host for host in FOREIGN if IS_HOST(host.encode())] == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.nip.io", "EVIL.example:3100", ""])
async def test_on_loopback_every_client_is_asked_for_the_host(host: str) -> None:
    """A page whose name was pointed at 127.0.0.1 sends no Origin with a GET."""
    async with serving(is_host=IS_HOST, only_local=True) as api:
        await api.register()
        before = api.state()
        for method, path, body in [*WRITES, ("GET", "/resolve/user-service", None), ("GET", "/services", None)]:
            reply = await api.request(method, path, body, {"Host": host})
            assert_error(reply, 421, "ALLOWED_HOSTS")
            assert reply.body["code"] == "UNKNOWN_HOST"
        assert api.state() == before


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:3100", "NS.svc.local", "Registry.Example"])
async def test_on_loopback_its_own_names_are_fine(host: str) -> None:
    async with serving(is_host=IS_HOST, only_local=True) as api:
        for method, path, body in [
            ("POST", "/register", USER),
            ("POST", "/heartbeat", USER),
            ("GET", "/services", None),
        ]:
            assert (await api.request(method, path, body, {"Host": host})).status in (200, 201)


async def test_the_fast_lane_lets_no_foreign_host_through() -> None:
    """In the very shape that it takes, several on one connection, with one of our own before."""
    body = json.dumps(USER).encode()

    def beat(host: str) -> bytes:
        return request("POST /heartbeat", f"Host: {host}", "Content-Type: application/json", body=body, host=None)

    def resolve(host: str, *more: str) -> bytes:
        return request("GET /resolve/user-service", f"Host: {host}", *more, host=None)

    async with serving(is_host=IS_HOST, only_local=True) as api:
        await api.register()
        for host in ("evil.example", "evil.example:3100", "127.0.0.1.nip.io"):
            got = await api.octets(
                beat("localhost")
                + beat(host)
                + resolve(host)
                + resolve("localhost")
                + resolve(host, "Connection: close")
            )
            assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200", b"421", b"421", b"200", b"421"]
        assert api.registry.renewals == 3


async def test_two_hosts_or_none_are_no_way_in() -> None:
    async with serving(is_host=IS_HOST, only_local=True) as api:
        for fields in (["Host: localhost", "Host: evil.example"], ["Host: evil.example", "Host: localhost"], []):
            got = await api.octets(request("GET /services", *fields, "Connection: close", host=None))
            assert got[9:12] in (b"400", b"421"), got


async def test_beyond_loopback_only_pages_are_asked_for_it() -> None:
    """There a client reaches it by whatever name its operators made; a page says that it is one."""
    async with serving(is_host=IS_HOST) as api:
        await api.register()
        named = {"Host": "registry.corp.example"}
        assert (await api.request("GET", "/services", headers=named)).status == 200
        assert (await api.request("POST", "/heartbeat", USER, named)).status == 200
        for mark in ({"Origin": PAGE}, {"Origin": "http://registry.corp.example"}, {"Sec-Fetch-Site": "same-origin"}):
            for method, path, body in [("GET", "/services", None), ("POST", "/heartbeat", USER)]:
                reply = await api.request(method, path, body, named | mark)
                assert (reply.status, reply.body["code"]) == (421, "UNKNOWN_HOST"), mark


# -- origins


async def test_a_foreign_page_writes_nothing_and_may_send_reads_whose_answers_it_is_not_shown() -> None:
    async with serving(is_host=IS_HOST, only_local=True) as api:
        await api.register()
        before = api.state()
        for origin in FOREIGN_PAGES:
            for method, path, body in WRITES:
                reply = await api.request(method, path, body, {"Origin": origin})
                assert_error(reply, 403, "ALLOWED_ORIGINS")
                assert reply.body["code"] == "FOREIGN_ORIGIN"
                assert "Access-Control-Allow-Origin" not in reply.headers
            for path in ("/resolve/user-service", "/services", "/stats", "/instances/id-1"):
                reply = await api.get(path, Origin=origin)
                assert reply.status == 200
                assert [name for name in reply.headers if name.lower().startswith("access-control-")] == []
        assert api.state() == before


async def test_nor_with_a_form() -> None:
    """What a page may send without a preflight: these content types, and nothing at all."""
    async with serving() as api:
        body = json.dumps(USER).encode()
        for sent in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            reply = await api.request("POST", "/register", body, {"Origin": PAGE, "Content-Type": sent})
            assert (reply.status, reply.body["code"]) == (403, "FOREIGN_ORIGIN")
            reply = await api.request("POST", "/register", body, {"Content-Type": sent})
            assert (reply.status, reply.body["code"]) == (415, "NOT_JSON"), "an old browser that sends no Origin"
        assert len(api.registry) == 0


async def test_nor_where_there_is_no_route() -> None:
    async with serving() as api:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await api.request(method, "/nothing", headers={"Origin": PAGE})).body["code"] == "FOREIGN_ORIGIN"


async def test_an_allowed_page_writes() -> None:
    async with serving(is_host=IS_HOST, only_local=True) as api:
        for method, path, body in [
            ("POST", "/register", USER),
            ("POST", "/heartbeat", USER),
            ("DELETE", "/services/user-service", None),
        ]:
            reply = await api.request(method, path, body, {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"})
            assert reply.status in (200, 201)
            assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_page_of_our_own_writes() -> None:
    async with serving(is_host=IS_HOST, only_local=True) as api:
        for origin, host in (
            (api.url, f"127.0.0.1:{api.port}"),
            ("http://localhost:3100", "localhost:3100"),
            ("http://[::1]", "[::1]"),
        ):
            reply = await api.request("POST", "/register", USER, {"Origin": origin, "Host": host})
            assert reply.status == 201
        other = await api.request(
            "POST", "/register", USER, {"Origin": "http://localhost:3101", "Host": "localhost:3100"}
        )
        assert other.body["code"] == "FOREIGN_ORIGIN", "another port is another origin"


async def test_a_preflight_of_a_foreign_page_grants_nothing() -> None:
    async with serving() as api:
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "DELETE"}
        reply = await api.request("OPTIONS", "/services/a", headers=asked)
        assert "Access-Control-Allow-Origin" not in reply.headers
        assert "Access-Control-Allow-Credentials" not in reply.headers


# -- headers


def assert_hard(reply: Reply) -> None:
    policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
    assert policy == {"default-src": "'none'", "frame-ancestors": "'none'"}
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


ANSWERS: dict[str, tuple[str, str, object, dict[str, str], int]] = {
    "plain": ("GET", "/health", None, {}, 200),
    "head": ("HEAD", "/services", None, {}, 200),
    "streamed": ("GET", "/services", None, {}, 200),
    "page": ("GET", "/services?limit=1", None, {}, 200),
    "fast heartbeat": ("POST", "/heartbeat", USER, {}, 200),
    "fast resolve": ("GET", "/resolve/user-service", None, {}, 200),
    "unknown route": ("GET", "/nothing", None, {}, 404),
    "unknown service": ("GET", "/resolve/nobody", None, {}, 404),
    "wrong method": ("PATCH", "/services", None, {}, 405),
    "wrong shape": ("POST", "/register", {}, {}, 400),
    "too large": ("POST", "/register", b" " * (MAX_SINGLE + 1), {"Content-Type": "application/json"}, 413),
    "expectation": ("POST", "/register", USER, {"Expect": "the unexpected"}, 417),
    "unknown host": ("GET", "/health", None, {"Host": "evil.example"}, 421),
    "foreign page": ("POST", "/register", USER, {"Origin": PAGE}, 403),
    "a bug": ("GET", "/bug", None, {}, 500),
    "preflight": ("OPTIONS", "/register", None, {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}, 204),
}  # fmt: skip


async def _bug(request: Request) -> Answer:
    raise RuntimeError("a bug")


async def test_every_answer_is_no_page_no_script_and_no_frame() -> None:
    async with serving(is_host=IS_HOST, only_local=True, routes=[route("/bug", _bug)]) as api:
        await api.register()
        for answer, (method, path, body, headers, status) in ANSWERS.items():
            reply = await api.request(method, path, body, headers)
            assert reply.status == status, answer
            assert_hard(reply)


async def test_a_page_of_a_plugin_may_have_a_policy_of_its_own() -> None:
    async def page(request: Request) -> Answer:
        return Answer(200, b"{}", {"Content-Security-Policy": "default-src 'self'"})

    async with serving(routes=[route("/page", page)]) as api:
        reply = await api.get("/page")
        assert reply.headers["Content-Security-Policy"] == "default-src 'self'"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_metadata_that_looks_like_a_page_is_json_all_the_way() -> None:
    async with serving() as api:
        await api.register(metadata={"a": "<script>alert(1)</script>"}, tags=["b"])
        for path in ("/resolve/user-service", "/services", "/instances/id-1"):
            reply = await api.get(path)
            assert reply.headers["Content-Type"].startswith("application/json")
            assert_hard(reply)

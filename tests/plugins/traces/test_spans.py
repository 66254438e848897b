"""What a span says of a request: the stable conventions for HTTP servers, and nothing that strangers can make long or broken."""

from __future__ import annotations

import pytest

from discovery.plugins.traces.spans import described
from discovery.rest.api.requests import Request
from discovery.rest.http.traffic import OTHER

METHODS = ("GET", "HEAD", "OPTIONS", "POST")


def a_request(method: str = "GET", target: str = "/health", status: int = 200, **headers: bytes) -> Request:
    request = Request(
        method, target, "1.1", {name.replace("_", "-").encode(): value for name, value in headers.items()}
    )
    request.status = status
    return request


def test_a_known_route_is_in_the_name() -> None:
    span = described(a_request(target="/resolve/api?tag=secret"), "10.0.0.1", "/resolve/{name}", "https", METHODS)
    assert span.name == "GET /resolve/{name}"
    assert span.attributes == {
        "http.request.method": "GET", "http.route": "/resolve/{name}", "http.response.status_code": 200, "url.path": "/resolve/api",
        "url.scheme": "https", "client.address": "10.0.0.1", "network.protocol.version": "1.1",
    }  # fmt: skip
    assert not span.failed


def test_an_unknown_route_or_method_is_not() -> None:
    """Names are few, whatever strangers ask for."""
    span = described(a_request("BREW", "/a/b/c"), "10.0.0.1", OTHER, "http", METHODS)
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    assert "http.route" not in span.attributes
    assert described(a_request("GET", "/a/b/c"), "10.0.0.1", OTHER, "http", METHODS).name == "GET"


@pytest.mark.parametrize(("status", "failed"), [(200, False), (404, False), (429, False), (500, True), (503, True)])
def test_only_what_is_the_servers_fault_is_an_error(status: int, failed: bool) -> None:
    span = described(a_request(status=status), "10.0.0.1", "/health", "http", METHODS)
    assert span.failed == failed
    assert span.attributes.get("error.type") == (str(status) if failed else None)


def test_a_client_that_left_has_no_status() -> None:
    span = described(a_request(status=0), "10.0.0.1", "/health", "http", METHODS)
    assert "http.response.status_code" not in span.attributes
    assert not span.failed


@pytest.mark.parametrize("agent", [b"\xff\xfe", b"a" * 100_000, "Zoë\u202e".encode()])
def test_what_a_client_says_of_itself_is_text_and_short(agent: bytes) -> None:
    span = described(a_request(target="/" + "a" * 100_000, user_agent=agent), "10.0.0.1", OTHER, "http", METHODS)
    for value in span.attributes.values():
        assert len(str(value)) <= 256
        str(value).encode()

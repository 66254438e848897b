"""HTTP without TLS on the port of HTTPS: a 400 that says so, however much was sent; on the port of DNS over TLS, silence."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.process import LIMIT
from tests.stories.standards.secure import Secure, running_secure


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder: Path = tmp_path_factory.mktemp("tls")
    with running_secure(folder) as one:
        yield one


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"x" * 100_000)], ids=["small", "with a body"])
def test_whoever_forgot_the_s_is_told(secure: Secure, method: str, body: bytes | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", secure.https_port, timeout=LIMIT)
    connection.request(method, "/register", body)
    reply = connection.getresponse()
    content = json.loads(reply.read())
    connection.close()
    assert (reply.status, content["code"], content["error"]) == (400, "TLS_REQUIRED", "Bad Request")
    assert "https://" in content["message"]
    assert reply.getheader("Connection") == "close"
    assert reply.getheader("X-Registry-Index") == "0", "who has shown no certificate learns nothing"


@pytest.mark.parametrize("port", ["https_port", "dot_port"])
@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x00\x05hello", b"\x00\x1d\x12\x34\x01\x00", b"get / HTTP/1.1\r\n\r\n", b"GET /"]
)
def test_to_others_nothing_is_said_in_clear(secure: Secure, port: str, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", getattr(secure, port)), LIMIT) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        answer = bytearray()
        try:
            while piece := sock.recv(4096):
                answer += piece
        except ConnectionError:
            pass
    is_http = port == "https_port" and sent == b"GET /"
    assert (b"TLS_REQUIRED" in answer) is is_http
    assert b"HTTP/" not in answer or is_http


def test_the_server_goes_on(secure: Secure) -> None:
    secure.register("shop", "10.0.0.1")
    assert "Traceback" not in "\n".join(secure.server.log)

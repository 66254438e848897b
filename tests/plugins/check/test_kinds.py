"""What else a probe may be than a plain GET: other requests, TLS, gRPC's health protocol; and other hosts and ports than the instance's."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import grpc
import pytest

from discovery.core.caller import Caller
from discovery.core.check import Check
from discovery.core.instance import Instance
from discovery.core.network import Networks
from discovery.plugins.check.grpc import MAX_ANSWER
from discovery.plugins.check.probe import probe
from discovery.plugins.check.targets import refusal, target
from tests.plugins.check.servers import LIMIT, OK, serving, silent_port
from tests.programs import program
from tests.store.making import WALL, spec


def a_check(**fields: Any) -> Check:
    return Check.of({"timeout": 10, **fields}, "checks[0]")


# -- HTTP


async def test_a_request_has_the_method_the_headers_and_the_body_that_were_asked_for() -> None:
    check = a_check(
        http="/up?deep=1", method="POST", headers={"Host": "db.example.com", "X-Key": "a b"}, body="sämtlich"
    )
    async with serving() as fake:
        assert await probe("127.0.0.1", fake.port, check) is None
    head = fake.requests[0].decode().removesuffix("\r\n\r\n").split("\r\n")
    assert head == [
        "POST /up?deep=1 HTTP/1.1", "User-Agent: discovery-check", "Accept: */*", "Host: db.example.com", "X-Key: a b",
        "Connection: close", "Content-Length: 9",
    ]  # fmt: skip


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an authority that is its own, for 127.0.0.1 and db.example.com, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1,DNS:db.example.com"
    command = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=db",
    ]
    files = ["-keyout", str(folder / "both.pem"), "-out", str(folder / "cert.pem"), "-addext", names]
    subprocess.run([program("openssl"), *command, *files], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "both.pem").read_text() + (folder / "cert.pem").read_text())
    return folder


@asynccontextmanager
async def over_tls(certificate: Path) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "both.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_certificate_has_to_come_from_the_authority_that_is_named_and_be_the_hosts(certificate: Path) -> None:
    ca = (certificate / "cert.pem").read_text()
    async with over_tls(certificate) as port:
        assert await probe("127.0.0.1", port, a_check(http="/", ca=ca)) is None
        assert await probe("127.0.0.1", port, a_check(http="/", ca=ca), "db.example.com.") is None
        assert "certificate is not accepted" in str(
            await probe("127.0.0.1", port, a_check(http="/", ca=ca), "web.example.com")
        )
        assert "certificate is not accepted" in str(await probe("127.0.0.1", port, a_check(http="/", tls=True)))
        assert await probe("127.0.0.1", port, a_check(http="/", tlsSkipVerify=True), "web.example.com") is None
    broken = ca.replace("MI", "!!", 1)
    async with serving() as fake:
        assert await probe("127.0.0.1", fake.port, a_check(http="/", tls=True, timeout=0.3)) == "no answer within 0.3 s"
        assert "TLS" in str(await probe("127.0.0.1", fake.port, a_check(http="/", ca=broken)))


# -- gRPC


@pytest.fixture(scope="module")
def health() -> Iterator[Callable[[str, int | None], int]]:
    """A real server of grpc.health.v1: sets what a service is, None: it is not known; gives the server's port."""
    statuses: dict[str, int] = {}

    def check(request: bytes, context: grpc.ServicerContext) -> bytes:
        service = request[2:].decode()
        if service not in statuses:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        status = statuses[service]
        return bytes((8, status)) if status else b""

    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def set(service: str, status: int | None) -> int:
        statuses.pop(service, None)
        if status is not None:
            statuses[service] = status
        return int(port)

    yield set
    server.stop(None).wait(LIMIT)


@pytest.mark.parametrize(
    ("service", "status", "failure"),
    [
        (True, 1, None),
        ("shop.Orders", 1, None),
        ("x" * 200, 1, None),
        ("shop.Orders", 2, "it is NOT_SERVING"),
        ("shop.Orders", 0, "it is UNKNOWN"),
        ("shop.Orders", None, "gRPC status 5: the service is not known there"),
    ],
)
async def test_a_grpc_service_passes_while_it_serves(
    health: Callable[[str, int | None], int], service: Any, status: int | None, failure: str | None
) -> None:
    name = "" if service is True else service
    port = health(name if len(name) < 128 else "\x01" + name, status)
    assert await probe("127.0.0.1", port, a_check(grpc=service)) == failure


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (OK, "it does not speak HTTP/2"),
        (b"", "it ended before it answered"),
        (b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\6\1\0\0\0\0abc" * 10, "it does not speak HTTP/2"),
        (b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x08\xff\0\0\0\0\0opaque 8" * 1000, f"it sent more than {MAX_ANSWER:,} octets"),
    ],
)
async def test_what_is_no_grpc_server_fails(answer: bytes, failure: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(24)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        assert await probe("127.0.0.1", server.sockets[0].getsockname()[1], a_check(grpc=True)) == failure
    sock, port = silent_port()
    with sock:
        assert await probe("127.0.0.1", port, a_check(grpc=True)) == "connection refused"


# -- whom


OWN, LISTED = "10.0.0.7", Networks([ip_network("10.1.0.0/16"), ip_network("0.0.0.0/0")][:1])


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ({"tcp": True}, None),
        ({"tcp": True, "port": 81}, None),
        ({"tcp": True, "port": 82}, "82 is no port of its registration"),
        ({"grpc": True, "address": "10.0.0.8"}, "10.0.0.8 is not the address that registered it"),
        ({"http": "/", "address": "10.1.0.8", "port": 82}, None),
        ({"http": "/", "address": "169.254.169.254"}, "link-local"),
        ({"http": "/", "address": "127.0.0.1"}, "loopback and registered from elsewhere"),
        ({"http": "/", "address": "::1"}, "loopback and registered from elsewhere"),
    ],
)
def test_another_host_or_port_than_those_registered_is_asked_where_it_is_listed(check: Any, why: str | None) -> None:
    instance = Instance("id", WALL, spec("web", OWN, ports={"admin": 81}, checks=[check]), registrant=Caller(OWN))
    host, port = target(instance, instance.spec.checks[0])
    said = refusal(instance, host, port, host, LISTED, True)
    assert (said is None) if why is None else (why in str(said))


def test_no_name_makes_this_host_of_the_unspecified_address() -> None:
    everywhere = Networks([ip_network("0.0.0.0/0"), ip_network("::/0")])
    instance = Instance("id", WALL, spec("web", "db.example.com"), registrant=Caller(OWN))
    for ip in ("0.0.0.0", "::", "::ffff:127.0.0.1", "224.0.0.1"):
        assert refusal(instance, "db.example.com", 80, ip, everywhere, True) is not None

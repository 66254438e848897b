"""A server with a certificate: DNS over TLS on one port, HTTPS on another. The certificate is made by openssl."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.stories.process import LIMIT, Discovery, running
from tests.stories.standards.clients import run


class Pair(NamedTuple):
    cert: Path
    key: Path


class Secure(NamedTuple):
    server: Discovery
    pair: Pair

    @property
    def dot_port(self) -> int:
        return self._port("dot")

    @property
    def https_port(self) -> int:
        return self._port("https")

    def _port(self, scheme: str) -> int:
        [line] = [line for line in self.server.output if line.startswith(f"listening {scheme}://")]
        return int(line.rpartition(":")[2])

    def context(self) -> ssl.SSLContext:
        """A client's, that trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self.pair.cert))

    def connect(self) -> ssl.SSLSocket:
        """To DNS over TLS, the certificate verified."""
        sock = socket.create_connection(("127.0.0.1", self.dot_port), timeout=LIMIT)
        return self.context().wrap_socket(sock, server_hostname="127.0.0.1")

    def register(self, name: str, ip: str, port: int = 3001, **fields: Any) -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", self.https_port, context=self.context(), timeout=LIMIT)
        body = json.dumps({"name": name, "ip": ip, "port": port, **fields})
        connection.request("POST", "/register", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        assert reply.status == 201, reply.read()
        connection.close()


def make_certificate(folder: Path, subject: str = "discovery test") -> Pair:
    """For 127.0.0.1 and localhost, valid for a day, signed by itself."""
    pair = Pair(folder / "cert.pem", folder / "key.pem")
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-keyout", str(pair.key), "-out", str(pair.cert), "-subj", f"/CN={subject}",
        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
    )  # fmt: skip
    return pair


@contextmanager
def running_secure(folder: Path, **settings: Any) -> Iterator[Secure]:
    pair = make_certificate(folder)
    with running(DOT_PORT=0, TLS_CERT=str(pair.cert), TLS_KEY=str(pair.key), **settings) as server:
        yield Secure(server, pair)

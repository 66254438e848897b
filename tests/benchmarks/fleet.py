"""The data of every benchmark: services s0, s1, … with so many instances each, put into a running server over HTTP."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, NamedTuple

# Requests sent before their replies are read: fast, and far below what socket buffers hold.
_PIPELINE = 50
# The longest lease there is: a benchmark of look-ups needs no heartbeats.
TTL = 3600


class Instance(NamedTuple):
    name: str
    ip: str
    port: int


def fleet(services: int, instances: int) -> Iterator[Instance]:
    for service in range(services):
        for number in range(instances):
            yield Instance(f"s{service}", f"10.{service // 256}.{service % 256}.{number + 1}", 3000 + number)


def register(port: int, members: Iterator[Instance], ttl: int = TTL, token: str = "") -> int:
    """Registers all on 127.0.0.1:port, with this bearer token; the number."""
    count = 0
    with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
        batch: list[bytes] = []
        for member in members:
            body = {**member._asdict(), "ttl": ttl, "metadata": {"version": "1.0.0", "zone": "eu-west-1"}}
            batch.append(post("/register", json.dumps(body).encode(), token))
            count += 1
            if len(batch) == _PIPELINE:
                _send(sock, replies, batch)
                batch = []
        _send(sock, replies, batch)
    return count


def request(method: str, path: str, body: bytes = b"", token: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{head}{authorization}\r\n".encode() + body


def post(path: str, body: bytes, token: str = "") -> bytes:
    return request("POST", path, body, token)


def _send(sock: socket.socket, replies: IO[bytes], batch: list[bytes]) -> None:
    sock.sendall(b"".join(batch))
    for _ in batch:
        read_reply(replies)


def read_reply(replies: IO[bytes]) -> bytes:
    """One response's body; its status must be 2xx."""
    status = replies.readline()
    assert status.split()[1].startswith(b"2"), status
    length = 0
    while (line := replies.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body: bytes = replies.read(length)
    return body


def register_until(port: int, members: Iterable[Instance], end: float) -> int:
    """Registers all, each with what is then left until `end` (monotonic seconds): all the leases run out in that one moment."""

    def requests() -> Iterator[bytes]:
        for member in members:
            body = {**member._asdict(), "ttl": end - time.monotonic()}
            yield post("/register", json.dumps(body).encode())

    return len(pipelined(port, requests()))


def pipelined(port: int, requests: Iterable[bytes], size: int = _PIPELINE) -> list[bytes]:
    """The bodies of the replies, in order; `size` requests are sent before their replies are read."""
    bodies: list[bytes] = []
    rest = iter(requests)
    with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
        while batch := list(islice(rest, size)):
            sock.sendall(b"".join(batch))
            bodies += (read_reply(replies) for _ in batch)
    return bodies

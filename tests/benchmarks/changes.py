"""Changes at a steady pace, each one event: most are another version, some drain and come back, some go and register again.

They come from a thread over one connection; whoever measures meanwhile waits for something else.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from tests.benchmarks.fleet import TTL, Instance, post, read_reply, request

# Seconds: how often what is due is sent.
_TICK = 0.01
# Requests sent before their replies are read, when there is no pace.
_PIPELINE = 50
# What each tenth change and the fifth after it do to the same instance: out, and back.
_OUT_AND_BACK = {
    0: ("PUT", "/services/{0.name}/instances/drain?ip={0.ip}&port={0.port}"),
    5: ("DELETE", "/services/{0.name}/instances/drain?ip={0.ip}&port={0.port}"),
    1: ("DELETE", "/services/{0.name}/instances?ip={0.ip}&port={0.port}"),
}


class Changes:
    """`rate`: of the last pace, as it was answered. `token`: sent with each request."""

    def __init__(self, port: int, members: Sequence[Instance], token: str = "") -> None:
        self.token = token
        self.rate = 0.0
        self._port = port
        self._members = members
        self._made = 0

    @contextmanager
    def at(self, rate: float) -> Iterator[None]:
        """So many events a second while the `with` block lasts."""
        end, failed = threading.Event(), list[BaseException]()

        def run() -> None:
            try:
                self._pace(rate, end)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
        if failed:
            raise failed[0]

    def make(self, count: int) -> None:
        """So many events, as fast as they are answered."""
        with self._connection() as (sock, replies):
            for start in range(0, count, _PIPELINE):
                self._send(sock, replies, min(_PIPELINE, count - start))

    def _pace(self, rate: float, end: threading.Event) -> None:
        with self._connection() as (sock, replies):
            made, began = 0, time.perf_counter()
            while not end.wait(_TICK):
                due = int((time.perf_counter() - began) * rate) - made
                self._send(sock, replies, due)
                made += due
            self.rate = made / (time.perf_counter() - began)

    @contextmanager
    def _connection(self) -> Iterator[tuple[socket.socket, IO[bytes]]]:
        with socket.create_connection(("127.0.0.1", self._port)) as sock, sock.makefile("rb") as replies:
            yield sock, replies

    def _send(self, sock: socket.socket, replies: IO[bytes], count: int) -> None:
        sock.sendall(b"".join(self._next() for _ in range(count)))
        for _ in range(count):
            read_reply(replies)

    def _next(self) -> bytes:
        number, self._made = self._made, self._made + 1
        which = number - 5 if number % 10 in (5, 6) else number
        member = self._members[which * 7919 % len(self._members)]  # a prime, so that all have their turn
        if found := _OUT_AND_BACK.get(number % 10):
            return request(found[0], found[1].format(member), token=self.token)
        # Another version than the last of the same instance, and no more versions than there were: what is kept stays as much.
        metadata = {"version": "1.0.0" if number % 10 == 6 else f"1.0.{number % 97}", "zone": "eu-west-1"}
        body = {**member._asdict(), "ttl": TTL, "metadata": metadata}
        return post("/register", json.dumps(body).encode(), self.token)

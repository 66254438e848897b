"""`discovery/deploy/haproxy.cfg` in front of three nodes: etcd is killed behind them, then a node."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import dns.message
import dns.query

from tests.deploy.rules import DEPLOY
from tests.ports import free_port
from tests.stories.cluster.nodes import etcd_of, link_to, node, nodes, ready, url_of
from tests.stories.judges.daemon import answers_tcp, daemon
from tests.stories.process import LIMIT, Discovery, until


class Front(NamedTuple):
    """Its ports."""

    http: int
    dns: int

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Message, bytes]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as reply:
                return reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def register(self, ip: str) -> tuple[int, Message, bytes]:
        return self.ask("POST", "/register", {"name": "web", "ip": ip, "port": 80, "ttl": 60})

    def write(self, method: str, path: str, ip: str) -> int:
        """The status, once it is another one than 503: an etcd that gets no core is late."""
        body = {"name": "web", "ip": ip, "port": 80, "ttl": 60}
        return until(lambda: (status := self.ask(method, path, body)[0]) != 503 and status)  # type: ignore[no-any-return]

    def beat(self, ip: str) -> tuple[int, Message, bytes]:
        return self.ask("POST", "/heartbeat", {"name": "web", "ip": ip, "port": 80})

    def resolves(self) -> set[str]:
        status, _, body = self.ask("GET", "/resolve/web")
        assert status == 200, body
        return {each["ip"] for each in json.loads(body)["instances"]}

    def dug(self) -> set[str]:
        """Over TCP. A connection that ends with its node is opened once more, as resolvers do."""
        query = dns.message.make_query("web.svc.local", "A")
        try:
            reply = dns.query.tcp(query, "127.0.0.1", LIMIT, self.dns)
        except (EOFError, ConnectionError):
            reply = dns.query.tcp(query, "127.0.0.1", LIMIT, self.dns)
        return {rdata.to_text() for rrset in reply.answer for rdata in rrset}


@contextmanager
def haproxy(servers: Sequence[Discovery], folder: Path) -> Iterator[Front]:
    """The recipe with other addresses, and checks ten times as often."""
    front = Front(free_port(), free_port())
    text = (DEPLOY / "haproxy.cfg").read_text()
    for ours, port in ((3100, front.http), (8600, front.dns)):
        text = re.sub(rf"127\.0\.0\.1:{ours}$", f"127.0.0.1:{port}", text, flags=re.M)
    for number, server in enumerate(servers, 1):
        text = text.replace(f"10.0.0.{number}:3100", f"127.0.0.1:{server.port}")
        text = re.sub(rf"10\.0\.0\.{number}:8600 port 3100", f"127.0.0.1:{server.dns_port} port {server.port}", text)
    text = re.sub(r"10\.0\.0\.\d:\d+", f"127.0.0.1:{free_port()}", text)
    config = folder / "haproxy.cfg"
    config.write_text(text.replace("inter 1s", "inter 100ms"))
    with daemon("haproxy", "-db", "-f", str(config), folder=folder) as running:
        running.until(lambda: answers_tcp(front.http))
        yield front


class Reader:
    """Reads through the proxy all the time, from a thread of its own."""

    def __init__(self, front: Front, expected: set[str]) -> None:
        self._front = front
        self._expected = expected
        self._over = threading.Event()
        self.reads = 0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            for read in (self._front.resolves, self._front.dug):
                try:
                    found = read()
                except Exception as error:
                    self.failed.append(repr(error))
                else:
                    if not found >= self._expected:
                        self.failed.append(f"{found}")
                self.reads += 1
            time.sleep(0.02)

    def stop(self) -> None:
        self._over.set()


@contextmanager
def reading(front: Front, expected: set[str]) -> Iterator[Reader]:
    reader = Reader(front, expected)
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    try:
        yield reader
        until(lambda: reader.reads > 20)
    finally:
        reader.stop()
        thread.join()
    assert reader.failed == []


def test_etcd_is_killed_behind_it_reads_go_on_and_writes_are_told_when_to_come_again(tmp_path: Path) -> None:
    with etcd_of(tmp_path) as etcd, nodes(etcd, 3) as three, haproxy(three, tmp_path) as front:
        until(lambda: front.register("10.0.0.1")[0] == 201)
        until(lambda: all("10.0.0.1" in str(node.request("GET", "/services").body) for node in three))
        with reading(front, {"10.0.0.1"}):
            etcd.kill()
            status, headers, body = front.register("10.0.0.2")
            assert status == 503, body
            assert int(headers.get("Retry-After", 0)) >= 1, body
            assert json.loads(body)["code"] == "ENGINE_UNAVAILABLE"
            until(lambda: not any(map(ready, three)))
            status, headers, body = front.register("10.0.0.2")
            assert status == 503
            assert int(headers.get("Retry-After", 0)) >= 1, body
            etcd.members[0].start(etcd.members)
            until(lambda: front.register("10.0.0.2")[0] == 201)
            until(lambda: front.resolves() == front.dug() == {"10.0.0.1", "10.0.0.2"})
            # And a node is killed, without a word: reads do not notice, writes go to the others.
            three[0].stop(signal.SIGKILL)
            for number in range(3, 9):
                assert front.write("POST", "/register", f"10.0.0.{number}") == 201


def test_it_moves_away_from_a_node_that_is_cut_off_and_back_and_a_stale_answer_is_the_last_resort(
    tmp_path: Path,
) -> None:
    with (
        etcd_of(tmp_path) as etcd,
        link_to(etcd) as link,
        node(etcd, ENGINE_URL=url_of([link.url])) as cut,
        node(etcd) as other,
    ):
        until(lambda: ready(cut) and ready(other))
        with haproxy((cut, other), tmp_path) as front:
            until(lambda: front.register("10.0.0.1")[0] == 201)
            until(lambda: all("10.0.0.1" in str(each.request("GET", "/services").body) for each in (cut, other)))
            with reading(front, {"10.0.0.1"}):
                until(lambda: len(nodes_behind(front)) == 2)
                link.cut()
                until(lambda: not ready(cut))
                until(lambda: len(nodes_behind(front)) == 1)
                for number in range(20):
                    assert "X-Registry-Stale" not in front.ask("GET", "/resolve/web")[1]
                    assert front.write("POST", "/register", f"10.0.1.{number}") == 201
                    # One of two goes to the node that is cut off first, and is repeated at the other.
                    assert front.write("POST", "/heartbeat", "10.0.0.1") == 200
                assert cut.request("GET", "/ready?for=reads").body["stale"] > 0
                etcd.kill()
                until(lambda: not ready(other))
                until(lambda: "X-Registry-Stale" in front.ask("GET", "/resolve/web")[1])
                status, headers, body = front.beat("10.0.0.1")
                assert (status, json.loads(body)["code"]) == (503, "ENGINE_UNAVAILABLE"), "the node's own, passed on"
                assert json.loads(body)["message"].startswith("What the nodes of the registry share")
                assert int(headers["Retry-After"]) >= 1
                etcd.members[0].start(etcd.members)
                link.heal()
                until(lambda: ready(cut) and ready(other))
                until(lambda: len(nodes_behind(front)) == 2)
                until(lambda: "X-Registry-Stale" not in front.ask("GET", "/resolve/web")[1])


def nodes_behind(front: Front) -> set[str]:
    """That give answers now, by their names."""
    return {json.loads(front.ask("GET", "/stats")[2])["engine"]["node"] for _ in range(8)}


def test_its_own_503_says_when_to_come_again_as_a_nodes_does(tmp_path: Path) -> None:
    """A write that meets the moment in which the last node is found not to be ready."""
    with haproxy((), tmp_path) as front:  # nobody is at the recipe's addresses
        status, headers, body = front.register("10.0.0.1")
    assert status == 503
    assert headers["Retry-After"] == "1"
    assert json.loads(body)["code"] == "ENGINE_UNAVAILABLE"

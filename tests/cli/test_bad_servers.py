"""Commands that ask a server which is dead, slow, wrong, older, or speaks HTML: one line, status 1, no traceback."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from discovery.cli import connection
from discovery.client import RegistryClient
from tests.cli.live import At, discovery
from tests.client.servers import DEEP, STRANGE, mutants, nobody
from tests.examples import examples
from tests.stories.process import ROOT

COMMANDS = [
    ["get", "services"],
    ["get", "instance", "x"],
    ["resolve", "web"],
    ["register", "web", "--ip", "10.0.0.1", "--port", "1"],
    ["deregister", "web"],
    ["drain", "web"],
    ["undrain", "--host", "10.0.0.1"],
    ["maintenance", "list"],
    ["maintenance", "begin", "web", "--for", "1m", "--reason", "x"],
]


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server whose connections are given to `serve`, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connected:
                        serve(connected)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)


@contextlib.contextmanager
def answering(body: Callable[[], str]) -> Iterator[str]:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(reply("200 OK", "application/json", body()))

    with serving(serve) as url:
        yield url


@contextlib.contextmanager
def saying(octets: bytes) -> Iterator[str]:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(octets)

    with serving(serve) as url:
        yield url


def reply(status: str, kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_dead_server(command: list[str]) -> None:
    url = nobody()
    assert re.fullmatch(rf"no registry answers \({url}: .*refused.*is DISCOVERY_URL right\?", At(url)(*command).said)


def test_a_slow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RegistryClient", partial(RegistryClient, timeout=0.1))
    done = threading.Event()
    with serving(lambda connected: void(done.wait(60))) as url:
        assert "no answer in 0.1 s" in At(url)("get", "services").said
        done.set()


def test_wait_waits_no_longer_for_a_slow_server_than_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discovery.cli.wait._ONE_ANSWER", 0.1)
    done = threading.Event()
    with serving(lambda connected: void(done.wait())) as url:
        assert At(url)("wait", "web", "--timeout", "0.2s").said == f"no registry ({url}) has answered in time"
        done.set()


def test_wait_trusts_no_index_over_an_outage() -> None:
    """Who answers next may have started without its memory, and count over the same numbers."""
    answers = [
        reply("404 Not Found", "application/json", '{"instances": []}').replace(
            b"\r\n", b"\r\nX-Registry-Index: 7\r\n", 1
        ),
        reply("503 Service Unavailable", "application/json", '{"code": "NOT_READY", "message": "starts"}'),
        reply("500 Internal Server Error", "application/json", '{"code": "INTERNAL_ERROR", "message": "broke"}'),
        reply("200 OK", "application/json", '{"instances": [{"status": "healthy"}]}'),
    ]
    asked = []

    def serve(connected: socket.socket) -> None:
        asked.append(re.findall(rb"index=([0-9]+)", connected.recv(65536)))
        connected.sendall(answers[len(asked) - 1])

    with serving(serve) as url:
        assert At(url)("wait", "web", "--timeout", "60s").status == 0
    assert asked == [[b"0"], [b"7"], [b"0"], [b"0"]]


def void(_: object) -> None:
    pass


HTML = reply("200 OK", "text/html", "<html><title>[red]Welcome[/red]\x1b[2J</title></html>")


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (HTML, "is no registry: it answered with text/html"),
        (reply("502 Bad Gateway", "text/html", "<html>nginx</html>"), "text/html, status 502"),
        (reply("200 OK", "application/json", '{"services'), "broken JSON"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\x1b[2J\r\nContent-Length: 0\r\n\r\n", ""),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "speaks no HTTP"),
        (b"\x16\x03\x01\x00\x05", "speaks no HTTP"),
        (b"", "closed the connection without an answer"),
    ],
    ids=["HTML", "a proxy", "broken JSON", "a redirect", "SSH", "TLS", "nothing"],
)
@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
def test_a_wrong_server(command: list[str], octets: bytes, said: str) -> None:
    with saying(octets) as url:
        told = At(url)(*command).said
    assert said in told
    assert told.isprintable()


# A reply that has what every command reads of a registry's, and more.
PLACE = {"id": "web-1", "name": "web", "ip": "10.0.0.1", "port": 1}
TIME = "2026-01-31T12:00:00.000Z"
INSTANCE = PLACE | {
    "status": "healthy", "timeSinceHeartbeat": "3s", "lastHeartbeat": TIME, "registeredAt": TIME, "metadata": {"a": [1]}, "tags": ["x"],
    "zone": "z", "served": True, "why": "its lease runs", "since": TIME, "until": TIME,
}  # fmt: skip
EVENT = {
    "index": 7, "kind": "registered", "service": "web", "instance": INSTANCE, "before": None, "reason": "new", "timestamp": TIME,
    "actor": {"name": "ci", "address": "10.0.0.9"},
}  # fmt: skip
HOLDS = {"instances": 1, "services": ["web"]}
NODE = {"node": "b", "silent": True, "lastHeardSeconds": 3, "silentForSeconds": 2.5, "version": "1", "holds": HOLDS}
REPLY = PLACE | {
    "message": "done", "timestamp": TIME, "safeAfter": TIME, "services": {"web": {"instances": [INSTANCE]}}, "next": None,
    "serviceName": "web", "instances": [INSTANCE], "instance": INSTANCE, "heartbeatIntervalMs": 3000, "explained": [INSTANCE],
    "zone": {"first": 1, "why": "from eu-a: none is from elsewhere"},
    "gone": [EVENT], "down": "it was not there", "complete": False, "since": TIME, "events": [EVENT], "missing": "much",
    "windows": [{"serviceName": "web", "ip": "10.0.0.1", "port": 1, "until": TIME, "reason": "x"}], "until": TIME, "reason": "x",
    "token": {"name": "ci", "sha256": "00", "revokedAt": TIME}, "queries": True, "accesses": False, "level": "info",
    "goneLastHour": {"lost": {"instances": 2, "serviceCount": 1, "since": TIME, "until": TIME}}, "activeInstances": 1,
    "brakeHolds": [{"serviceName": "web", "suspects": 1, "since": TIME, "until": TIME}],
    "engine": {"node": "a", "leads": True, "fresh": True, "nodes": [NODE], "leader": "a", "lagSeconds": 0.1, "heldHere": HOLDS},
}  # fmt: skip
COUNTED = {"name": "web", "client": "10.0.0.1", "service": "web", "queries": 5, "requests": 5, "changes": 5, "error": 1}
TOP = {key: [COUNTED] for key in ("unknownNames", "names", "clients", "httpClients", "services")}
ZONE = {
    "zone": "eu-a", "networks": ["10.1.0.0/16"], "networkCount": 2, "services": 1, "instances": 3, "healthy": 2, "missing": 1, "askers": 4,
    "answers": 9, "crossed": 3, "limping": [{"service": "web", "healthy": 2, "known": 4}],
}  # fmt: skip
FILE = str(ROOT / "tests/moving/golden/file.json")  # of one instance
READING = [
    (["get", "services", "-o", "wide"], REPLY),
    (["get", "hosts"], REPLY),
    (["get", "service", "web"], REPLY),
    (["get", "instance", "x"], REPLY),
    (["get", "nodes"], REPLY),
    (["get", "zones", "-o", "wide"], REPLY | {"zones": [ZONE], "minHealthy": 70, "others": 1}),
    (["get", "holds"], REPLY),
    (["resolve", "web"], REPLY),
    (["explain", "web"], REPLY),
    (["explain", "web", "--at", "2h", "-o", "yaml"], REPLY),
    (["history", "-o", "wide"], REPLY),
    (["watch", "web"], REPLY),
    (["wait", "web", "--timeout", "0s"], REPLY),
    (["top"], REPLY | TOP | {"minutes": 10}),
    (["log"], REPLY),
    (["register", "web", "--ip", "10.0.0.1", "--port", "1"], REPLY),
    (["deregister", "web"], REPLY),
    (["drain", "web"], REPLY),
    (["undrain", "--host", "10.0.0.1"], REPLY),
    (["maintenance", "begin", "web", "--for", "1m", "--reason", "x"], REPLY),
    (["maintenance", "end", "web", "--port", "1"], REPLY),
    (["maintenance", "list"], REPLY),
    (["token", "restore", "00"], REPLY),
    (["import", FILE], REPLY | {"results": [{"status": 201}]}),
]


@pytest.mark.parametrize(
    ("command", "body"), READING, ids=lambda each: " ".join(each) if isinstance(each, list) else ""
)
def test_whatever_the_json_is_like_it_is_shown_or_one_line_says_what_is_wrong(command: list[str], body: Any) -> None:
    chance = random.Random(" ".join(command))
    bodies = [body, *(found for value in chance.sample(STRANGE, 4) for found in mutants(body, value))]
    asked = [body, *chance.sample(bodies, examples(60))]
    with answering(lambda: json.dumps(asked[0])) as url:
        assert At(url)(*command).status == 0
        while asked:
            done = At(url)(*command)
            assert done.status in (0, 1)
            assert (done.out + done.err).replace("\n", "").isprintable()
            assert done.status == 0 or (done.err.startswith("discovery: ") and done.err.count("\n") == 1), done
            asked.pop(0)


def test_what_is_nested_too_deeply_to_be_shown_is_said_in_one_line() -> None:
    with saying(reply("200 OK", "application/json", json.dumps(REPLY | {"more": DEEP}))) as url:
        assert "nested too deeply" in At(url)("get", "instance", "x", "-o", "yaml").said


def test_json_that_no_registry_gives_names_the_field() -> None:
    with saying(reply("200 OK", "application/json", json.dumps(REPLY | {"timestamp": 7}))) as url:
        said = At(url)("resolve", "web").said
    assert f"{url} is no registry: it answered with JSON that no registry gives (timestamp: " in said


def test_an_older_server_without_the_route() -> None:
    body = json.dumps({"error": "Not Found", "code": "ROUTE_UNKNOWN", "message": "There is no GET /maintenance"})
    with saying(reply("404 Not Found", "application/json", body)) as url:
        assert At(url)("maintenance", "list").said.startswith("this registry is older than this command")


def test_what_a_server_says_moves_no_cursor() -> None:
    message = "no\x1b[2J\u202e [red]\nway"
    body = json.dumps({"error": "Forbidden", "code": "FORBIDDEN", "message": message})
    with saying(reply("403 Forbidden", "application/json", body)) as url:
        said = At(url)("get", "services").said
    assert said.isprintable()
    assert "[red]" in said


@pytest.mark.parametrize("output", ["table", "wide", "name", "json", "yaml"])
def test_what_events_say_moves_no_cursor_in_any_form(output: str) -> None:
    nasty = INSTANCE | {"name": "\x1b[2J", "id": "\x1b]0;x\x07\u202e", "ip": "\x9b2J"}
    event = EVENT | {"instance": nasty, "kind": "\x1b[3J", "reason": "\x1b[2J\r"}
    data = f"id: 7\ndata: {json.dumps(event)}\n\n"
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    with saying((head + data).encode()) as url:
        done = At(url)("events", "-n", "1", "-o", output)
    assert done.status == 0
    assert done.out.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DISCOVERY_URL": "localhost"}, "is no address of a registry"),
        ({"DISCOVERY_URL": "ftp://a"}, "is no address of a registry"),
        ({"DISCOVERY_URL": "http://zoe:secret@a"}, "a token belongs into DISCOVERY_TOKEN"),
        ({"DISCOVERY_TOKEN_FILE": "/nowhere"}, "/nowhere cannot be read"),
        ({"DISCOVERY_TOKEN": "sec\nret"}, "the token (DISCOVERY_TOKEN) has a line break"),
    ],
)
def test_what_it_is_told_of_the_registry_must_make_sense(environment: dict[str, str], said: str) -> None:
    done = discovery("get", "services", **environment)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert "secret" not in done.err


def test_of_several_servers_one_has_to_answer() -> None:
    page = '{"totalServices": 0, "services": {}, "next": null, "timestamp": "2026-01-31T12:00:00.000Z"}'
    with saying(reply("200 OK", "application/json", page)) as url:
        assert At(f"{nobody()},{url}")("get", "services", "-o", "json").content == []


def test_a_node_that_is_stale_is_said_once_beside_its_answer() -> None:
    body = json.dumps(
        {"services": {}, "totalServices": 0, "totalInstances": 0, "totalHealthyInstances": 0, "stale": 37}
    )
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Registry-Index: 1\r\nContent-Length: {len(body)}\r\n"
    )
    with saying(f"{head}Connection: close\r\n\r\n{body}".encode()) as url:
        done = At(url)("get", "services", "-o", "json")
    assert done.status == 0
    assert "does not hear what happens at the other nodes: what it says is 37 s old" in done.err
    assert "37 s" not in done.out

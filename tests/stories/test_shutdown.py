"""SIGTERM in the middle of work: what is in hand is finished, nothing new is accepted, it ends with 0 within five seconds."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from contextlib import closing
from itertools import count

import pytest

from tests.stories.process import LIMIT, Discovery, running, until

# Seconds; five of them are the server's. What it must not wait for would take 30 and more.
WITHIN = 20.0
BODY = json.dumps({"name": "user-service", "ip": "10.0.0.1", "port": 3001}).encode()


def _half_a_registration(server: Discovery) -> socket.socket:
    """A connection on which all but the end of the body was sent."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT)
    head = (
        f"POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    sock.sendall(head.encode() + BODY[:10])
    # The server reads in order: when this reply is there, the half request has been read too.
    assert server.request("GET", "/health").status == 200
    return sock


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_hand_is_finished_while_new_connections_are_refused(server: Discovery, signum: int) -> None:
    port, dns_port = server.port, server.dns_port
    with _half_a_registration(server) as sock:
        signalled = time.monotonic()
        server.process.send_signal(signum)
        until(lambda: _refuses(port) and _refuses(dns_port))
        assert server.process.poll() is None, "it waits for the request in hand"
        sock.sendall(BODY[10:])
        with closing(http.client.HTTPResponse(sock)) as response:
            response.begin()
            assert response.status == 201
            assert json.loads(response.read())["instance"]["name"] == "user-service"
    assert server.stop() == 0
    assert time.monotonic() - signalled < WITHIN
    assert "Traceback" not in "\n".join(server.log)


def test_a_request_that_never_ends_does_not_hold_it(server: Discovery) -> None:
    with _half_a_registration(server):
        signalled = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - signalled < WITHIN
    assert "Traceback" not in "\n".join(server.log)


def test_idle_connections_do_not_hold_it(server: Discovery) -> None:
    kept_alive = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    kept_alive.request("GET", "/health")
    assert kept_alive.getresponse().read()
    with (
        socket.create_connection(("127.0.0.1", server.dns_port), timeout=LIMIT) as silent,
        socket.create_connection(("127.0.0.1", server.dns_port), timeout=LIMIT) as half,
    ):
        half.sendall(b"\0\x20\0")
        assert server.ask("registry.svc.local").answer, "the loop is past the two connections"
        signalled = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - signalled < WITHIN
        assert silent.recv(1) == b""
    kept_alive.close()
    assert "Traceback" not in "\n".join(server.log)


def test_under_load_every_request_gets_a_whole_reply_or_none() -> None:
    with running(HEARTBEAT_TIMEOUT_SECONDS=60, MAX_INSTANCES_PER_SERVICE=1000) as server:
        replies: list[int] = []
        wrong: list[object] = []
        workers = [threading.Thread(target=_register_until_closed, args=(server, n, replies, wrong)) for n in range(4)]
        for worker in workers:
            worker.start()
        until(lambda: len(replies) > 200)
        signalled = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - signalled < WITHIN
        for worker in workers:
            worker.join(LIMIT)
    assert wrong == []
    assert set(replies) == {201}
    assert "Traceback" not in "\n".join(server.log)
    registered = sum(" registered load-" in line for line in server.log)
    assert registered >= len(replies), "nothing is acknowledged that did not happen"


def _register_until_closed(server: Discovery, worker: int, replies: list[int], wrong: list[object]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    for number in count(1):
        name = f"load-{worker}-{number % 100}"
        body = json.dumps({"name": name, "ip": f"10.{worker}.{number >> 8}.{number & 255}", "port": 80})
        try:
            client.request("POST", "/register", body, {"Content-Type": "application/json"})
            response = client.getresponse()
            text = response.read()
        except (http.client.IncompleteRead, http.client.BadStatusLine) as error:
            if not isinstance(error, http.client.RemoteDisconnected):  # closed before the reply began: no reply
                wrong.append(error)
            break
        except OSError:
            break
        replies.append(response.status)
        if json.loads(text)["instance"]["name"] != name:
            wrong.append(text)
    client.close()

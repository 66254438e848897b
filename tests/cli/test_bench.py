"""`discovery bench`: it measures what was answered, says what was not, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from discovery.cli.bench import load
from tests.cli.live import At
from tests.cli.test_bad_servers import reply, saying
from tests.stories.process import LIMIT, ROOT, Discovery, environment, running, until


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running() as server:
        yield server


def test_it_measures_each_kind_and_leaves_nothing_behind(server: Discovery) -> None:
    before = server.request("GET", "/stats").body
    dns = f"127.0.0.1:{server.dns_port}"
    done = At(server.http)("bench", "--seconds", "0.2", "--instances", "25", "--dns-server", dns, "-o", "json")
    after = server.request("GET", "/stats").body
    kinds = {each["what"]: each for each in done.content}
    assert list(kinds) == ["heartbeat", "resolve", "dns"]
    for each in kinds.values():
        assert each["answered"] > 0
        assert each["errors"] == 0
        assert 0 < each["p50Ms"] <= each["p99Ms"] <= each["maxMs"]
        assert each["perSecond"] == pytest.approx(each["answered"] / 0.2, rel=0.5)
    # What it says was answered was: the server counted it too.
    assert after["totalHeartbeats"] - before["totalHeartbeats"] == kinds["heartbeat"]["answered"]
    assert after["activeInstances"] == 0


def test_one_kind_alone(server: Discovery) -> None:
    done = At(server.http)("bench", "--seconds", "0.1", "--kind", "resolve", "--connections", "2")
    assert [line.split()[0] for line in done.out.splitlines()] == ["WHAT", "resolve"]


def test_nobody_on_the_dns_port_is_told_with_1(server: Discovery) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = At(server.http)("bench", "--seconds", "0.1", "--kind", "dns", "--dns-server", f"127.0.0.1:{port}")
    assert done.status == 1
    assert "no dns was answered" in done.err
    assert server.request("GET", "/stats").body["activeInstances"] == 0


@pytest.mark.parametrize(
    "arguments",
    [["--seconds", "61"], ["--seconds", "0"], ["--connections", "257"], ["--instances", "1001"], ["--kind", "all"]],
)
def test_the_load_is_bounded(server: Discovery, arguments: list[str]) -> None:
    assert At(server.http)("bench", *arguments).status == 2


def test_what_the_registry_refuses_ends_it(server: Discovery) -> None:
    with running(MAX_SERVICES=1) as small:
        assert (
            "of 100 instances could be registered"
            in At(small.http)("bench", "--kind", "resolve", "--seconds", "0.1").said
        )
        assert small.request("GET", "/stats").body["activeInstances"] == 0


def test_ctrl_c_is_130_and_cleans_up(server: Discovery) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "discovery", "bench", "--kind", "resolve", "--seconds", "60", "--connections", "1"],
        cwd=ROOT, env=environment(DISCOVERY_URL=server.http), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: server.request("GET", "/stats").body["activeInstances"])
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=LIMIT) == ("", "")
    assert process.returncode == 130
    assert server.request("GET", "/stats").body["activeInstances"] == 0


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (reply("500 Internal Server Error", "application/json", "{}"), "status 500"),
        (b"SSH-2.0\r\n\r\n", "speaks no HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "without a length"),
        (b"x" * 70_000, "speaks no HTTP"),
        (b"", "closed the connection"),
    ],
)
async def test_what_is_no_answer_counts_as_an_error_with_its_reason(octets: bytes, why: str) -> None:
    with saying(octets) as url:
        result = await load.http(url, None, [load.Request("GET", "/", None)], 0.1, 1)
    assert result.answered == 0
    assert result.errors >= 1
    assert why in result.why


async def test_a_server_that_says_nothing_does_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = await load.http(url, None, [load.Request("GET", "/", None)], 0.1, 2)
    assert (result.answered, result.errors) == (0, 2)


def test_a_request_is_http() -> None:
    octets = load._octets(load.Request("POST", "/heartbeat", {"a": 1}), "h:1", "/base", "t")
    assert octets == (
        b"POST /base/heartbeat HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
        b'Authorization: Bearer t\r\n\r\n{"a": 1}'
    )

"""What the log tells: one line for each thing that happened to an instance, with name, address and reason; JSON for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.stories.dig import dig
from tests.stories.process import Discovery, running, until

# Kind → what the reason must tell.
KINDS = {
    "registered": "",
    "deregistered": "127.0.0.1",  # who asked
    "unhealthy": "no heartbeat",
    "healthy": "heartbeat",
    "expired": "no heartbeat",
}


def _live_a_life(server: Discovery) -> None:
    """One instance that leaves, one that falls silent, comes back, falls silent again and is cleaned up."""
    server.register("leaver", "10.0.0.1", 3001)
    server.request("DELETE", "/services/leaver/instances?ip=10.0.0.1&port=3001")
    server.register("silent", "10.0.0.2", 3002)
    until(lambda: server.request("GET", "/resolve/silent").status == 404)
    assert server.heartbeat("silent", "10.0.0.2", 3002).status == 200
    until(lambda: server.request("GET", "/services").body["services"] == {})


@pytest.fixture(scope="module")
def text_log() -> Iterator[list[str]]:
    with running(
        HEARTBEAT_TIMEOUT_SECONDS=1, CLEANUP_INTERVAL_SECONDS=6
    ) as server:  # it is back before it is cleaned up
        _live_a_life(server)
        assert server.stop() == 0
        yield server.log


@pytest.mark.parametrize("kind", KINDS)
def test_each_change_has_a_line_with_name_address_and_reason(text_log: list[str], kind: str) -> None:
    name, address = ("leaver", "10.0.0.1:3001") if kind == "deregistered" else ("silent", "10.0.0.2:3002")
    lines = [line for line in text_log if re.search(rf"\b{kind} {name} {re.escape(address)}: \S+", line)]
    assert len(lines) == (2 if kind == "unhealthy" else 1), text_log
    assert KINDS[kind] in lines[0].partition(address)[2]


def test_requests_have_a_line_but_heartbeats_and_resolves_only_at_debug(text_log: list[str]) -> None:
    text = "\n".join(text_log)
    assert re.search(r"POST /register\b.*\b201\b", text)
    assert re.search(r"DELETE /services/leaver/instances ->.*\b200\b", text)
    assert "/resolve/" not in text
    assert "/heartbeat" not in text


def test_every_line_begins_with_a_time_and_a_level(text_log: list[str]) -> None:
    for line in text_log:
        time, level, _ = line.split(" ", 2)
        assert datetime.fromisoformat(time).utcoffset() is not None
        assert level in {"INFO", "WARNING", "ERROR"}


def test_json_lines_are_json_whatever_strangers_send() -> None:
    with running(LOG_FORMAT="json", LOG_LEVEL="debug") as server:
        server.register("leaver", "10.0.0.1", 3001, metadata={"text": 'a "quoted"\nline\u2028\x1b[31m'})
        server.heartbeat("leaver", "10.0.0.1", 3001)
        for method, path, body in (
            ("GET", '/resolve/%22%0a{"level":"forged"}', None),
            ("GET", "/%0d%0anope", None),
            ("POST", "/register", b'{"name": "a\\nb", "ip": "\\u001b", "port": 1}'),
            ("POST", "/register", b"\xff\xfe{"),
            ("DELETE", "/register", None),
        ):
            assert 400 <= server.request(method, path, body).status < 500
        dig(server, "nobody\\010.svc.local")
        server.request("DELETE", "/services/leaver/instances?ip=10.0.0.1&port=3001")
        assert server.stop() == 0
    assert server.log
    records: list[dict[str, Any]] = [json.loads(line) for line in server.log]
    for record in records:
        assert {"time", "level", "message"} <= record.keys()
        assert datetime.fromisoformat(record["time"]).utcoffset() is not None
        assert record["level"] in {"debug", "info", "warning", "error"}
    messages = [record["message"] for record in records]
    for kind in ("registered", "deregistered"):
        assert [message for message in messages if message.startswith(f"{kind} leaver 10.0.0.1:3001")]
    assert [message for message in messages if "POST /heartbeat" in message], "at debug level they are there"
    [gone] = [record for record in records if record.get("event") == "instance.deregistered"]
    assert (gone["service"], gone["ip"], gone["port"], gone["client"]) == ("leaver", "10.0.0.1", 3001, "127.0.0.1")
    assert gone["index"] > 0
    refused = [record for record in records if record.get("event") in ("request.refused", "refusals.held_back")]
    assert sum(record["count"] for record in refused) == 2, "the second was held back, and told at the end"
    assert all(record["client"] == "127.0.0.1" and record["reason"] for record in refused)

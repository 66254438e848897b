"""curl asks what happened: dig saw an answer go, the server is killed, and the history says who was in the answers, and when nobody was."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cli.live import At
from tests.programs import program
from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery, running, until

NAME = "user-service.svc.local"


def curl(server: Discovery, path: str) -> Any:
    command = [program("curl"), "--silent", "--show-error", "--max-time", str(LIMIT), server.http + path]
    done = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT)
    return json.loads(done.stdout)


def ports(explained: Any) -> list[int]:
    return [each["port"] for each in explained["explained"] if each["served"]]


def seconds(shown: str) -> float:
    return datetime.fromisoformat(shown).timestamp()


def test_what_dig_saw_is_what_the_history_says_after_a_kill(tmp_path: Path) -> None:
    def started() -> AbstractContextManager[Discovery]:
        return running(DATA_DIR=str(tmp_path / "data"), BRAKE_PERCENT=0)

    with started() as server:
        server.register("user-service", "127.0.0.1", 3001, ttl=600)
        server.register("user-service", "127.0.0.2", 3002, ttl=600)
        assert dig(server, NAME).rdata == {"127.0.0.1", "127.0.0.2"}
        both = time.time()
        server.register("user-service", "127.0.0.2", 3002, ttl=1)
        until(lambda: dig(server, NAME).rdata == {"127.0.0.1"})
        one = time.time()
        lapse = curl(server, "/history?service=user-service&kind=unhealthy")["events"][0]
        assert both < seconds(lapse["timestamp"]) < one
        until(lambda: curl(server, "/stats")["history"]["waiting"] == 0)
        server.stop(signal.SIGKILL)
    killed = time.time()
    with started() as server:
        again = time.time()
        assert ports(curl(server, f"/services/user-service/explain?at={both:.3f}")) == [3001, 3002]
        before = curl(server, f"/services/user-service/explain?at={one:.3f}")
        assert ports(before) == [3001]
        page = curl(server, "/history?kind=stopped&limit=1")
        [stopped] = page["events"]
        assert page["complete"]
        assert curl(server, "/history?kind=started&limit=1")["events"][0]["index"] >= stopped["index"]
        assert "it was killed, or its machine went down" in stopped["reason"]
        assert seconds(stopped["timestamp"]) <= killed <= seconds(stopped["until"]) <= again
        assert before["complete"] is (one < seconds(stopped["timestamp"]))  # it may have been dead by then
        server.stop()
        ended = time.time()
    time.sleep(0.2)  # nobody is there
    with started() as server:
        stopped = curl(server, "/history?kind=stopped&limit=1")["events"][0]
        during = curl(server, f"/services/user-service/explain?at={ended + 0.1:.3f}")
        assert (during["served"], during["down"]) == (0, stopped["reason"])
        assert stopped["reason"].startswith("the server was stopped: nobody was answered from")
        assert len(curl(server, "/history?kind=started")["events"]) == 3


def test_a_restart_with_other_settings_is_an_event_that_curl_and_the_audit_tell_of(tmp_path: Path) -> None:
    def started(timeout: int) -> AbstractContextManager[Discovery]:
        data, audit = str(tmp_path / "data"), str(tmp_path / "audit")
        return running(DATA_DIR=data, AUDIT_FILE=audit, HEARTBEAT_TIMEOUT_SECONDS=timeout)

    with started(30) as server:
        server.register("user-service", "127.0.0.1", 3001)
        server.stop()
    with started(60) as server:
        told = "HEARTBEAT_TIMEOUT_SECONDS was 30 and is 60"
        for path in ("/changes?kind=settings-changed", "/history?kind=settings-changed"):
            found = curl(server, path)
            [event] = found.get("changes") or found["events"]
            assert (event["reason"], event["settings"]["heartbeatTimeoutSeconds"], event["service"]) == (told, 60, None)
        [line] = [each for each in curl(server, "/admin/audit")["lines"] if each["action"] == "change-settings"]
        assert [line[when]["heartbeatTimeoutSeconds"] for when in ("before", "after")] == [30, 60]
        shown = curl(server, "/resolve/user-service?explain=1")["explained"][0]
        assert 55 < seconds(shown["until"]) - time.time() <= 60
        server.stop()


def _account(shown: Any) -> Any:
    return {name: shown[name] for name in ("status", "since", "by", "why")}


def test_who_has_gone_is_told_after_a_restart_too_and_orderly_ends_apart(tmp_path: Path) -> None:
    def started() -> AbstractContextManager[Discovery]:
        return running(DATA_DIR=str(tmp_path / "data"), BRAKE_PERCENT=0, CLEANUP_INTERVAL_SECONDS=1)

    def gone(server: Discovery) -> Any:
        return curl(server, "/stats")["goneLastHour"]

    def changed_at(server: Discovery) -> Any:
        return curl(server, "/services")["services"]["user-service"]["changedAt"]

    with started() as server:
        server.register("user-service", port=3001, ttl=600)
        for port in (3002, 3003):
            server.register("user-service", port=port, ttl=1)
        server.register("billing", id="b1", ttl=600)
        server.request("DELETE", "/instances/b1")
        until(lambda: gone(server)["lost"]["instances"] == 2)
        assert (gone(server)["lost"]["services"], gone(server)["ended"]["services"]) == (["user-service"], ["billing"])
        until(lambda: curl(server, "/stats")["activeInstances"] == 1)
        assert gone(server)["lost"]["removed"] == {"user-service": 2}
        assert server.request("PUT", "/services/user-service/instances/drain?ip=127.0.0.1&port=3001").status == 200
        server.register("kept", id="k1", ttl=600)
        window = {"reason": "a new disk", "seconds": 600}
        assert server.request("PUT", "/instances/k1/maintenance", window).status == 200
        kept = _account(curl(server, "/instances/k1"))
        before, listed, changed = gone(server), At(server.http)("get", "services"), changed_at(server)
        since = before["lost"]["since"][11:16]
        assert f"; `discovery history --since {since}`" in listed.err
        assert listed.err.startswith("2 instances of 1 service went ")
        assert server.stop() == 0  # a kill may cost the last second of the history
    with started() as server:
        until(lambda: gone(server)["lost"]["instances"] == 2)
        assert gone(server) == before
        until(lambda: changed_at(server) == changed)
        for path in ("/services/kept/explain", "/services/kept/explain?at=now", "/resolve/kept?explain=1"):
            assert list(map(_account, curl(server, path)["explained"])) == [kept], path
        account = curl(server, "/services/user-service")["instances"][0]
        assert (account["status"], account["by"]) == ("draining", "127.0.0.1")
        message = server.request("GET", "/services/billing").body["message"]
        assert re.search(
            r"one of this name was until \d\d:\d\d:\d\dZ: it was deregistered by 127\.0\.0\.1 \(history\)", message
        )
        server.register("user-service", port=3002, ttl=600)
        assert gone(server)["lost"]["instances"] == 1

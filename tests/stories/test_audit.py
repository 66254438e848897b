"""What an operator who wonders is told: register, update, drain and deregister over HTTP, then `discovery audit`."""

from __future__ import annotations

import hashlib
import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.live import discovery
from tests.stories.liveness.volume import volume
from tests.stories.process import LIMIT, ROOT, Discovery, running, until
from tests.stories.surfaces import listed

WEB = "/services/web/instances"
AT = "?ip=10.0.0.1&port=3001"


def audit(file: Path, *arguments: str) -> list[str]:
    done = discovery("audit", *arguments, AUDIT_FILE=str(file))
    assert (done.status, done.err) == (0, "")
    return done.out.splitlines()


def audited(file: Path, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit(file, "--json", *arguments)]


def live_a_life(server: Discovery) -> None:
    """Seven writes; a heartbeat and a registration that says nothing new are none."""
    for version in ("1", "2", "2"):
        server.register("web", "10.0.0.1", metadata={"version": version})
    assert server.heartbeat("web", "10.0.0.1").status == 200
    maintenance = {"reason": "disk swap", "seconds": 60}
    for method, path, body, status in (
        ("PUT", f"{WEB}/drain{AT}", None, 200),
        ("PUT", "/services/web/maintenance", maintenance, 200),
        ("DELETE", "/services/web/maintenance", None, 200),
        ("DELETE", f"{WEB}{AT}", None, 200),
        ("DELETE", f"{WEB}{AT}", None, 404),
    ):
        assert server.request(method, path, body).status == status


def test_every_write_is_shown_with_who_what_before_and_after(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    with running(AUDIT_FILE=str(file), DATA_DIR=str(tmp_path / "data")) as server:
        live_a_life(server)
        until(
            lambda: len(audited(file)) == 7
        )  # while it runs; a refused write is answered before its line is in the file
        lines = audited(file)
        shown = audit(file, "--service", "web", "-n", "2")
    actions = ["register", "register", "drain", "maintain", "end-maintenance", "deregister", "deregister"]
    assert [line["action"] for line in lines] == actions
    assert [line["outcome"] for line in lines] == ["done"] * 6 + ["UnknownInstance"]
    assert {(line["by"]["name"], line["by"]["address"], line["service"]) for line in lines} == {
        ("", "127.0.0.1", "web")
    }
    changes = [
        line for line in lines if line["action"] in ("register", "drain", "deregister") and line["outcome"] == "done"
    ]
    versions = [
        tuple(side and side["metadata"]["version"] for side in (line["before"], line["after"])) for line in changes
    ]
    assert versions == [(None, "1"), ("1", "2"), ("2", "2"), ("2", None)]
    assert "gone, status draining, draining true, metadata.version 2" in shown[0]
    assert "UnknownInstance" in shown[1]


def test_tokens_are_named_and_never_shown_and_what_they_may_not_do_is_told(tmp_path: Path) -> None:
    file, tokens, secret = tmp_path / "audit.jsonl", tmp_path / "tokens.toml", "a-secret-of-the-ci-server"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    tokens.write_text(f'[[token]]\nname = "ci"\nsha256 = "{digest}"\nregister = ["web"]\n')
    with running(AUDIT_FILE=str(file), TOKENS_FILE=str(tokens)) as server:
        for name, token, status in (
            ("web", secret, 201),
            ("billing", secret, 403),
            ("web", "another-secret-altogether", 401),
        ):
            assert _register_with(server, token, name) == status
        assert server.stop() == 0  # a refused write is answered before its line is in the file
    lines = audited(file)
    assert [(line["by"]["name"], line["service"], line["outcome"]) for line in lines] == [
        ("ci", "web", "done"),
        ("", None, "Unauthorized"),  # of what the client shows: a line a minute, the first at once, the last at the end
        ("ci", "billing", "Forbidden"),
        ("", None, "Unauthorized"),
    ]
    assert [line["error"].partition(":")[0] for line in lines if line["action"] == "show-token"] == [
        "1 wrong tokens, the last"
    ] * 2
    assert not [text for text in (secret, digest, "another") if text in file.read_text()]


def _register_with(server: Discovery, token: str, name: str) -> int:
    """The status."""
    request = urllib.request.Request(
        f"{server.http}/register",
        data=json.dumps({"name": name, "ip": "10.0.0.1", "port": 3001}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_nothing_that_was_answered_is_missing_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    answered = []
    for _ in range(3):
        with running(AUDIT_FILE=str(file), MAX_INSTANCES_PER_SERVICE=1000) as server:
            answered += [server.register("web", "10.0.0.1", port)["instance"]["id"] for port in range(1, 21)]
            server.stop(signal.SIGKILL)
    assert [line["instance"]["id"] for line in audited(file)] == answered


def test_when_the_disk_is_full_writes_go_on_and_their_lines_come_later(tmp_path: Path) -> None:
    """Read after the end, from the outside: the disk goes with the process that holds it."""
    with volume(tmp_path, "size=256k") as small:
        file = Path(f"/proc/{small.prefix[2]}/root{tmp_path}/audit.jsonl")
        inside = str(tmp_path / "audit.jsonl")
        with running(ROOT, small.prefix, AUDIT_FILE=inside, MAX_INSTANCES_PER_SERVICE=1000) as server:
            server.register("web", "10.0.0.1", 1)
            small.fill()
            for port in range(2, 41):  # 40 lines are more than the rest of a page
                server.register("web", "10.0.0.1", port)
            state = server.request("GET", "/stats").body["audit"]
            assert (state["writable"], state["lost"]) == (False, 0)
            assert "No space left" in state["reason"]
            until(lambda: "No space left" in str(listed(server, "audit_failing")))
            small.free()
            until(lambda: listed(server, "audit_failing") is None)
            until(
                lambda: len([line for line in server.log if "audit.jsonl cannot be written" in line]) == 2
            )  # it began, and ended
            server.register("web", "10.0.0.1", 41)
            assert server.stop() == 0
            assert [line["instance"]["port"] for line in audited(file)] == list(range(1, 42))

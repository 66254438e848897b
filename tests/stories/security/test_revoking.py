"""A token is revoked by the command line: refused from then on, also after `kill -9` and when the file still has it; and taken back."""

from __future__ import annotations

import hashlib
import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.live import At
from tests.stories.process import LIMIT, Discovery, running

ADMIN, DEPLOY = "dsc_admin-0123456789", "dsc_deploy-0123456789"
SHA256 = hashlib.sha256(DEPLOY.encode()).hexdigest()


def write_tokens(file: Path) -> None:
    rights = {"boss": (ADMIN, "admin = true"), "deploy": (DEPLOY, 'register = ["*"]')}
    file.write_text(
        "\n".join(
            f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n{right}'
            for name, (secret, right) in rights.items()
        )
    )


def refusal(server: Discovery, secret: str, path: str = "/services") -> str:
    """What a 401 says; empty when it is let in."""
    request = urllib.request.Request(server.http + path, headers={"Authorization": f"Bearer {secret}"})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            said = json.loads(error.read())
            return str(said["message"] if error.code == 401 else said)


def test_a_revoked_token_is_refused_after_kill_9_too_until_that_is_taken_back(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens.toml")
    settings: dict[str, Any] = {
        "DATA_DIR": str(tmp_path / "data"), "TOKENS_FILE": str(tmp_path / "tokens.toml"), "AUDIT_FILE": str(tmp_path / "audit"),
    }  # fmt: skip
    with running(**settings) as server:
        cli = At(server.http, DISCOVERY_TOKEN=ADMIN, TOKENS_FILE="")
        assert refusal(server, DEPLOY) == ""
        done = cli("token", "revoke", "deploy", "--everywhere")
        assert done.status == 0, done
        assert f"deploy [sha256 {SHA256}] is revoked on all nodes" in done.out
        assert "The token deploy was revoked at" in refusal(server, DEPLOY)
        assert cli("token", "revoke", "--sha256", SHA256) == done, "twice is as once"
        assert (
            "No token called nobody is in this node's TOKENS_FILE"
            in cli("token", "revoke", "nobody", "--everywhere").said
        )
        server.stop(signal.SIGKILL)
    with running(**settings) as server:
        assert "The token deploy was revoked at" in refusal(server, DEPLOY)
        cli = At(server.http, DISCOVERY_TOKEN=ADMIN)
        assert cli("token", "restore", SHA256).out == f"deploy [sha256 {SHA256}] is no longer revoked\n"
        assert refusal(server, DEPLOY) == ""
        assert "No revoked token has the SHA-256" in cli("token", "restore", SHA256).said
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    token = {"token": "deploy", "sha256": SHA256}
    assert [(line["action"], line["before"], line["after"]) for line in lines if line["outcome"] == "done"] == [
        ("revoke-token", None, token),
        ("restore-token", token, None),
    ]


def test_arguments_that_name_no_token_or_two_are_2(tmp_path: Path) -> None:
    cli = At("http://127.0.0.1:1")
    assert cli("token", "revoke").status == cli("token", "revoke", "a", "--sha256", SHA256).status == 2

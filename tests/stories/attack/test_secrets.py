"""A secret is known to who sends it and to nobody else: looked for wherever the server says anything."""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.attack.raw import ask, exchange
from tests.stories.dig import dig
from tests.stories.process import Discovery, running

# One in API_TOKEN, one whose hash is in TOKENS_FILE, one that nobody knows.
OWNER, DEPLOY, WRONG = "owner-2d1c7a9f5b3e8064", "deploy-90ab12cd34ef5678", "wrong-0f1e2d3c4b5a6978"
SECRETS = {"API_TOKEN": OWNER, "TOKENS_FILE": DEPLOY, "a wrong one": WRONG}
TOKENS = f"""[[token]]
name = "deploy"
sha256 = "{hashlib.sha256(DEPLOY.encode()).hexdigest()}"
register = ["web-*"]
"""
BODY = b'{"name": "web-1", "ip": "10.0.0.1", "port": 80}'


def traces(secret: str) -> list[str]:
    """The secret, and what it looks like to those who can read it all the same. Its hash, too: a guess could be tried on it."""
    return [secret, base64.b64encode(secret.encode()).decode().rstrip("="), hashlib.sha256(secret.encode()).hexdigest()]


@pytest.fixture(name="server", scope="module", params=["text", "json"])
def _server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    tokens = tmp_path_factory.mktemp("auth") / "tokens.toml"
    tokens.write_text(TOKENS)
    settings = {"API_TOKEN": OWNER, "TOKENS_FILE": str(tokens), "LOG_LEVEL": "debug", "LOG_FORMAT": request.param}
    with running(**settings) as server:
        yield server


def said(server: Discovery) -> dict[str, str]:
    """All that comes out of it, by where it comes from."""
    heard: dict[str, str] = {}
    lines = [
        "GET /stats",
        "GET /health",
        "GET /ready",
        "GET /openapi.json",
        "GET /services",
        "GET /changes",
        "GET /metrics",
        "GET /",
        "GET /admin",
    ]
    for name, secret in SECRETS.items():
        for scheme in ("Bearer", "bearer", "Basic", "Token"):
            shown = f"Authorization: {scheme} {secret}".encode()
            for line in (
                *lines,
                "POST /register",
                "POST /heartbeat",
                "DELETE /services/web-1",
                "POST /admin/clear",
                "TRACE /",
                "BREW /",
            ):
                body = BODY if line in ("POST /register", "POST /heartbeat") else b""
                answer = ask(server.port, line, shown, b"Content-Type: application/json", body=body)
                heard[f"{line} with {scheme} {name}"] = f"{answer.fields} {answer.body}"
        broken = f"GET /services HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {secret}\r\nBroken {secret}\r\n\r\n"
        heard[f"a broken head with {name}"] = exchange(server.port, broken.encode()).decode()
        twice = f"GET /services HTTP/1.1\r\nHost: a\r\nAuthorization: {secret}\r\nHost: {secret}\r\nAuthorization: x\r\n\r\n"
        heard[f"two of a field with {name}"] = exchange(server.port, twice.encode()).decode()
    for question in (("version.bind", "CH", "TXT"), ("id.server", "CH", "TXT"), ("svc.local", "IN", "TXT")):
        heard[" ".join(question)] = dig(server, *question, "+nsid").text
    process = Path(f"/proc/{server.process.pid}")
    heard["the command line"] = (process / "cmdline").read_text()
    for status in process.glob("task/*/comm"):
        heard[str(status)] = status.read_text()
    return heard


def test_no_secret_is_in_anything_that_it_says_or_writes(server: Discovery) -> None:
    heard = said(server) | {"output": "\n".join(server.output), "log": "\n".join(server.log)}
    assert "web-1" in heard["log"], "something was registered with them"
    assert "deploy" in heard["log"], "a token's name may be told"
    for where, text in heard.items():
        # TRACE and errors may repeat a path, never a header.
        for secret in SECRETS.values():
            assert not [trace for trace in traces(secret) if trace in text], where


def test_a_secret_in_the_wrong_place_is_not_repeated_by_an_error(server: Discovery) -> None:
    for field in (b"Content-Type: ", b"Content-Encoding: ", b"Expect: ", b"X-Api-Key: "):
        answer = ask(server.port, "POST /register", b"Authorization: Bearer " + OWNER.encode(), field + b"x", body=BODY)
        assert OWNER not in str(answer.body)


def test_a_bad_secret_at_the_start_is_not_told_either(tmp_path: Path) -> None:
    short = "short-5ecret"
    with pytest.raises(AssertionError) as failed, running(cwd=tmp_path, API_TOKEN=short):
        pass
    assert "API_TOKEN" in str(failed.value)
    assert short not in str(failed.value)
    bad = tmp_path / "tokens.toml"
    bad.write_text(f'[[token]]\nname = "x"\nsecret = "{OWNER}"\n')
    with pytest.raises(AssertionError) as failed, running(cwd=tmp_path, TOKENS_FILE=str(bad)):
        pass
    assert "tokens.toml" in str(failed.value)
    assert OWNER not in str(failed.value)


def test_a_token_works_while_nothing_of_it_is_told(server: Discovery) -> None:
    for secret, status in ((OWNER, 201), (DEPLOY, 201), (WRONG, 401)):
        answer = ask(
            server.port,
            "POST /register",
            f"Authorization: Bearer {secret}".encode(),
            b"Content-Type: application/json",
            body=BODY,
        )
        assert answer.status == status
        assert not re.search(re.escape(secret), urllib.parse.unquote(str(answer)))

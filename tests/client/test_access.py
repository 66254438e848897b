"""Which URLs, token and authority a client uses: arguments, then the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from discovery.client.access import DEFAULT_URL, Servers, Token
from discovery.client.errors import InvalidAddress, UnreadableToken


def test_without_anything_the_registry_is_on_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISCOVERY_URL", raising=False)
    assert list(Servers()) == [DEFAULT_URL]


def test_the_environment_names_several_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_URL", " http://a:1/ ,https://[::1]:2/registry/,")
    assert list(Servers()) == ["http://a:1", "https://[::1]:2/registry"]


def test_the_one_that_answered_last_is_asked_first() -> None:
    servers = Servers(["http://a", "http://b", "http://c"])
    servers.answered("http://b")
    assert list(servers) == ["http://b", "http://c", "http://a"]


@pytest.mark.parametrize(
    "text",
    ["", " , ", "a:3100", "ftp://a", "http://", "http://a:port", "http://a:99999", "http://[::1", "http://u:p@a", "http://a?b=c",
     "http://a\x1b[2J"],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anything_is_sent(text: str) -> None:
    with pytest.raises(InvalidAddress) as refusal:
        Servers(text)
    assert str(refusal.value).isprintable()


def test_a_password_in_the_address_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidAddress) as refusal:
        Servers("http://user:secret@a")
    assert "secret" not in str(refusal.value)


def test_a_token_from_a_file_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    token = Token(file=file)
    assert token.read() == "one"
    file.write_text("another\n")
    assert token.read() == "another"


def test_the_token_of_the_environment_wins_over_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file")
    monkeypatch.setenv("DISCOVERY_TOKEN_FILE", os.fspath(tmp_path / "token"))
    assert Token().read() == "from-file"
    monkeypatch.setenv("DISCOVERY_TOKEN", "from-variable")
    assert Token().read() == "from-variable"


def test_a_line_break_around_the_token_of_the_environment_is_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_TOKEN", " secret\r\n")
    assert Token().read() == "secret"


@pytest.mark.parametrize("token", ["a\nb", "a\rHost: b", "b\u00e4d", "\x1b[2J"])
def test_what_fits_no_header_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(UnreadableToken) as refusal:
        Token(token).read()
    assert "DISCOVERY_TOKEN" in str(refusal.value)
    assert token not in str(refusal.value)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"\xff\xfe"])
def test_a_token_file_that_has_no_token_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnreadableToken, match="token"):
        Token(file=file).read()

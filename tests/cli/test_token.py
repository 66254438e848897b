"""`discovery token new`: a secret that is shown once, and the block by which the server knows it again."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from discovery import cli
from discovery.core.caller import Grants
from discovery.plugins.auth.settings import MIN_SECRET
from discovery.plugins.auth.tokens import Token, Tokens, read
from tests.cli.live import At, discovery
from tests.client.servers import nobody
from tests.stories.process import running


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The secret and the block."""
    assert cli.main(["token", "new", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    secret = re.search(r"^The secret, shown only now: (\S+)$", captured.out, re.MULTILINE)
    assert secret
    return secret[1], captured.out.partition("For TOKENS_FILE:\n\n")[2]


def kept(tmp_path: Path, *blocks: str) -> list[Token]:
    """What the server reads of a file with these blocks, pasted one below the other."""
    file = tmp_path / "tokens.toml"
    file.write_text("\n".join(blocks))
    return read(file)


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What it says; no secret is shown."""
    assert cli.main(["token", "new", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def test_the_secret_opens_what_the_block_says_which_has_its_hash_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    secret, block = made(
        capsys, "deploy", "--register", "user-*", "--register", "billing", "--expires", "2027-01-31T00:00:00Z"
    )
    assert hashlib.sha256(secret.encode()).hexdigest() in block
    assert secret.removeprefix("dsc_") not in block
    [token] = tokens = kept(tmp_path, block)
    assert Tokens(tokens).find(secret) == token
    assert (token.name, token.grants) == ("deploy", Grants(("user-*", "billing")))
    assert token.expires == datetime(2027, 1, 31, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("arguments", "grants"),
    [
        ([], Grants()),
        (["--read"], Grants(read=True)),
        (["--admin"], Grants(admin=True)),
        (["--register", "*", "--read", "--admin"], Grants(("*",), read=True, admin=True)),
    ],
)
def test_a_token_has_the_rights_that_were_asked_for_and_no_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], grants: Grants
) -> None:
    [token] = kept(tmp_path, made(capsys, "a", *arguments)[1])
    assert token == Token("a", token.digest, grants, None)


def test_no_two_secrets_are_alike_each_has_256_bits_and_blocks_of_many_make_one_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pairs = [made(capsys, f"t{number}", "--register", f"service-{number}") for number in range(50)]
    assert len({secret for secret, _ in pairs}) == 50
    tokens = Tokens(kept(tmp_path, *(block for _, block in pairs)))
    for number, (secret, _) in enumerate(pairs):
        assert re.fullmatch(r"dsc_[A-Za-z0-9_-]{43}", secret), "43 characters of base64 are 256 bits"
        assert len(secret) >= MIN_SECRET
        token = tokens.find(secret)
        assert token is not None
        assert token.name == f"t{number}"


@pytest.mark.parametrize(
    "expires", ["2027-01-31", "2027-01-31T00:00:00", "2027-01-31 00:00+00:00", "2027-01-31T02:00:00+02:00"]
)
def test_an_end_may_be_a_day_or_a_time_in_any_zone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, expires: str
) -> None:
    [token] = kept(tmp_path, made(capsys, "a", "--expires", expires)[1])
    assert token.expires == datetime(2027, 1, 31, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a b"], "name"),
        ([""], "name"),
        (["a" * 64], "name"),
        (["a", "--register", "a.b"], "'a.b'"),
        (["a", "--register", ""], "register"),
        (["a", *["--register", "a"] * 101], "100"),
    ],
)
def test_what_could_not_be_read_back_is_said_and_makes_no_secret(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert said in failing(capsys, *arguments)


@pytest.mark.parametrize("arguments", [["token"], ["token", "new"], ["token", "old", "a"], ["token", "new", "a", "b"]])
def test_wrong_arguments_end_it_with_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main(arguments) == 2
    assert "dsc_" not in "".join(capsys.readouterr())


# -- in the file


def test_a_token_goes_into_the_file_and_its_secret_does_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens.toml"
    monkeypatch.setenv("TOKENS_FILE", str(file))
    assert cli.main(["token", "new", "deploy", "--register", "user-*"]) == 0
    said, err = capsys.readouterr()
    assert err == ""
    secret, _, told = said.partition("\n")
    secret = secret.removeprefix("The secret, shown only now: ")
    assert told == f"{file} knows it as deploy\n"
    assert secret not in file.read_text()
    assert Tokens(read(file)).find(secret) == read(file)[0]


def test_tokens_are_listed_and_revoked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOVERY_URL", nobody())
    file = ["--file", str(tmp_path / "tokens.toml")]
    cli.main(["token", "new", "ci", "--register", "a-*", "--register", "b", "--expires", "2027-01-31", *file])
    cli.main(["token", "new", "ops", "--admin", *file])
    capsys.readouterr()
    assert cli.main(["token", "list", *file]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "NAME  REGISTER  READ   ADMIN  EXPIRES                   STATE  LAST USED",
        "ci    a-*,b     false  false  2027-01-31T00:00:00.000Z",
        "ops             false  true",
    ]
    assert "which are revoked and when each was used last is not known: no registry answers" in said.err
    assert cli.main(["token", "revoke", "ci", *file]) == 0
    assert capsys.readouterr().out == f"ci is no longer in {file[1]}\n"
    assert cli.main(["token", "list", "-o", "name", *file]) == 0
    assert capsys.readouterr().out == "ops\n"
    assert cli.main(["token", "revoke", "ci", *file]) == 1
    assert "no token in it is called ci" in capsys.readouterr().err


def test_a_list_marks_what_has_expired_or_is_revoked_and_says_when_each_was_used(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.toml")
    secrets = {}
    for name, *more in (("ops", "--admin"), ("old", "--expires", "2020-01-31"), ("lost", "--admin"), ("idle",)):
        secrets[name] = discovery("token", "new", name, *more, "--file", file).out.split()[5]
    with running(tmp_path, TOKENS_FILE=file) as server:
        at = At(server.http, DISCOVERY_TOKEN=secrets["ops"])
        assert At(server.http, DISCOVERY_TOKEN=secrets["lost"])("get", "services").status == 0
        assert at("token", "revoke", "lost", "--everywhere", "--file", file).status == 0
        rows = {
            row["name"]: (row["state"], row["lastUsed"] is not None)
            for row in at("token", "list", "--file", file, "-o", "json").content
        }
    assert rows == {"ops": ("", True), "old": ("expired", False), "lost": ("revoked", True), "idle": ("", False)}


@pytest.mark.parametrize("command", [["list"], ["revoke", "a"]])
def test_without_a_file_there_is_nothing_to_look_at(
    capsys: pytest.CaptureFixture[str], command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENS_FILE", raising=False)
    assert cli.main(["token", *command]) == 2
    assert "TOKENS_FILE: is not set" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["tomorrow", "2d", "2027-02-30T00:00:00Z"])
def test_an_end_that_is_no_time_is_2_and_makes_no_secret(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert cli.main(["token", "new", "a", "--expires", text]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"--expires: {text!r} is no time" in captured.err

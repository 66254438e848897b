"""TOKENS_FILE: each rule of it, errors that name file and token and never a secret, and blocks that are read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from discovery.core.caller import Grants
from discovery.core.errors import DiscoveryError
from discovery.plugins.auth.tokens import MAX_PATTERNS, MAX_TOKENS, Token, Tokens, TokensError, block, digest, read

SECRET = "dsc_the-secret-of-the-tests"  # noqa: S105
SHA = digest(SECRET).hex()
GOOD = f'[[token]]\nname = "deploy"\nsha256 = "{SHA}"\n'


def refused(tmp_path: Path, text: str | bytes) -> str:
    """What is said of a file with that text."""
    file = tmp_path / "tokens.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TokensError) as caught:
        read(file)
    said = str(caught.value)
    assert said.startswith(f"TOKENS_FILE: {file}: ")
    assert "\n" not in said
    assert SECRET not in said
    assert SHA not in said
    return said


def tokens(tmp_path: Path, text: str) -> list[Token]:
    file = tmp_path / "tokens.toml"
    file.write_text(text)
    return read(file)


# -- what it may say


def test_a_block_with_a_name_and_a_hash_is_a_token_without_rights(tmp_path: Path) -> None:
    assert tokens(tmp_path, GOOD) == [Token("deploy", digest(SECRET), Grants(), None)]


def test_each_field_is_read(tmp_path: Path) -> None:
    text = GOOD + 'register = ["user-*", "Billing"]\nread = true\nadmin = true\nexpires = 2027-01-31T00:00:00Z\n'
    [token] = tokens(tmp_path, text)
    assert token.grants == Grants(("user-*", "billing"), read=True, admin=True)
    assert token.expires == datetime(2027, 1, 31, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["# nothing yet\n", "token = []\n"])
def test_a_file_without_tokens_is_a_file(tmp_path: Path, text: str) -> None:
    assert tokens(tmp_path, text) == []


def test_a_file_without_an_octet_is_one_that_is_being_written(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="is empty"):
        tokens(tmp_path, "")


def test_the_hash_may_be_in_capitals(tmp_path: Path) -> None:
    assert tokens(tmp_path, GOOD.replace(SHA, SHA.upper()))[0].digest == digest(SECRET)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))),
        ("2027-01-31T12:00:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),  # whatever zone the server is in
        ("2027-01-31 12:00:00.5", datetime(2027, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_token_is_in_its_zone_and_without_one_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, meant: datetime
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert tokens(tmp_path, f"{GOOD}expires = {written}\n")[0].expires == meant.timestamp()


def test_a_thousand_tokens_are_read_and_one_more_is_not(tmp_path: Path) -> None:
    blocks = [f'[[token]]\nname = "t{number}"\nsha256 = "{number:064x}"\n' for number in range(MAX_TOKENS + 1)]
    assert len(tokens(tmp_path, "".join(blocks[:MAX_TOKENS]))) == MAX_TOKENS
    assert "1001 tokens" in refused(tmp_path, "".join(blocks))


# -- what it may not


@pytest.mark.parametrize(
    "text",
    [b"[[token]\n", b"\xff\xfe", b'name = "unended\n', b"\0", f'{GOOD}{GOOD.partition(chr(10))[2]}'.encode()],
    ids=["bracket", "not-utf-8", "quote", "nul", "field-twice"],
)  # fmt: skip
def test_what_is_no_toml_is_said_with_its_place(tmp_path: Path, text: bytes) -> None:
    assert "is no TOML" in refused(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    ['[token]\nname = "a"\n', 'token = "a"\n', "token = [1]\n", f"other = 1\n{GOOD}", f"{GOOD}[server]\nport = 1\n"],
)
def test_there_is_nothing_but_blocks_of_tokens(tmp_path: Path, text: str) -> None:
    assert "[[token]]" in refused(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "nowhere.toml", tmp_path):
        with pytest.raises(TokensError, match=str(file)):
            read(file)


@pytest.mark.parametrize("line", ['secret = "x"', 'Register = ["a"]', "write = true"])
def test_an_unknown_field_is_named_with_those_there_are(tmp_path: Path, line: str) -> None:
    said = refused(tmp_path, f"{GOOD}{line}\n")
    assert line.partition(" ")[0] in said
    assert "token deploy" in said
    assert all(field in said for field in ("name", "sha256", "register", "read", "admin", "expires"))


def test_a_secret_where_its_hash_belongs_is_not_repeated(tmp_path: Path) -> None:
    said = refused(tmp_path, GOOD.replace(SHA, SECRET))
    assert "token deploy: sha256" in said
    refused(tmp_path, f'{GOOD}secret = "{SECRET}"\n')


@pytest.mark.parametrize("name", ['""', "7", '"-a"', '"a b"', '"a\\n"', '"a\\u001b[31m"', '"ä"', f'"{"a" * 64}"'])
def test_a_name_is_plain(tmp_path: Path, name: str) -> None:
    said = refused(tmp_path, GOOD + GOOD.replace('"deploy"', name))
    assert "token 2: name" in said
    assert said.isprintable()


def test_a_name_is_required(tmp_path: Path) -> None:
    assert "token 1: name" in refused(tmp_path, f'[[token]]\nsha256 = "{SHA}"\n')


NOT_BOOLEAN: list[str | None] = ['"true"', "1", "0", "[]", '"yes"']
BAD: dict[str, list[str | None]] = {
    "sha256": [None, "7", '""', '"abc"', f'"{"0" * 63}"', f'"{"0" * 65}"', f'"{"g" * 64}"', "true"],
    "read": NOT_BOOLEAN,
    "admin": NOT_BOOLEAN,
    "register": ['"user-*"', "true", "[1]", '[""]', '["a.b"]', '["a b"]', '["[ab]"]', '["ä*"]', f'["{"a" * 64}"]'],
    "expires": ['"2027-01-31T00:00:00Z"', "2027-01-31", "00:00:00", "1800000000", "false"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_a_field_that_is_not_as_it_should_be_is_named_with_its_token(
    tmp_path: Path, field: str, value: str | None
) -> None:
    hashed = GOOD if field != "sha256" else GOOD.partition("sha256")[0]
    line = "" if value is None else f"{field} = {value}\n"
    assert f"token deploy: {field}" in refused(tmp_path, hashed + line)


def test_a_hundred_patterns_are_taken_and_one_more_is_not(tmp_path: Path) -> None:
    patterns = [f'"service-{number}-*"' for number in range(MAX_PATTERNS + 1)]
    [token] = tokens(tmp_path, f"{GOOD}register = [{', '.join(patterns[:-1])}]\n")
    assert len(token.grants.register) == MAX_PATTERNS
    assert "at most 100" in refused(tmp_path, f"{GOOD}register = [{', '.join(patterns)}]\n")


@pytest.mark.parametrize(
    "second", [GOOD.replace(SHA, "0" * 64), GOOD.replace("deploy", "other"), GOOD.replace("deploy", "other").replace(SHA, SHA.upper())]
)  # fmt: skip
def test_names_and_secrets_are_there_once(tmp_path: Path, second: str) -> None:
    assert "twice" in refused(tmp_path, GOOD + second)


# -- finding


def test_a_token_is_found_by_its_secret_and_by_nothing_else() -> None:
    found = Tokens([Token(f"t{number}", digest(f"secret-{number}"), Grants()) for number in range(5)])
    for number in range(5):
        token = found.find(f"secret-{number}")
        assert token is not None
        assert token.name == f"t{number}"
    near = ["", "secret-", "secret-5", "Secret-0", "secret-0 ", "secret-0\0", "sécret-0", "t0", "\udcff"]
    assert [found.find(text) for text in (*near, digest("secret-0").hex())] == [None] * 10
    assert Tokens([]).find("") is None


@pytest.mark.parametrize(
    ("pattern", "owned", "foreign"),
    [
        ("user-*", ["user-", "user-service"], ["user", "a-user-service", "other"]),
        ("user-?", ["user-1"], ["user-", "user-12"]),
        ("*", ["a", "user-service"], []),
        ("billing", ["billing"], ["billing-2", "billin"]),
        ("User-*", ["user-service"], ["other"]),
    ],
)
def test_a_pattern_owns_what_it_matches_whole_and_without_case(
    tmp_path: Path, pattern: str, owned: list[str], foreign: list[str]
) -> None:
    [token] = tokens(tmp_path, f'{GOOD}register = ["{pattern}"]\n')
    assert [name for name in owned + foreign if token.grants.may_write(name)] == owned


# -- blocks


@pytest.mark.parametrize("register", [[], ["user-*"], ["a", "B?", "c*"]])
@pytest.mark.parametrize(("read_too", "admin"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("expires", [None, datetime(2027, 1, 31, 12, 30, 1), datetime(2027, 1, 31, tzinfo=UTC)])
def test_a_block_is_read_back_as_it_was_meant(
    tmp_path: Path, register: list[str], read_too: bool, admin: bool, expires: datetime | None
) -> None:
    made = block("deploy", digest(SECRET), register, read_too, admin, expires)
    other = block("other", digest("another secret"), [], False, False, None)
    [token, _] = tokens(tmp_path, made + "\n" + other)
    assert token.name == "deploy"
    assert token.digest == digest(SECRET)
    assert token.grants == Grants(tuple(pattern.lower() for pattern in register), read_too, admin)
    ends = None if expires is None else expires.replace(tzinfo=UTC).timestamp()
    assert token.expires == ends
    assert SECRET not in made


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'a"', "ä", "a" * 64])
def test_a_block_that_could_not_be_read_back_is_not_made(name: str) -> None:
    with pytest.raises(DiscoveryError):
        block(name, digest(SECRET), [], False, False, None)


@pytest.mark.parametrize("pattern", ["", "a b", "a.b", "ä", "a" * 64])
def test_nor_one_with_a_pattern_that_is_none(pattern: str) -> None:
    with pytest.raises(DiscoveryError, match="deploy"):
        block("deploy", digest(SECRET), [pattern], False, False, None)


def test_nor_one_with_too_many_patterns() -> None:
    with pytest.raises(DiscoveryError, match="at most 100"):
        block("deploy", digest(SECRET), ["a*"] * (MAX_PATTERNS + 1), False, False, None)

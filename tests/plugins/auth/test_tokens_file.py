"""The file of tokens, changed by program: what people wrote in it stays, and nobody ever sees half of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from discovery.plugins.auth.tokens import TokensError, block, digest, read
from discovery.plugins.auth.tokens_file import add, remove


def a_block(name: str) -> str:
    return block(name, digest(f"secret of {name}"), [f"{name}-*"], False, False, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def names(file: Path) -> list[str]:
    return [token.name for token in read(file)]


def test_a_file_that_is_missing_is_made_for_its_owner_alone(file: Path) -> None:
    add(file, a_block("a"))
    assert names(file) == ["a"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(file.parent) == [file.name]


def test_tokens_come_and_go_and_what_people_wrote_stays(file: Path) -> None:
    written = f"# Ours. Ask Zoe.\n\n# The pipeline.\n{a_block('ci')}\n  # indented\n\n# Spare.\n\n# Bob.\n{a_block('bob')}# the end\n"
    file.write_text(written)
    add(file, a_block("new"))
    assert names(file) == ["ci", "bob", "new"]
    assert file.read_text().startswith(written)
    remove(file, "bob")
    assert names(file) == ["ci", "new"]
    assert "# Bob." not in file.read_text()
    for kept in ("# Ours. Ask Zoe.", "# The pipeline.", "  # indented", "# Spare."):
        assert kept in file.read_text()


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_one_is_taken_out_wherever_it_stands(file: Path, name: str) -> None:
    for each in ("a", "b", "c"):
        add(file, a_block(each))
    remove(file, name)
    assert names(file) == [each for each in ("a", "b", "c") if each != name]


def test_the_last_one_leaves_a_file_that_is_still_one(file: Path) -> None:
    add(file, a_block("a"))
    remove(file, "a")
    assert names(file) == []
    add(file, a_block("b"))
    assert names(file) == ["b"]


def test_an_empty_file_takes_a_token(file: Path) -> None:
    file.touch()
    add(file, a_block("a"))
    assert names(file) == ["a"]


def test_mode_stays_and_a_link_stays_a_link(file: Path) -> None:
    target = file.with_name("elsewhere")
    add(target, a_block("a"))
    target.chmod(0o640)
    file.symlink_to(target)
    add(file, a_block("b"))
    assert file.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert names(target) == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(file: Path) -> None:
    os.chown(file.parent, 1234, 1235)
    add(file, a_block("a"))
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 1235)
    os.chown(file, 1, 2)
    add(file, a_block("b"))
    assert (file.stat().st_uid, file.stat().st_gid) == (1, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: add(file, a_block("a")), "there twice"),
        (lambda file: remove(file, "b"), "no token in it is called b"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(file: Path, change: object, said: str) -> None:
    add(file, a_block("a"))
    before = file.read_bytes()
    assert callable(change)
    with pytest.raises(TokensError, match=said):
        change(file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_a_token_that_stands_in_no_block_of_its_own_is_left_to_people(file: Path) -> None:
    one, other = (f'{{name = "{name}", sha256 = "{digest(name).hex()}"}}' for name in ("a", "b"))
    inline = f"token = [{one}, {other}]\n"
    file.write_text(inline)
    with pytest.raises(TokensError, match="by hand"):
        remove(file, "a")
    assert file.read_text() == inline


def test_a_change_that_is_under_way_or_was_cut_off_is_named(file: Path) -> None:
    add(file, a_block("a"))
    file.with_name("tokens.toml.new").touch()
    with pytest.raises(TokensError, match=r"if nobody is, remove .*tokens\.toml\.new"):
        add(file, a_block("b"))
    assert names(file) == ["a"]


@pytest.mark.parametrize("content", [b"\xff", b"[[token]]\nname = 1", b"nonsense"])
def test_a_broken_file_is_left_alone(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(TokensError):
        add(file, a_block("a"))
    with pytest.raises(TokensError):
        remove(file, "a")
    assert file.read_bytes() == content


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="No such file"):
        add(tmp_path / "missing" / "tokens.toml", a_block("a"))

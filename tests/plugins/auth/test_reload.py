"""TOKENS_FILE read again: by SIGHUP's `reload`, and when it changes on disk, however editors and orchestrators change files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from discovery.core.errors import Forbidden, Unauthorized
from discovery.plugins import Seams
from discovery.plugins.auth import Auth, make
from discovery.rest.guard.admission import anyone
from discovery.system.env import SettingsError
from tests.plugins.auth.house import ADMIN, FOREIGN, OWNER, SECRETS, House, bearer, written
from tests.routes import asked
from tests.store.making import START, a_registry
from tests.waiting import until

WRITE = ("POST", "/register")
LIMIT = 60.0


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "tokens.toml").write_text(written((OWNER,)))
    return House(tmp_path / "tokens.toml")


def warned(house: House) -> list[str]:
    assert house.auth._file is not None
    return list(house.auth._file.concern().check())


def knows(house: House, name: str) -> bool:
    try:
        return house.let_in(*WRITE, bearer(name)).name == name
    except (Forbidden, Unauthorized):
        return False


@asynccontextmanager
async def watching(house: House) -> AsyncIterator[None]:
    [file] = house.seams.files
    file.start()
    await asyncio.sleep(0)  # its task takes its first step, and the kernel is asked
    try:
        yield
    finally:
        await file.close()


# -- asked for


async def test_a_reload_lets_new_tokens_in_and_old_ones_out_at_once(house: House) -> None:
    assert knows(house, OWNER)
    assert not knows(house, FOREIGN)
    house.file.write_text(written((FOREIGN,)))
    assert knows(house, OWNER), "until it is read again"
    await house.seams.files[0].reload()
    assert not knows(house, OWNER), "what was remembered is forgotten"
    assert knows(house, FOREIGN)


async def test_rights_that_were_taken_away_are_gone(house: House) -> None:
    assert house.let_in(*WRITE, bearer(OWNER)).grants.may_write("web")
    house.file.write_text(written((OWNER,)).replace('"web", ', ""))
    await house.seams.files[0].reload()
    assert not house.let_in(*WRITE, bearer(OWNER)).grants.may_write("web")


@pytest.mark.parametrize("bad", ["[[token", written((OWNER, OWNER)), written((FOREIGN,)) + "other = 1\n", None])
async def test_a_bad_file_keeps_the_old_and_is_warned_of(house: House, bad: str | None) -> None:
    if bad is None:
        house.file.unlink()
    else:
        house.file.write_text(bad)
    await house.seams.files[0].reload()
    assert knows(house, OWNER)
    assert not knows(house, FOREIGN)
    [text] = warned(house)
    assert str(house.file) in text
    assert "stays in use" in text


async def test_a_good_one_after_it_counts(house: House) -> None:
    house.file.write_text("[[token")
    await house.seams.files[0].reload()
    house.file.write_text(written((OWNER, ADMIN)))
    await house.seams.files[0].reload()
    assert knows(house, ADMIN)


# -- seen


async def test_a_file_that_is_written_is_read_again(house: House) -> None:
    async with watching(house):
        house.file.write_text(written((OWNER, FOREIGN)))
        await until(lambda: knows(house, FOREIGN))
        house.file.write_text(written((FOREIGN,)))
        await until(lambda: not knows(house, OWNER))


async def test_one_that_is_replaced_by_another_name_too(house: House) -> None:
    """As editors do, and `mv`."""
    async with watching(house):
        for names in ((FOREIGN,), (OWNER, FOREIGN), (ADMIN,)):
            fresh = house.file.with_name("tokens.new")
            fresh.write_text(written(names))
            fresh.rename(house.file)
            await until(lambda names=names: all(knows(house, name) for name in names))  # type: ignore[misc]
        assert not knows(house, OWNER)


async def test_and_one_that_is_behind_a_link_which_is_swapped(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: tokens.toml → ..data/tokens.toml, ..data → a folder that is exchanged."""
    for number, names in enumerate([(OWNER,), (FOREIGN,)]):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "tokens.toml").write_text(written(names))
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "tokens.toml").symlink_to("..data/tokens.toml")
    house = House(tmp_path / "tokens.toml")
    async with watching(house):
        assert knows(house, OWNER)
        (tmp_path / "..next").symlink_to("..1")
        (tmp_path / "..next").rename(tmp_path / "..data")
        await until(lambda: knows(house, FOREIGN))
        assert not knows(house, OWNER)


async def test_one_that_went_away_and_comes_back_is_read_then(house: House) -> None:
    async with watching(house):
        house.file.unlink()
        await until(lambda: bool(warned(house)))
        assert knows(house, OWNER)
        house.file.write_text(written((FOREIGN,)))
        await until(lambda: knows(house, FOREIGN))


async def test_after_close_nothing_is_read(house: House) -> None:
    async with watching(house):
        pass
    house.file.write_text(written((FOREIGN,)))
    assert len(asyncio.all_tasks()) == 1, "the watch has ended"
    assert knows(house, OWNER)


# -- at start


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("API_TOKEN", "TOKENS_FILE", "REQUIRE_READ_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("bare")
def test_without_a_token_it_is_off_whatever_reading_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_READ_TOKEN", "true")
    seams = Seams()
    make(a_registry(), lambda: START).install(seams)
    assert not seams.authorize
    assert not seams.admits


@pytest.mark.usefixtures("bare")
def test_api_token_is_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "0123456789abcdef")
    auth = make(a_registry(), lambda: START)
    assert isinstance(auth, Auth)
    seams = Seams()
    auth.install(seams)
    assert seams.authorize, "nobody writes without a right to it"
    caller = auth.admit(anyone)(asked("POST", "/admin/clear", authorization="Bearer 0123456789abcdef"))
    assert (caller.name, caller.grants.admin) == ("API_TOKEN", True)


@pytest.mark.usefixtures("bare")
def test_both_kinds_count_and_a_reload_keeps_the_short_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tokens.toml").write_text(written((OWNER,)))
    monkeypatch.setenv("API_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("TOKENS_FILE", str(tmp_path / "tokens.toml"))
    auth = make(a_registry(), lambda: START)
    assert isinstance(auth, Auth)
    auth.install(seams := Seams())
    asyncio.run(seams.files[0].reload())
    admit = auth.admit(anyone)
    assert admit(asked(*WRITE, authorization="Bearer 0123456789abcdef")).name == "API_TOKEN"
    assert admit(asked(*WRITE, authorization=f"Bearer {SECRETS[OWNER]}")).name == OWNER


@pytest.mark.usefixtures("bare")
def test_a_bad_file_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tokens.toml").write_text("[[token")
    monkeypatch.setenv("TOKENS_FILE", str(tmp_path / "tokens.toml"))
    with pytest.raises(SettingsError, match=r"tokens\.toml"):
        make(a_registry(), lambda: START)


# -- API_TOKEN_FILE


@pytest.mark.parametrize("also", [False, True], ids=["alone", "beside TOKENS_FILE"])
async def test_the_one_secret_may_be_in_a_file_and_is_exchanged_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "secret"
    file.write_text("the-first-secret-of-all\n")
    monkeypatch.setenv("API_TOKEN_FILE", str(file))
    if also:
        (tmp_path / "tokens.toml").write_text(written((OWNER,)))
        monkeypatch.setenv("TOKENS_FILE", str(tmp_path / "tokens.toml"))
    auth = make(a_registry(), lambda: START)
    assert isinstance(auth, Auth)
    auth.install(seams := Seams())

    def known(secret: str) -> str | None:
        token = auth._tokens.find(secret)
        return None if token is None else token.name

    assert (known("the-first-secret-of-all"), known(SECRETS[OWNER])) == ("API_TOKEN", OWNER if also else None)
    file.write_text("the-second-secret-of-all")
    await seams.files[0].reload()
    assert (known("the-first-secret-of-all"), known("the-second-secret-of-all")) == (None, "API_TOKEN")
    file.write_text("short")
    await seams.files[0].reload()
    assert known("the-second-secret-of-all") == "API_TOKEN", "what was read before stays in use"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"short", "is too short"),
        (b"a-secret-that-is-long\nand-another", "more than one line"),
        (b"\xff" * 20, "no ASCII text"),
        (None, "no such file"),
    ],
)
def test_a_file_without_one_good_secret_ends_the_start_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("API_TOKEN_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match=f"API_TOKEN_FILE.*(?i:{why})") as caught:
        make(a_registry(), lambda: START)
    assert "a-secret-that" not in str(caught.value)


def test_the_secret_and_a_file_of_it_are_one_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_TOKEN", "x" * 20)
    monkeypatch.setenv("API_TOKEN_FILE", "secret")
    with pytest.raises(SettingsError, match="API_TOKEN, API_TOKEN_FILE"):
        make(a_registry(), lambda: START)

"""A revoked token is refused with a clear word, whatever the file says, also after the file has lost it."""

from __future__ import annotations

from pathlib import Path

from discovery.core.caller import NOBODY
from discovery.core.errors import Unauthorized
from discovery.plugins.auth.tokens import digest
from discovery.store.revoking import RestoreToken, RevokeToken
from tests.plugins.auth.house import ADMIN, OWNER, SECRETS, House, bearer, written
from tests.store.making import START, WALL


def revoke(house: House, who: str) -> None:
    house.registry.carry_out(RevokeToken(digest(SECRETS[who]), who, None, "asked"), START, WALL)


def test_it_is_refused_at_once_though_it_was_let_in_before(tmp_path: Path) -> None:
    house = House(tmp_path / "tokens.toml")
    house.let_in("POST", "/register", bearer(OWNER))
    revoke(house, OWNER)
    error = house.turned_away("POST", "/register", bearer(OWNER))
    assert isinstance(error, Unauthorized)
    assert str(error) == "The token owner was revoked at 2023-11-14T22:13:20+00:00; ask for a new one"
    assert "was revoked" in str(house.turned_away("GET", "/services", bearer(OWNER))), "reads too, which need none"
    house.let_in("POST", "/register", bearer(ADMIN))
    house.let_in("GET", "/health", bearer(OWNER))


async def test_it_says_so_too_when_it_is_in_no_file_any_more(tmp_path: Path) -> None:
    house = House(tmp_path / "tokens.toml")
    revoke(house, OWNER)
    house.file.write_text(written((ADMIN,)))
    await house.auth.reload()
    assert "The token owner was revoked" in str(house.turned_away("POST", "/register", bearer(OWNER)))
    assert "not known here" in str(house.turned_away("POST", "/register", bearer("reader")))


def test_it_is_taken_again_when_that_is_forgotten(tmp_path: Path) -> None:
    house = House(tmp_path / "tokens.toml")
    revoke(house, OWNER)
    house.turned_away("POST", "/register", bearer(OWNER))
    house.registry.carry_out(RestoreToken(digest(SECRETS[OWNER]), "asked"), START, WALL, NOBODY)
    assert house.let_in("POST", "/register", bearer(OWNER)).name == OWNER

"""The gate at the door: which right each kind of route takes, how a token is shown, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import Forbidden, Unauthorized
from discovery.plugins import auth as plugin
from discovery.plugins.auth.tokens import digest
from discovery.rest.api.errors import answer_to
from discovery.rest.api.route import Right
from discovery.rest.api.times import Times
from discovery.store.operations import RestoreToken, RevokeToken
from tests.plugins.auth.house import ADDRESS, ADMIN, FOREIGN, NONE, OLD, OWNER, READER, SECRETS, House, bearer, written
from tests.routes import asked
from tests.store.making import START, WALL

READ, WRITE, CLEAR = ("GET", "/services"), ("POST", "/register"), ("POST", "/admin/clear")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "tokens.toml")


@pytest.fixture
def closed(tmp_path: Path) -> House:
    """Reads take a token."""
    return House(tmp_path / "tokens.toml", reads_need_token=True)


# -- which right


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/health", Right.NONE), ("HEAD", "/ready", Right.NONE), ("POST", "/health", Right.NONE),
        ("GET", "/events", Right.READ), ("GET", "/changes", Right.READ),
        ("GET", "/services", Right.READ), ("HEAD", "/services", Right.READ), ("GET", "/", Right.NONE),
        ("GET", "/dns-query", Right.READ), ("POST", "/dns-query", Right.READ), ("GET", "/health/x", Right.READ),
        ("POST", "/register", Right.WRITE), ("PUT", "/instances", Right.WRITE), ("DELETE", "/services/a", Right.WRITE),
        ("OPTIONS", "/services", Right.WRITE), ("PATCH", "/stats", Right.WRITE), ("POST", "/dns-query/x", Right.WRITE),
        ("POST", "/admin/clear", Right.ADMIN), ("GET", "/admin/backup", Right.ADMIN), ("PUT", "/admin", Right.ADMIN),
        ("GET", "/top", Right.ADMIN), ("HEAD", "/top", Right.ADMIN), ("PUT", "/admin/log", Right.ADMIN),
        ("GET", "/metrics", Right.READ), ("GET", "/ui", Right.NONE), ("HEAD", "/ui/js/main.js", Right.NONE), ("GET", "/uix", Right.READ),
        ("POST", "/ui", Right.NONE), ("PUT", "/ui/js/main.js", Right.NONE),
        # found as the route is; the last two are no files of the page
        ("POST", "/%61dmin/clear", Right.ADMIN), ("GET", "/%61dmin/tokens", Right.ADMIN), ("GET", "/to%70", Right.ADMIN),
        ("GET", "/%2561dmin", Right.READ), ("GET", "/%75i/%2e%2e/services", Right.NONE), ("GET", "/ui/%2E./x", Right.NONE),
    ],
)  # fmt: skip
def test_a_route_takes_a_right_and_what_is_not_known_takes_more(method: str, path: str, right: Right) -> None:
    assert asked(method, path).route.right is right


# -- who has it


def outcome(house: House, way: tuple[str, str], who: str | None) -> int | str:
    """The status that turns it away, or the name of who was let in."""
    try:
        return house.let_in(*way, None if who is None else bearer(who)).name
    except (Forbidden, Unauthorized) as error:
        return status_of(error)


def status_of(error: Forbidden | Unauthorized) -> int:
    """As HTTP has it."""
    answer = answer_to(error, "a request", Times(lambda: 0.0, lambda: 0.0))
    assert ("WWW-Authenticate" in answer.headers) == isinstance(error, Unauthorized)
    return answer.status


def missing(error: Forbidden | Unauthorized) -> str:
    assert isinstance(error, Forbidden)
    assert repr(error.facts["missing"]) in str(error)
    return str(error.facts["missing"])


def test_reads_are_open_but_a_token_that_is_shown_must_be_one(house: House) -> None:
    assert outcome(house, READ, None) == ""
    assert [outcome(house, READ, who) for who in (OWNER, FOREIGN, READER, ADMIN, NONE)] == [
        OWNER, FOREIGN, READER, ADMIN, NONE,
    ]  # fmt: skip
    assert status_of(house.turned_away(*READ, "Bearer nonsense")) == 401


def test_or_they_take_the_right_to_read(closed: House) -> None:
    assert [outcome(closed, READ, who) for who in (None, READER, ADMIN, OWNER, NONE)] == [401, READER, ADMIN, 403, 403]
    assert missing(closed.turned_away(*READ, bearer(OWNER))) == "read"


@pytest.mark.parametrize("reads_need_token", [False, True])
def test_writes_take_some_pattern_or_an_admin(tmp_path: Path, reads_need_token: bool) -> None:
    house = House(tmp_path / "tokens.toml", reads_need_token)
    found = [outcome(house, WRITE, who) for who in (None, OWNER, FOREIGN, ADMIN, READER, NONE)]
    assert found == [401, OWNER, FOREIGN, ADMIN, 403, 403]  # whose service it is, the engine asks
    assert missing(house.turned_away(*WRITE, bearer(READER))) == "register"


def test_admin_takes_an_admin(house: House) -> None:
    assert [outcome(house, CLEAR, who) for who in (None, OWNER, READER, NONE, ADMIN)] == [401, 403, 403, 403, ADMIN]
    assert missing(house.turned_away(*CLEAR, bearer(OWNER))) == "admin"


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic YTpi", "Bearer"])
def test_health_is_for_all_whatever_they_show(closed: House, authorization: str | None) -> None:
    for path in ("/health", "/ready"):
        assert closed.let_in("GET", path, authorization) == Caller(ADDRESS)


def test_who_was_let_in_has_a_name_an_address_and_rights(house: House) -> None:
    caller = house.let_in(*WRITE, bearer(OWNER))
    assert (caller.address, caller.name) == (ADDRESS, OWNER)
    assert caller.grants.may_write("web-7")
    assert not caller.grants.may_write("other-1")
    assert SECRETS[OWNER] not in str(caller) + repr(caller)


# -- how it is shown


@pytest.mark.parametrize(
    "spelling", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "Bearer {}  ", "bEaReR {} "]
)
def test_the_scheme_is_without_case_and_blanks_do_not_count(house: House, spelling: str) -> None:
    assert house.let_in(*WRITE, spelling.format(SECRETS[OWNER])).name == OWNER


@pytest.mark.parametrize(
    "spelling",
    ["{}", "Basic {}", "Token {}", "Bearer{}", "Bearer:{}", "Bearer\t{}", "Bearer x{}", "Bearer {}x", "Bearer {} x",
     "Bearer {},Bearer {}", "", "Bearer", "Bearer ", "Bearer  "],
)  # fmt: skip
def test_other_spellings_are_no_token(house: House, spelling: str) -> None:
    error = house.turned_away(*WRITE, spelling.format(SECRETS[OWNER], SECRETS[OWNER]))
    answer = answer_to(error, "a request", Times(lambda: 0.0, lambda: 0.0))
    assert isinstance(answer.body, bytes)
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer "), "RFC 6750 §3"
    assert SECRETS[OWNER] not in str(error) + str(answer.body) + str(answer.headers)


def test_a_secret_that_is_no_text_is_none(house: House) -> None:
    for odd in ("\udcff\udcfe", "ä", "\0", "💥", "x" * 8000):
        assert status_of(house.turned_away(*WRITE, f"Bearer {odd}")) == 401


# -- when it ends


def test_it_ends_at_its_second_without_a_reload(house: House) -> None:
    ends = WALL + 10
    for now in (WALL, ends - 1, ends - 0.001):
        house.now = now
        assert house.let_in(*WRITE, bearer(OLD)).name == OLD
    for now in (ends, ends + 0.001, ends + 1e9):
        house.now = now
        error = house.turned_away(*WRITE, bearer(OLD))
        assert isinstance(error, Unauthorized)
        assert "token old expired at 2023-11-14T22:13:30Z" in str(error)
        assert status_of(house.turned_away(*READ, bearer(OLD))) == 401
    house.now = ends - 1  # the wall clock was set back
    assert house.let_in(*WRITE, bearer(OLD)).name == OLD


def test_one_that_had_ended_before_it_was_ever_shown_is_none(house: House) -> None:
    house.now = WALL + 11
    assert status_of(house.turned_away(*WRITE, bearer(OLD))) == 401


# -- when it is revoked, whatever the file says


def revoke(house: House, who: str) -> None:
    house.registry.carry_out(RevokeToken(digest(SECRETS[who]), who, None, "asked"), START, WALL)


def test_a_revoked_token_is_refused_at_once_though_it_was_let_in_before(house: House) -> None:
    house.let_in("POST", "/register", bearer(OWNER))
    revoke(house, OWNER)
    error = house.turned_away("POST", "/register", bearer(OWNER))
    assert isinstance(error, Unauthorized)
    assert str(error) == "The token owner was revoked at 2023-11-14T22:13:20Z; ask for a new one"
    assert "was revoked" in str(house.turned_away("GET", "/services", bearer(OWNER))), "reads too, which need none"
    house.let_in("POST", "/register", bearer(ADMIN))
    house.let_in("GET", "/health", bearer(OWNER))


async def test_a_revoked_token_is_told_so_too_when_it_is_in_no_file_any_more(house: House) -> None:
    revoke(house, OWNER)
    house.file.write_text(written((ADMIN,)))
    await house.seams.files[0].reload()
    assert "The token owner was revoked" in str(house.turned_away("POST", "/register", bearer(OWNER)))
    assert "not known here" in str(house.turned_away("POST", "/register", bearer("reader")))


def test_a_revoked_token_is_taken_again_when_that_is_forgotten(house: House) -> None:
    revoke(house, OWNER)
    house.turned_away("POST", "/register", bearer(OWNER))
    house.registry.carry_out(RestoreToken(digest(SECRETS[OWNER]), "asked"), START, WALL, NOBODY)
    assert house.let_in("POST", "/register", bearer(OWNER)).name == OWNER


# -- what is remembered


def counted(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a secret was hashed."""
    seen: list[str] = []
    find = house.auth._tokens.find

    def watched(secret: str) -> object:
        seen.append(secret)
        return find(secret)

    monkeypatch.setattr(house.auth._tokens, "find", watched)
    return lambda: len(seen)


def test_a_token_is_looked_up_once_a_spelling(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = counted(house, monkeypatch)
    for _ in range(5):
        house.let_in(*WRITE, bearer(OWNER))
        house.let_in(*WRITE, bearer(ADMIN))
    assert lookups() == 2


def test_what_strangers_show_is_not_remembered(house: House) -> None:
    for number in range(100):
        house.turned_away(*WRITE, f"Bearer {number}")
    assert not house.auth._remembered


def test_what_is_remembered_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One holder of a token can spell its header in many ways."""
    monkeypatch.setattr(plugin, "_MAX_REMEMBERED", 10)
    for blanks in range(1, 50):
        assert house.let_in(*WRITE, f"Bearer{' ' * blanks}{SECRETS[OWNER]}").name == OWNER
        assert len(house.auth._remembered) <= 10

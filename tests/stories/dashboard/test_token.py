"""The token box: where reading or acting takes a token, the page asks for it in the server's words, and keeps it in the tab alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.stories.dashboard.visits import Visits, is_live, row, type_token
from tests.stories.process import Discovery, running, until
from tests.stories.security.test_routes_and_tokens import ADMIN, RIGHT, SECRETS, WRONG, write_tokens


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    write_tokens(file, RIGHT, ADMIN)
    return file


@pytest.fixture(scope="module")
def open_reads(tokens: Path) -> Iterator[Discovery]:
    with running(TOKENS_FILE=str(tokens), HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        discovery.token = SECRETS[ADMIN]
        yield discovery


@pytest.fixture(scope="module")
def closed_reads(tokens: Path) -> Iterator[Discovery]:
    with running(TOKENS_FILE=str(tokens), REQUIRE_READ_TOKEN=True, HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        discovery.token = SECRETS[ADMIN]
        yield discovery


def kept(page: Page) -> str:
    everywhere = "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])"
    return str(page.evaluate(everywhere))


def test_where_reading_takes_a_token_a_wrong_one_is_told_and_the_right_one_shows_everything(
    visit: Visits, closed_reads: Discovery
) -> None:
    visit.faults.expect("status of 401")
    closed_reads.register("secret-service", "10.0.0.1")
    page = visit(closed_reads)
    box = page.get_by_role("dialog", name="Token")
    expect(box).to_be_visible()
    expect(page.get_by_text("secret-service")).to_have_count(0)
    type_token(page, SECRETS[WRONG])
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text("No access")
    expect(page.get_by_role("main")).not_to_contain_text("Loading")
    type_token(page, SECRETS[RIGHT])
    expect(row(page, "secret-service")).to_be_visible()
    is_live(page)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    expect(row(page, "secret-service")).to_be_visible()
    assert kept(page).count(SECRETS[RIGHT]) == 1
    assert SECRETS[WRONG] not in kept(page)
    other = visit(closed_reads)
    expect(other.get_by_role("dialog", name="Token")).to_be_visible()


def test_where_acting_takes_a_token_the_question_leads_to_the_box(visit: Visits, open_reads: Discovery) -> None:
    visit.faults.expect("status of 401", "status of 403")
    id = open_reads.register("watched", "10.0.0.1", 8080)["instance"]["id"]
    page = visit(open_reads, "view=service&service=watched")
    for token, said in ((SECRETS[RIGHT], "This takes a token"), (SECRETS[ADMIN], "has no right 'register:watched'")):
        _drain(page)
        question = page.get_by_role("dialog", name="Drain")
        expect(question.get_by_role("alert")).to_contain_text(said)
        question.get_by_role("button", name="Type a token").click()
        expect(question).to_have_count(0)
        expect(page.get_by_role("dialog", name="Token").get_by_role("alert")).to_contain_text(said)
        type_token(page, token)
        is_live(page)
    _drain(page)
    until(lambda: open_reads.request("GET", f"/instances/{id}").body["status"] == "draining")


def _drain(page: Page) -> None:
    row(page, "10.0.0.1:8080").get_by_role("button", name="Drain").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()


def test_a_token_can_be_changed_and_forgotten(visit: Visits, closed_reads: Discovery) -> None:
    visit.faults.expect("status of 401")
    closed_reads.register("web", "10.0.0.1")
    page = visit(closed_reads, token=SECRETS[RIGHT])
    expect(row(page, "web")).to_be_visible()
    page.get_by_role("banner").get_by_role("button", name="Token").click()
    with page.expect_request(lambda request: SECRETS[ADMIN] in request.headers.get("authorization", "")):
        type_token(page, SECRETS[ADMIN])
    is_live(page)
    closed_reads.register("later", "10.0.0.2")
    expect(row(page, "later")).to_be_visible()
    page.get_by_role("banner").get_by_role("button", name="Token").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("dialog", name="Token")).to_be_visible()
    assert "dsc_" not in kept(page)


def test_the_token_is_in_the_header_and_in_no_address(visit: Visits, closed_reads: Discovery) -> None:
    page = visit(closed_reads, token=SECRETS[RIGHT])
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.reload()
    is_live(page)
    assert addresses
    assert not [address for address in addresses if "dsc_" in address]

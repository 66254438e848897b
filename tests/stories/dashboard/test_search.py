"""One search narrows whatever is on the page, stands in the address, and is still there after a reload or for a colleague."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.stories.dashboard.visits import Visits
from tests.stories.process import Discovery, running


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        discovery.register("users", "10.0.0.1", 80, tags=["blue"], metadata={"owner": "identity"})
        discovery.register("users", "10.0.0.2", 80, tags=["green"])
        discovery.register("billing", "10.0.0.1", 81, zone="eu-1", metadata={"owner": "finance"})
        discovery.register("mail", "2001:db8::25", 25)
        yield discovery


def names(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("row").get_by_role("link")


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_services_are_found_by_whatever_they_say_of_themselves(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    for typed, found in (
        ("", ["billing", "mail", "users"]),
        ("users", ["users"]),
        ("10.0.0.1", ["billing", "users"]),
        ("owner=FINANCE", ["billing"]),
        ("green", ["users"]),
        ("eu-1 10.0.0.1:81", ["billing"]),
        ("2001:db8", ["mail"]),
        ("green eu-1", []),
    ):
        page.get_by_role("searchbox").fill(typed)
        expect(names(page)).to_have_text(found)
        assert query(page).get("q", [""]) == [typed]


def test_a_reload_and_a_colleague_see_the_same(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    page.get_by_role("searchbox").fill("identity")
    page.get_by_role("button", name="healthy").first.click()
    expect(names(page)).to_have_text(["users"])
    assert query(page) == {"q": ["identity"], "status": ["healthy"]}
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("identity")
    expect(names(page)).to_have_text(["users"])
    other = visit(server, urlsplit(page.url).query)
    expect(names(other)).to_have_text(["users"])


def test_nothing_found_says_what_was_looked_for_and_how_to_go_on(visit: Visits, server: Discovery) -> None:
    page = visit(server, "q=nobody-has-this")
    expect(page.get_by_role("main")).to_contain_text("nobody-has-this")
    page.get_by_role("button", name="Show everything").click()
    expect(names(page)).to_have_text(["billing", "mail", "users"])


def test_hosts_and_the_feed_are_narrowed_too(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=hosts")
    hosts = page.get_by_role("main").get_by_role("row").get_by_role("rowheader").or_(names(page))
    expect(hosts.filter(has_text="10.0.0.2")).to_have_count(1)
    page.get_by_role("searchbox").fill("finance")
    expect(page.get_by_role("main")).to_contain_text("10.0.0.1")
    expect(page.get_by_role("main")).not_to_contain_text("10.0.0.2")
    page.get_by_role("navigation").get_by_role("link", name="Feed").click()
    assert query(page) == {"view": ["feed"], "q": ["finance"]}, "what is searched for goes along"
    server.register("unrelated", "10.0.0.9", 90)
    server.register("related", "10.0.0.9", 91, metadata={"owner": "finance"})
    feed = page.get_by_role("main")
    expect(feed).to_contain_text("10.0.0.9:91")
    expect(feed).not_to_contain_text("unrelated")
    page.get_by_role("searchbox").fill("")
    expect(feed).to_contain_text("unrelated")
    for name in ("unrelated", "related"):
        server.request("DELETE", f"/services/{name}")


def test_the_browsers_back_and_forward_lead_through_the_screens(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    names(page).filter(has_text="users").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("users")
    page.go_back()
    expect(names(page)).to_have_text(["billing", "mail", "users"])
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_contain_text("users")


@pytest.mark.parametrize(
    "address", ["sort=valueOf&status=constructor,healthy", "view=__proto__&__proto__=x&sort=__proto__"]
)
def test_words_that_mean_something_to_a_script_mean_nothing_in_the_address(
    visit: Visits, server: Discovery, address: str
) -> None:
    expect(names(visit(server, address))).to_have_text(["billing", "mail", "users"])


def test_the_case_of_a_name_in_the_address_does_not_matter(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=service&service=USERS")
    expect(page.get_by_role("heading", name="users", level=1)).to_be_visible()
    expect(page.get_by_role("table", name="Instances")).to_contain_text("10.0.0.2:80")

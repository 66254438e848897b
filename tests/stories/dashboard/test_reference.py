"""The page /docs as a person uses it: reads it, tries a route, shows a token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.routes import OPERATIONS
from tests.stories.dashboard.axe import violations
from tests.stories.dashboard.visits import DESKTOP, PHONE, Scheme, Visits
from tests.stories.process import running

TOKENS: Any = {"API_TOKEN": "a-secret-of-the-tests", "REQUIRE_READ_TOKEN": "true"}
BODY = {"name": "user-service", "ip": "10.0.0.7", "port": 3001, "ttl": 600}


def opened(page: Page, operation: str) -> Locator:
    """The block of an operation, ready to be tried."""
    block = page.locator(f"[id^=operations-][id$=-{operation}]")
    block.locator(".opblock-summary-control").click()
    return block


def tried(block: Locator) -> tuple[int, Any]:
    """The status, and the JSON that is shown."""
    block.locator(".execute").click()
    answer = block.locator(".live-responses-table .response")
    expect(answer).to_have_count(1)
    return int(answer.locator(".response-col_status").inner_text().split()[0]), json.loads(
        answer.locator(".highlight-code pre").first.inner_text()
    )


def show_token(page: Page, secret: str) -> None:
    page.locator(".auth-wrapper .authorize").first.click()
    page.locator(".modal-ux input").fill(secret)
    page.get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux .btn-done").click()


def test_every_route_is_on_it_and_can_be_tried_without_a_token(visit: Visits) -> None:
    with running(DATA_DIR="") as server:
        page = visit(server, at="/docs")
        of_tokens = [path for _, path in OPERATIONS if path.endswith(("{token}", "{sha256}"))]  # there are none
        expect(page.locator(".opblock")).to_have_count(len(OPERATIONS) - len(of_tokens))
        register = opened(page, "post_register")
        register.locator("textarea").fill(json.dumps(BODY))
        status, said = tried(register)
        assert (status, said["instance"]["name"]) == (201, "user-service")
        status, said = tried(opened(page, "get_services"))
        assert (status, said["totalInstances"]) == (200, 1)


def test_it_works_below_a_path_of_a_proxy(visit: Visits) -> None:
    with running(DATA_DIR="") as server:
        page = visit(server, at="/docs")
        page.route("**/registry/**", lambda route: route.fulfill(response=route.fetch(url=behind(route.request.url))))
        page.goto("/registry/docs")
        with page.expect_request("**/registry/services"):
            assert tried(opened(page, "get_services"))[0] == 200


def behind(url: str) -> str:
    return url.replace("/registry/", "/")


def test_a_token_of_its_authorize_box_is_sent_and_forgotten_with_the_page(visit: Visits) -> None:
    with running(DATA_DIR="", **TOKENS) as server:
        page = visit(server, at="/docs")
        visit.faults.expect("401")  # the browser tells of each in its console
        services = opened(page, "get_services")
        assert tried(services)[0] == 401
        show_token(page, TOKENS["API_TOKEN"])
        services.get_by_role("button", name="Clear").click()
        assert tried(services)[0] == 200
        register = opened(page, "post_register")
        register.locator("textarea").fill(json.dumps(BODY))
        assert tried(register)[0] == 201
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        assert tried(opened(page, "get_services"))[0] == 401


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing(visit: Visits, size: tuple[int, int], scheme: Scheme) -> None:
    """One route is about to be tried, another has been, and the token is asked for."""
    with running(DATA_DIR="") as server:
        page = visit(server, at="/docs", size=size, scheme=scheme)
        opened(page, "post_register")
        assert tried(opened(page, "get_services"))[0] == 200
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator(".auth-wrapper .authorize").first.click()
        assert violations(page) == ""

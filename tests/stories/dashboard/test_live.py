"""What happens is seen without a reload: services come and go, fall silent, drain; the server goes and comes back under the page."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ports import free_port
from tests.stories.dashboard.visits import Visits, hide, is_live, row, type_token
from tests.stories.process import Discovery, running, until


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    """Its services are told apart by their names."""
    with running(CLEANUP_INTERVAL_SECONDS=6, HEARTBEAT_TIMEOUT_SECONDS=600, BRAKE_PROBE="false") as discovery:
        yield discovery


def watchers(server: Discovery) -> int:
    return int(server.request("GET", "/stats").body["watchers"]["now"])


def test_who_registers_appears_and_who_deregisters_goes(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    is_live(page)
    server.register("newcomer", "10.0.0.1")
    expect(row(page, "newcomer")).to_contain_text("1 of 1")
    server.register("newcomer", "10.0.0.2")
    expect(row(page, "newcomer")).to_contain_text("2 of 2")
    server.request("DELETE", "/services/newcomer")
    expect(row(page, "newcomer")).to_have_count(0)


def test_who_falls_silent_turns_and_then_goes(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    server.register("mortal", "10.0.0.1")
    expect(row(page, "mortal")).to_contain_text("1 of 1")
    server.register("mortal", "10.0.0.1", ttl=1)
    expect(row(page, "mortal")).to_contain_text("1 unhealthy")
    expect(row(page, "mortal")).to_have_count(0)


def test_what_changed_before_the_page_was_opened_is_known(visit: Visits, server: Discovery) -> None:
    server.register("older", "10.0.0.1")
    time.sleep(1.1)  # so that it is older than what comes
    server.register("younger", "10.0.0.1")
    page = visit(server, "sort=changed")
    is_live(page)
    expect(row(page, "older")).to_contain_text(re.compile(r"\d s ago"))
    both = page.get_by_role("main").get_by_role("row").get_by_role("link", name=re.compile("^(older|younger)$"))
    expect(both).to_have_text(["younger", "older"])
    for name in ("older", "younger"):
        server.request("DELETE", f"/services/{name}")


def test_the_brake_is_told_over_every_screen_while_it_holds(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    is_live(page)
    banner = page.get_by_role("region", name="Brake")
    expect(banner).to_have_count(0)
    crowd = [{"name": "crowd", "ip": f"10.1.0.{number}", "port": 80} for number in range(1, 7)]
    server.register_together([each | {"ttl": 1} for each in crowd])
    expect(banner.get_by_role("alert")).to_have_text("The brake holds 6 instances of 1 service")
    expect(row(page, "crowd")).to_contain_text("6 suspect")
    page.get_by_role("link", name="Hosts").click()
    banner.get_by_role("link", name="crowd").click()
    expect(page.get_by_role("heading", name="crowd")).to_be_visible()
    server.register_together([each | {"ttl": 600} for each in crowd])
    expect(banner).to_have_count(0)
    server.register_together([{"name": "old", "ip": "10.1.0.9", "port": 80, "ttl": 1, "hold": 600}])
    expect(banner.get_by_role("alert")).to_have_text("1 instance of 1 service is suspect")
    expect(banner).to_contain_text("1 is held after its lease, as its registration asks.")
    expect(banner).not_to_contain_text("a node that this one does not hear")
    server.request("DELETE", "/services/old")
    expect(banner).to_have_count(0)


def test_a_hidden_page_lets_go_of_the_stream_and_has_what_it_missed_when_it_is_seen_again(
    visit: Visits, server: Discovery
) -> None:
    until(lambda: watchers(server) == 0)  # of the stories before
    page = visit(server)
    is_live(page)
    until(lambda: watchers(server) == 1)
    hide(page)
    until(lambda: watchers(server) == 0)
    server.register("missed", "10.0.0.1")
    hide(page, False)
    expect(row(page, "missed")).to_be_visible()
    until(lambda: watchers(server) == 1)
    page.close()
    until(lambda: watchers(server) == 0)


def test_a_table_that_is_no_longer_shown_is_let_go(visit: Visits, server: Discovery) -> None:
    """Each token may see other things, and so everything is read anew for it."""
    server.register("seen", "10.0.0.1")
    page = visit(server)
    for token in ("one", "another", "a third"):
        expect(row(page, "seen")).to_be_visible()
        page.get_by_role("button", name="Token").click()
        with page.expect_response("**/maintenance"):  # the last that is read
            type_token(page, token)
        is_live(page)
    assert objects(page, "ui/js/table.js", "Table") == 1


def objects(page: Page, module: str, kind: str) -> int:
    """How many of a class there are in the page, after a collection."""
    session = page.context.new_cdp_session(page)
    asked = {"expression": f"import('./{module}').then(found => found.{kind}.prototype)", "awaitPromise": True}
    prototype = session.send("Runtime.evaluate", asked)["result"]["objectId"]
    found = session.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    count = {"objectId": found, "functionDeclaration": "function () { return this.length; }", "returnByValue": True}
    return int(session.send("Runtime.callFunctionOn", count)["result"]["value"])


def test_a_server_that_starts_again_under_the_page_is_followed_without_a_reload(visit: Visits, tmp_path: Path) -> None:
    port = free_port()
    settings: dict[str, Any] = {"PORT": port, "DATA_DIR": str(tmp_path), "HEARTBEAT_TIMEOUT_SECONDS": 600}
    visit.faults.expect("net::ERR_")
    with running(**settings) as server:
        server.register("kept", "10.0.0.1")
        page = visit(server)
        expect(row(page, "kept")).to_be_visible()
        page.evaluate("window.sinceTheStart = true")
        assert server.stop() == 0
    expect(page.get_by_role("banner")).to_contain_text("Server gone")
    expect(row(page, "kept")).to_be_visible()
    with page.expect_request("**/events"):
        page.get_by_role("button", name="Try now").click()
    with running(**settings) as server:
        is_live(page)
        server.register("after", "10.0.0.1")
        expect(row(page, "after")).to_be_visible()
        expect(row(page, "kept")).to_be_visible()
        server.request("DELETE", "/services/kept")
        expect(row(page, "kept")).to_have_count(0)
    assert page.evaluate("window.sinceTheStart")
    with running(**settings | {"DATA_DIR": ""}) as server:  # another life: it knows nothing of the one before
        is_live(page)
        expect(row(page, "after")).to_have_count(0)
        server.register("anew", "10.0.0.1")
        expect(row(page, "anew")).to_be_visible()

"""What can be done on the page: each with a question that says what clients will see, and done as the API does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.stories.dashboard.visits import Visits, is_live, row
from tests.stories.dig import dig
from tests.stories.process import Discovery, running, until


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    """Each story has a service of its own."""
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        yield discovery


def asked(page: Page, title: str) -> Locator:
    dialog = page.get_by_role("dialog", name=re.compile(title))
    expect(dialog).to_be_visible()
    return dialog


def status_of(server: Discovery, id: str) -> str:
    return str(server.request("GET", f"/instances/{id}").body["status"])


def service_with_two(server: Discovery, name: str) -> list[str]:
    return [server.register(name, f"10.0.0.{number}", 8080)["instance"]["id"] for number in (1, 2)]


def test_drain_says_what_clients_will_see_and_when_it_is_safe_to_stop(visit: Visits, server: Discovery) -> None:
    first, _ = service_with_two(server, "drained")
    page = visit(server, "view=service&service=drained")
    line = row(page, "10.0.0.1:8080")
    line.get_by_role("button", name="Drain 10.0.0.1:8080").click()
    dialog = asked(page, "Drain 10.0.0.1:8080 of drained")
    expect(dialog).to_contain_text("1 instance of drained stays in them")
    expect(dialog).to_contain_text("DNS caches may still hand it out for up to 5 s")
    dialog.get_by_role("button", name="Drain").click()
    expect(line).to_contain_text("draining")
    expect(page.get_by_text(re.compile(r"After \d\d:\d\d:\d\d no DNS cache holds it"))).to_be_visible()
    assert status_of(server, first) == "draining"
    assert dig(server, "drained.svc.local").rdata == {"10.0.0.2"}

    line.get_by_role("button", name="Undrain 10.0.0.1:8080").click()
    asked(page, "Undrain").get_by_role("button", name="Undrain").click()
    expect(line.get_by_text("healthy")).to_be_visible()
    assert status_of(server, first) == "healthy"


def test_draining_the_last_one_is_said_to_leave_nobody(visit: Visits, server: Discovery) -> None:
    server.register("lonely", "10.0.0.1", 8080)
    page = visit(server, "view=service&service=lonely")
    row(page, "10.0.0.1:8080").get_by_role("button", name="Drain").click()
    dialog = asked(page, "Drain")
    expect(dialog).to_contain_text("Nobody is left in the answers: DNS says NODATA")
    dialog.get_by_role("button", name="Drain").click()
    expect(dialog).to_have_count(0)
    assert dig(server, "lonely.svc.local").status == "NOERROR"
    assert not dig(server, "lonely.svc.local").answer


def test_maintenance_of_one_and_of_all_with_a_reason_and_its_end(visit: Visits, server: Discovery) -> None:
    service_with_two(server, "maintained")
    page = visit(server, "view=service&service=maintained")
    row(page, "10.0.0.1:8080").get_by_role("button", name="Maintenance of 10.0.0.1:8080").click()
    dialog = asked(page, "Take 10.0.0.1:8080 of maintained into maintenance")
    dialog.get_by_role("button", name="Begin").click()  # the browser asks for the reason
    expect(dialog).to_be_visible()
    dialog.get_by_label("Reason").fill("new disks")
    dialog.get_by_role("combobox", name="For").select_option("15 minutes")
    dialog.get_by_role("button", name="Begin").click()
    expect(row(page, "10.0.0.1:8080")).to_contain_text("maintenance")
    [window] = server.request("GET", "/maintenance").body["windows"]
    assert (window["ip"], window["reason"]) == ("10.0.0.1", "new disks")

    page.get_by_role("button", name="Maintenance", exact=True).click()
    dialog = asked(page, "Take all of maintained into maintenance")
    expect(dialog).to_contain_text("Nobody is left in the answers")
    dialog.get_by_label("Reason").fill("the whole rack")
    dialog.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("main")).to_contain_text("the whole rack")
    assert not dig(server, "maintained.svc.local").answer

    page.get_by_role("button", name="End maintenance", exact=True).click()
    asked(page, "End the maintenance of all of maintained").get_by_role("button", name="End it").click()
    until(lambda: dig(server, "maintained.svc.local").rdata == {"10.0.0.2"})
    row(page, "10.0.0.1:8080").get_by_role("button", name="End maintenance of 10.0.0.1:8080").click()
    asked(page, "End the maintenance of 10.0.0.1:8080").get_by_role("button", name="End it").click()
    until(lambda: dig(server, "maintained.svc.local").rdata == {"10.0.0.1", "10.0.0.2"})
    assert server.request("GET", "/maintenance").body["windows"] == []


def test_deregister_one_and_then_all(visit: Visits, server: Discovery) -> None:
    first, _ = service_with_two(server, "dismissed")
    page = visit(server, "view=service&service=dismissed")
    row(page, "10.0.0.1:8080").get_by_role("button", name="Deregister 10.0.0.1:8080").click()
    dialog = asked(page, "Deregister 10.0.0.1:8080 of dismissed")
    expect(dialog).to_contain_text("No late heartbeat brings it back")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert status_of(server, first) == "healthy", "whoever cancels has done nothing"
    row(page, "10.0.0.1:8080").get_by_role("button", name="Deregister").click()
    asked(page, "Deregister").get_by_role("button", name="Deregister").click()
    expect(row(page, "10.0.0.1:8080").get_by_role("button", name="Deregister")).to_have_count(0)
    assert server.request("GET", f"/instances/{first}").status == 404
    page.get_by_role("button", name="Deregister all").click()
    asked(page, "Deregister all 1 of dismissed").get_by_role("button", name="Deregister").click()
    expect(page.get_by_role("main")).to_contain_text("Nobody is registered as dismissed")
    assert dig(server, "dismissed.svc.local").status == "NXDOMAIN"


def test_what_the_server_refuses_is_said_in_its_words_and_the_question_stays(visit: Visits, server: Discovery) -> None:
    first, _ = service_with_two(server, "refused")
    page = visit(server, "view=service&service=refused")
    visit.faults.expect("404")
    row(page, "10.0.0.1:8080").get_by_role("button", name="Drain").click()
    dialog = asked(page, "Drain")
    page.route(
        f"**/instances/{first}/drain", lambda route: route.continue_(url=f"{server.http}/instances/nobody/drain")
    )
    dialog.get_by_role("button", name="Drain").click()
    expect(dialog.get_by_role("alert")).to_contain_text("nobody")
    expect(dialog).to_be_visible()


def test_a_keyboard_is_enough_for_a_drain(visit: Visits, server: Discovery) -> None:
    first, _ = service_with_two(server, "typed")
    page = visit(server)
    is_live(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("typed")
    link = page.get_by_role("main").get_by_role("row").get_by_role("link", name="typed")
    tab_to(page, link)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("typed")
    page.keyboard.press("/")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    drain = page.get_by_role("button", name="Drain 10.0.0.1:8080")
    tab_to(page, drain)
    assert outlined(page), "where the keyboard is can be seen"
    page.keyboard.press("Enter")
    dialog = asked(page, "Drain")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(drain).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, asked(page, "Drain").get_by_role("button", name="Drain"))
    page.keyboard.press("Enter")
    until(lambda: status_of(server, first) == "draining")
    expect(page.get_by_role("button", name="Undrain 10.0.0.1:8080")).to_be_focused()


def tab_to(page: Page, wanted: Locator) -> None:
    expect(wanted).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"sixty tabs do not lead to {wanted}")


def outlined(page: Page) -> bool:
    width = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    return bool(width != "none")

"""A service's own screen: what others do to it is seen, where nobody has it that is said, and its lines work in a terminal."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.stories.dashboard.visits import Visits, row
from tests.stories.process import LIMIT, Discovery, running


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        yield discovery


def test_what_others_do_is_seen_on_the_services_own_screen(visit: Visits, server: Discovery) -> None:
    id = server.register("worked-on", "10.0.0.1", 8080)["instance"]["id"]
    page = visit(server, "view=service&service=worked-on")
    line = row(page, "10.0.0.1:8080")
    expect(line).to_contain_text("healthy")
    server.request("PUT", f"/instances/{id}/drain")
    expect(line).to_contain_text("draining")
    server.request("DELETE", f"/instances/{id}/drain")
    expect(line).to_contain_text("healthy")
    server.request("PUT", "/services/worked-on/maintenance", {"reason": "a new disk", "seconds": 600})
    expect(line).to_contain_text("maintenance")
    expect(page.get_by_role("main")).to_contain_text("a new disk")
    server.request("DELETE", "/services/worked-on")
    expect(page.get_by_role("main")).to_contain_text("Nobody is registered as worked-on")


def test_every_check_of_an_instance_is_listed_with_what_it_says(visit: Visits, server: Discovery) -> None:
    checks = [
        {"id": "db-pool", "name": "DB pool", "ttl": 600, "criticalAfter": 3600},
        {"id": "queue", "ttl": 600, "group": "b"},
    ]
    body = {"name": "checked", "ip": "10.0.0.1", "port": 8080, "id": "checked-1", "checks": checks}
    server.request("PUT", "/instances", body)
    server.request("PUT", "/instances/checked-1/checks/queue", {"health": "passing"})
    page = visit(server, "view=service&service=checked&instance=checked-1")
    card = page.locator("section", has_text="Checks")
    expect(card).to_contain_text("DB pool")
    expect(card).to_contain_text("nothing was reported yet")
    expect(card).to_contain_text("queuepassing")
    expect(card).to_contain_text("group b")


def test_a_service_that_nobody_has_is_said_to_be_unknown(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=service&service=nobody")
    expect(page.get_by_role("main")).to_contain_text("Nobody is registered as nobody")
    server.register("nobody", "10.0.0.1", 8080)
    expect(page.get_by_role("main")).to_contain_text("10.0.0.1:8080")


def test_the_lines_to_copy_ask_this_server_and_are_answered(visit: Visits, server: Discovery) -> None:
    server.register("copied", "10.0.0.7", 8080)
    page = visit(server, "view=service&service=copied")
    expect(page.get_by_text(f"-p {server.dns_port} copied.svc.local").first).to_be_visible()
    lines = page.get_by_role("main").locator("pre").all_inner_texts()
    assert len(lines) >= 3
    for line in lines:
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=LIMIT, check=True)  # noqa: S602
        assert "10.0.0.7" in done.stdout, line


def test_a_line_is_copied_as_it_stands(visit: Visits, server: Discovery) -> None:
    server.register("copied", "10.0.0.7", 8080)
    page = visit(server, "view=service&service=copied")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=re.compile("^Copy")).first.click()
    expect(page.get_by_role("button", name=re.compile("^Cop")).first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.get_by_role("main").locator("pre").first.inner_text()


def test_heartbeats_age_and_the_reason_is_said(visit: Visits, server: Discovery) -> None:
    id = server.register("aging", "10.0.0.8", 8080)["instance"]["id"]
    page = visit(server, "view=service&service=aging")
    line = row(page, "10.0.0.8:8080")
    expect(line).to_contain_text("its lease runs")
    server.request("PUT", f"/instances/{id}/drain")
    expect(line).to_contain_text("it is draining, 127.0.0.1 asked for it")
    expect(line).to_contain_text(re.compile(r"[4-9] s ago"))
    server.heartbeat("aging", "10.0.0.8", 8080)
    expect(line).to_contain_text(re.compile(r"(?<!\d)[0-3] s ago"))  # it is asked every 2 s
    page.get_by_role("main").get_by_role("link", name="10.0.0.8:8080").first.click()
    expect(page.get_by_role("main")).to_contain_text(id)


def test_its_timeline_has_what_happened_and_goes_on(visit: Visits, server: Discovery) -> None:
    id = server.register("storied", "10.0.0.9", 8080)["instance"]["id"]
    page = visit(server, "view=service&service=storied")
    timeline = page.get_by_role("table", name="What happened")
    server.request("PUT", f"/instances/{id}/drain")
    expect(timeline).to_contain_text("draining")
    server.request("DELETE", "/services/storied")
    expect(timeline).to_contain_text("deregistered")

"""The screens for who runs the server: DNS, maintenance, load, nodes, access. What they show is what the server says, and acts on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.stories.dashboard.visits import Visits, is_live
from tests.stories.process import Discovery, running, until

ADMIN, OWNER = "dsc_admin-of-the-stories", "dsc_owner-of-web-alone"
HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[31m"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    folder = tmp_path_factory.mktemp("operating")
    digests = {
        name: hashlib.sha256(secret.encode()).hexdigest() for name, secret in {"admin": ADMIN, "owner": OWNER}.items()
    }
    (folder / "tokens.toml").write_text(
        f'[[token]]\nname = "admin"\nsha256 = "{digests["admin"]}"\nadmin = true\n'
        f'[[token]]\nname = "owner"\nsha256 = "{digests["owner"]}"\nregister = ["web"]\nexpires = 2037-01-31T00:00:00Z\n'
    )
    with running(
        TOKENS_FILE=str(folder / "tokens.toml"), AUDIT_FILE=str(folder / "audit.jsonl"), HEARTBEAT_TIMEOUT_SECONDS=600
    ) as discovery:
        discovery.token = ADMIN
        discovery.register("web", "10.0.0.1", 80, tags=["blue"], metadata={"note": HOSTILE})
        discovery.register("web", "10.0.0.2", 80)
        discovery.register("billing", "10.0.0.3", 80)
        yield discovery


@pytest.fixture(scope="module")
def bare() -> Iterator[Discovery]:
    """Without tokens, audit, other nodes or secondaries."""
    with running() as discovery:
        yield discovery


# -- DNS


def test_a_name_that_is_typed_is_answered_in_parts_and_as_text(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=dns")
    page.get_by_label("Name", exact=True).fill("web.svc.local")
    page.get_by_role("button", name="Ask").click()
    verdict = page.get_by_role("region", name="What it says")
    expect(verdict).to_contain_text("NOERROR")
    printed = page.get_by_label("The answer as text")
    expect(printed).to_contain_text("web.svc.local. 5 IN A 10.0.0.1")
    page.get_by_role("button", name="SRV", exact=True).click()
    expect(printed).to_contain_text("IN SRV 10 100 80 ip-10-0-0-1-p80.web.svc.local.")
    expect(page).to_have_url(f"{server.http}/ui?view=dns&name=web.svc.local&type=SRV")
    expect(page.get_by_label("the dig line", exact=True)).to_have_text(
        f"dig @127.0.0.1 -p {server.dns_port} web.svc.local SRV"
    )
    page.get_by_role("listitem").get_by_role("link", name="ip-10-0-0-1-p80.web.svc.local.").first.click()
    expect(printed).to_contain_text("ip-10-0-0-1-p80.web.svc.local. 5 IN A 10.0.0.1")
    page.go_back()
    expect(printed).to_contain_text("SRV")


def test_a_slip_in_a_name_is_told_what_was_meant(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=dns&name=wbe.svc.local")
    verdict = page.get_by_role("region", name="What it says")
    expect(verdict).to_contain_text("NXDOMAIN")
    expect(verdict).to_contain_text("did you mean web?")
    verdict.get_by_role("link", name="Ask for web.svc.local").click()
    expect(verdict).to_contain_text("NOERROR")


def test_what_is_no_name_is_told_so_and_hostile_data_stays_text(visit: Visits, server: Discovery) -> None:
    visit.faults.expect("400")  # the browser has a line for each
    page = visit(server, "view=dns&name=a..b")
    expect(page.get_by_role("alert")).to_contain_text("is no domain name")
    page = visit(server, "view=dns&name=web.svc.local&type=TXT")
    expect(page.get_by_label("The answer as text")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


def test_names_are_offered_while_one_is_typed(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=dns")
    is_live(page)
    page.get_by_label("Name", exact=True).fill("bil")
    expect(page.locator("#dns-names option")).to_have_count(1)
    assert page.locator("#dns-names option").get_attribute("value") == "billing.svc.local"


# -- maintenance


def test_a_window_begins_and_ends_on_the_calendar(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=maintenance", token=ADMIN)
    is_live(page)
    page.get_by_role("button", name="Begin maintenance").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Service").select_option("billing")
    expect(dialog).to_contain_text("Nobody is left in the answers")
    dialog.get_by_label("Reason").fill(HOSTILE)
    dialog.get_by_role("button", name="Begin").click()
    span = page.get_by_role("row").filter(has_text="billing")
    expect(span).to_contain_text("ends in 59 min")
    expect(span).to_contain_text("<img src=x onerror=alert(1)>\\u202e\\x1b[31m")
    expect(span).to_contain_text("by admin")
    page.get_by_role("button", name="End the maintenance of billing").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(span).to_contain_text("over since")
    assert server.request("GET", "/maintenance").body["windows"] == []


# -- access


def test_tokens_and_what_was_done_with_them(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=access", token=ADMIN)
    tokens = page.get_by_role("table", name="Tokens")
    expect(tokens.get_by_role("row").filter(has_text="owner")).to_contain_text("register web")
    expect(tokens.get_by_role("row").filter(has_text="admin")).to_contain_text("everything")
    expect(tokens.get_by_role("row").filter(has_text="admin")).to_contain_text("s ago")
    expect(tokens.get_by_role("row").filter(has_text="owner")).to_contain_text("not used yet")
    audit = page.get_by_role("table", name="Audit")
    expect(audit.get_by_role("row").filter(has_text="10.0.0.3:80").first).to_contain_text("register")
    page.get_by_role("searchbox").fill("10.0.0.3")
    expect(audit.get_by_role("row").filter(has_text="10.0.0.1:80")).to_have_count(0)


def test_a_token_that_may_not_is_told_so_and_another_can_be_typed(visit: Visits, server: Discovery) -> None:
    visit.faults.expect("403")
    page = visit(server, "view=access", token=OWNER)
    expect(page.get_by_role("heading", name="Tokens are for admins")).to_be_visible()
    expect(page.get_by_role("heading", name="Audit lines are for admins")).to_be_visible()
    page.get_by_role("button", name="Type a token").first.click()
    box = page.get_by_role("dialog")
    box.get_by_label("Token", exact=True).fill(ADMIN)
    box.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("table", name="Tokens")).to_be_visible()


def test_what_one_token_saw_is_gone_with_it(visit: Visits, server: Discovery) -> None:
    visit.faults.expect("401", "403")
    page = visit(server, "view=access", token=ADMIN)
    expect(page.get_by_role("table", name="Tokens")).to_be_visible()
    expect(page.get_by_role("table", name="Audit")).to_be_visible()
    page.get_by_role("banner").get_by_role("button", name="Token").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("heading", name="Tokens are for admins")).to_be_visible()
    expect(page.get_by_role("heading", name="Audit lines are for admins")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)


# -- load, nodes


def test_what_is_asked_is_seen_in_the_curves(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=load")
    queries = page.get_by_role("img", name="HTTP requests")
    expect(queries.locator("canvas")).to_be_visible()
    until(lambda: "at the most 0 requests" not in (queries.get_attribute("aria-label") or ""))
    page.get_by_role("button", name="Last hour").click()
    expect(page.get_by_role("heading", name="No minute is over yet").or_(queries)).to_be_visible()


def test_one_process_alone_says_what_several_would_take(visit: Visits, bare: Discovery) -> None:
    page = visit(bare, "view=nodes")
    expect(page.get_by_role("heading", name="This process is alone")).to_be_visible()
    expect(page.get_by_role("heading", name="No zone transfers")).to_be_visible()
    visit.faults.expect("404")  # AUDIT_OFF
    page = visit(bare, "view=access")
    expect(page.get_by_role("heading", name="No token is needed here")).to_be_visible()
    expect(page.get_by_role("heading", name="Nobody writes down who changes what")).to_be_visible()


ENGINE = {
    "kind": "etcd", "node": "a-1", "version": "1.0.0", "endpoint": "10.0.0.5:2379", "cluster": "x", "movedTo": [],
    "leader": "b-2", "leads": False, "revision": 4711, "fresh": True, "lagSeconds": 0.3, "conflicts": 0, "resyncs": 1,
    "skippedKeys": 0, "mended": 0,
    "nodes": [
        {"node": "b-2", "silent": False, "lastHeardSeconds": 0.4, "silentForSeconds": None, "version": "1.0.0",
         "holds": {"instances": 0, "services": []}},
        {"node": "c-3", "silent": True, "lastHeardSeconds": 75, "silentForSeconds": 72, "version": "0.9.0",
         "holds": {"instances": 12, "services": ["web", "shop", "mail", "cart"]}},
    ],
    "heldThroughUnknownNodes": {"instances": 0, "services": []}, "heldHere": {"instances": 0, "services": []},
}  # fmt: skip
TRANSFERS = {
    "sent": 3, "cutShort": 0, "underWay": 0, "told": [{"secondary": "10.0.0.9:53", "answers": False, "toldAt": None}],
    "taken": [{"client": "10.0.0.9", "zone": "svc.local", "serial": 7, "behind": 5, "takenAt": "2026-01-31T12:00:00Z"}],
}  # fmt: skip


def with_nodes(page: Page) -> None:
    """As a node of three, with a secondary, would answer: the stories of the cluster have real ones."""

    def answer(route: Route) -> None:
        response = route.fetch()
        content: Any = response.json() | {"engine": ENGINE, "transfers": TRANSFERS}
        route.fulfill(response=response, body=json.dumps(content))

    page.route("**/stats", answer)


ZONE = {
    "zone": "eu-a", "networks": ["10.1.0.0/16"], "networkCount": 3, "services": 2, "instances": 10, "healthy": 6, "missing": 1,
    "askers": 1000, "answers": 200, "crossed": 30, "limping": [{"service": "Checkout", "healthy": 1, "known": 5}],
}  # fmt: skip


def test_a_zone_tells_its_instances_its_askers_what_crossed_and_what_it_lacks(visit: Visits, server: Discovery) -> None:
    def answer(route: Route) -> None:
        response = route.fetch()
        content: Any = response.json() | {"minHealthy": 70, "zones": [ZONE], "others": 2}
        route.fulfill(response=response, body=json.dumps(content))

    page = visit(server, "view=feed")
    page.route("**/zones", answer)
    page.get_by_role("navigation").get_by_role("link", name="Zones").click()
    row = page.get_by_role("table", name="Zones").get_by_role("row").filter(has_text="eu-a")
    for text in ("10.1.0.0/16 and 2 more", "6 of 10", "1 missing", "1,000 or more", "15 % of 200", "Checkout 1 of 5"):
        expect(row).to_contain_text(text)
    expect(row.get_by_role("link", name="Checkout")).to_have_attribute("href", "?view=service&service=checkout")
    expect(page.get_by_role("main")).to_contain_text("2 instances in no zone that is listed")


def test_a_silent_node_and_a_secondary_that_is_behind_are_seen(visit: Visits, server: Discovery) -> None:
    page = visit(server, "view=feed")
    with_nodes(page)
    page.get_by_role("navigation").get_by_role("link", name="Nodes").click()
    nodes = page.get_by_role("table", name="Other nodes")
    silent = nodes.get_by_role("row").filter(has_text="c-3")
    expect(silent).to_contain_text("silent for 1 min 12 s")
    expect(silent).to_contain_text("12 instances of web, shop, mail, …")
    expect(nodes.get_by_role("row").filter(has_text="b-2")).to_contain_text("leader")
    expect(page.get_by_role("table", name="What secondaries have taken")).to_contain_text("5 changes")
    expect(page.get_by_text("does not answer NOTIFY")).to_be_visible()

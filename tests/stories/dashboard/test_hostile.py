"""Markup, control and bidirectional characters in every field that a stranger fills, on every screen: they stay text that can be seen."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Page, expect

from tests.stories.dashboard.visits import Visits, is_live
from tests.stories.process import Discovery, running

MARKUP = "<img src=x onerror=window.pwned=1>"
SCRIPT = "\"'></td></script><script>window.pwned=1</script>${window.pwned=1}"
HIDDEN = "a\x1b[31mred\x07 \u202egnp.exe\u202c \u2066x\u2069 \u200b\ufeff\u2028 z"
HOSTILE = f"{MARKUP}{SCRIPT}{HIDDEN}"
# Of a service, which has no control characters: what a shell reads is in it, too.
NAME = f"{MARKUP}'; $(reboot) `x` \u202egnp\u202c \u200b*!"
# Characters that do something to a page or a terminal instead of being seen. Line feeds are the page's own.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
SECRET = "a-secret-of-the-hostile-story"  # noqa: S105
# Names that every JavaScript object has.
INHERITED = ("constructor", "toString", "hasOwnProperty", "valueOf")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    folder = tmp_path_factory.mktemp("hostile")
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    (folder / "tokens.toml").write_text(f'[[token]]\nname = "operator"\nsha256 = "{digest}"\nadmin = true\n')
    with running(
        TOKENS_FILE=str(folder / "tokens.toml"), AUDIT_FILE=str(folder / "audit.jsonl"), DATA_DIR=str(folder / "data"),
        HEARTBEAT_TIMEOUT_SECONDS=600,
    ) as discovery:  # fmt: skip
        discovery.token = SECRET
        fill(discovery)
        yield discovery


def fill(server: Discovery) -> None:
    fields = {
        "metadata": {HOSTILE: HOSTILE, "__proto__": {"pwned": 1}, "url": "javascript:window.pwned=1", "deep": [[{"a": HOSTILE}]]},
        "ports": {"constructor": 1, "metrics": 9100},
        "tags": ["constructor", "blue"],
    }  # fmt: skip
    for name in ("hostile", *INHERITED):
        server.register(name, "10.6.6.6", 666, **fields)
    server.register("hostile", "10.6.6.7", 666, **fields)
    for port in (None, 666):
        named = {"name": NAME, "ip": "Hostile.example.com.", "port": port, **fields}
        assert server.request("PUT", "/instances", named).status == 201
    window = {"reason": HOSTILE, "seconds": 3000}
    assert server.request("PUT", "/services/hostile/maintenance", window).status == 200


def happens(server: Discovery) -> None:
    """While the page looks: events with all of it."""
    server.register("hostile", "10.6.6.8", 667, metadata={HOSTILE: HOSTILE})
    window = {"reason": f"{HOSTILE} again", "seconds": 3000}
    assert server.request("PUT", "/services/hostile/maintenance", window).status == 200
    assert server.request("DELETE", "/services/hostile/instances?ip=10.6.6.8&port=667").status == 200


def is_harmless(page: Page) -> None:
    assert page.evaluate("window.pwned ?? ({}).pwned ?? null") is None
    assert page.locator("main img, main script, main a[href^=javascript]").count() == 0
    for text in (page.locator("body").inner_text(), page.title(), page.content()):
        assert not ACTIVE.findall(text)


SCREENS = {
    "services": ("", "hostile"),
    "service": ("view=service&service=hostile", "onerror=window.pwned=1"),
    "gone": ("view=gone", "hostile"),
    "named service": (f"view=service&service={quote(NAME.lower())}", "Hostile.example.com.:666"),
    "hosts": ("view=hosts", "hostile.example.com"),
    "host name": ("view=hosts&ip=Hostile.example.com", "onerror=window.pwned=1"),
    "feed": ("view=feed", r"a\x1b[31mred\x07 \u202egnp.exe\u202c"),  # shown as what they are
    "dns": ("view=dns&name=hostile.svc.local&type=TXT", "hostile.svc.local"),
    "dns of nonsense": (f"view=dns&name={quote(HOSTILE)}&type={quote(HOSTILE)}", ""),
    "maintenance": ("view=maintenance", "onerror=window.pwned=1"),
    "load": ("view=load", ""),
    "nodes": ("view=nodes", ""),
    "zones": ("view=zones", ""),
    "access": ("view=access", "onerror=window.pwned=1"),
    "searched": (f"q={quote(HOSTILE)}", ""),
    "unknown service": (f"view=service&service={quote(HOSTILE)}", "onerror=window.pwned=1"),
    "inherited": ("view=service&service=constructor", "10.6.6.6:666"),
}
# These show each kind of it: a table, a page of one, a log, and what the address says.
QUICK = ("service", "feed", "dns", "maintenance", "access", "unknown service")


@pytest.mark.parametrize(
    "screen",
    [each if each in QUICK else pytest.param(each, marks=pytest.mark.with_all) for each in SCREENS],
)
def test_it_stays_text(visit: Visits, server: Discovery, screen: str) -> None:
    query, shows = SCREENS[screen]
    if screen in ("unknown service", "dns of nonsense"):
        visit.faults.expect("status of 40[04]")  # nothing can have such a name
    page = visit(server, query, token=SECRET)
    is_live(page)
    happens(server)
    expect(page.get_by_role("main")).to_contain_text(shows)
    is_harmless(page)


def test_a_line_to_paste_asks_for_that_name_and_does_no_more_to_a_shell(visit: Visits, server: Discovery) -> None:
    page = visit(server, f"view=service&service={quote(NAME.lower())}", token=SECRET)
    is_live(page)
    lines = [each.inner_text() for each in page.locator(".commands code").all()]
    assert len(lines) == 2, "it has no name in DNS"
    for line in lines:
        url = shlex.split(line.replace("$DISCOVERY_TOKEN", "secret"), posix=True)[-1]
        assert line.rstrip("'").endswith(url), "nothing in it is read by a shell"
        assert unquote(url).partition("/resolve/")[2].removesuffix("?explain=1") == NAME


def test_a_service_may_be_called_as_every_object_has_a_property(visit: Visits, server: Discovery) -> None:
    page = visit(server, token=SECRET)
    for name in INHERITED:
        page.get_by_role("searchbox").fill(name)
        page.get_by_role("main").get_by_role("link", name=name, exact=True).first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        expect(page.get_by_role("main")).to_contain_text("10.6.6.6:666")
        expect(page.get_by_role("main").get_by_role("img").first).to_have_attribute("aria-label", "1 healthy")
        page.go_back()

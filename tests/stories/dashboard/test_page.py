"""What the server sends for the page: files that are asked for again by their tag, and nothing else of the disk."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message

import pytest
from playwright.sync_api import expect

from tests.stories.dashboard.visits import Visits
from tests.stories.process import LIMIT, Discovery, running


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    """Empty until the last story fills it."""
    with running() as discovery:
        yield discovery


def get(url: str, **headers: str) -> tuple[int, Message, str]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def test_its_files_are_known_by_their_tags_and_no_name_leads_out_of_the_folder(server: Discovery) -> None:
    _, _, page = get(f"{server.http}/ui")
    files = re.findall(r'(?:href|src)="(ui/[^"]+)"', page)
    assert len(files) > 10
    for file in files:
        status, headers, _ = get(f"{server.http}/{file}")
        assert (file, status) == (file, 200)
        assert get(f"{server.http}/{file}", If_None_Match=headers["ETag"])[0] == 304
    for name in (
        "../__init__.py",
        "..%2f__init__.py",
        "%2e%2e/files.py",
        "js/",
        "js",
        "/etc/passwd",
        "vendor/htm.LICENSE%00.js",
    ):
        assert get(f"{server.http}/ui/{name}")[0] in (400, 404), name


def test_a_browser_is_led_to_it(visit: Visits, server: Discovery) -> None:
    for address in ("/", "/ui/"):
        page = visit(server, at=address)
        expect(page).to_have_url(re.compile(r"/ui\??$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Services")


def test_the_menu_ends_with_the_page_about_the_api_whose_links_work_and_lead_back(
    visit: Visits, server: Discovery
) -> None:
    page = visit(server)
    page.get_by_role("navigation").get_by_role("link", name="API", exact=True).click()
    expect(page).to_have_url(f"{server.http}/docs")
    expect(page.get_by_role("button", name="Register, or register again").first).to_be_visible()
    links = page.get_by_role("link").evaluate_all("all => all.map(each => each.href)")
    assert len(links) >= 2
    for link in links:
        assert link.startswith(server.http), link
        assert get(link)[0] == 200, link
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Services")


def test_an_empty_registry_says_how_to_fill_it_and_with_a_token_how_to_show_it(
    visit: Visits, server: Discovery
) -> None:
    page = visit(server, token="s" * 20)
    expect(page.get_by_role("main").locator("code")).to_contain_text('-H "Authorization: Bearer $DISCOVERY_TOKEN"')


def test_an_empty_registry_says_how_to_fill_it(visit: Visits, server: Discovery) -> None:
    page = visit(server)
    expect(page.get_by_role("main")).to_contain_text("curl")
    line = page.get_by_role("main").locator("code").inner_text()
    assert server.http in line
    body = re.search(r"-d '(.*)'", line)
    assert body
    assert server.request("POST", "/register", body[1].encode()).status == 201, "the line that is shown works"
    expect(page.get_by_role("main").get_by_role("row").get_by_role("link")).to_have_count(1)

"""Every screen, dark and light, on a large screen and on a phone: axe finds nothing, and nothing has to be moved sideways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.stories.dashboard.axe import faint, violations
from tests.stories.dashboard.demo import Shop, shop
from tests.stories.dashboard.screens import SCREENS, Screen, show
from tests.stories.dashboard.visits import DESKTOP, PHONE, Visits
from tests.stories.process import Discovery, running

# Pixels: in between, where a menu at the side or a table of many columns may be too wide.
TABLETS = (1024, 768)
WIDTHS = (DESKTOP[0], *TABLETS, PHONE[0])


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop"), ttl=2) as it:
        yield it


@pytest.fixture(scope="module")
def empty() -> Iterator[Discovery]:
    with running() as discovery:
        yield discovery


def fits(page: Page) -> None:
    """Not wider than the window, once charts have taken their new size; what has to be wide scrolls in its own box."""
    page.wait_for_function("() => document.scrollingElement.scrollWidth <= document.documentElement.clientWidth")


# Much like another one, at each width.
SIMILAR = ("services-found", "service-checkout", "host", "gone", "maintain")
EACH = [
    pytest.param(each, marks=[pytest.mark.with_all] if each.name in SIMILAR else [], id=each.name) for each in SCREENS
]


@pytest.mark.parametrize("screen", EACH)
def test_axe_finds_nothing_and_it_fits(visit: Visits, lively: Shop, screen: Screen) -> None:
    page = show(visit, lively, screen, DESKTOP, motion=False)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        fits(page)
        if width not in TABLETS:
            assert violations(page) == ""
    page.emulate_media(color_scheme="dark")
    assert faint(page) == ""


@pytest.mark.with_all  # what it says then, test_page.py and test_operating.py have
@pytest.mark.parametrize("screen", [screen for screen in SCREENS if not screen.steps], ids=lambda screen: screen.name)
def test_so_it_is_where_there_is_nothing_to_show(visit: Visits, empty: Discovery, screen: Screen) -> None:
    page = visit(empty, screen.query, size=PHONE, motion=False)
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
    assert violations(page) == ""
    fits(page)

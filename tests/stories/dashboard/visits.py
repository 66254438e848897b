"""Visits to the dashboard: each in a tab of its own, which forgets all before the next one: nothing of one story is left for another."""

from __future__ import annotations

from typing import Literal

from playwright.sync_api import Browser, Error, Locator, Page, ViewportSize, expect

from tests.stories.dashboard.faults import Faults, watch
from tests.stories.process import LIMIT, Discovery

Scheme = Literal["dark", "light"]

# What the screens are judged at: a large laptop, a tablet, and a phone.
DESKTOP, TABLET, PHONE = (1440, 900), (768, 1024), (390, 844)

# How many are kept for later visits.
_TABS = 4

expect.set_options(timeout=LIMIT * 1000)

_SET_HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => hidden ? "hidden" : "visible" });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


# Where a tab waits between two visits: a small answer of the same origin. (A route of Playwright's for it would turn the cache off.)
_PARKED = "/health"
_FORGET = """token => {
    sessionStorage.clear();
    localStorage.clear();
    if (token) sessionStorage.setItem("discovery-token", token);
}"""


class _Tab:
    """A context with one page. A new one costs a process of the browser, as much as its page takes to load."""

    def __init__(self, browser: Browser, origin: str, phone: bool, before: str) -> None:
        self.of = (origin, phone)
        self.faults = Faults()
        self.is_free = True
        self.context = browser.new_context(base_url=origin, is_mobile=phone, has_touch=phone, viewport=_size(DESKTOP))
        self.context.set_default_timeout(LIMIT * 1000)
        watch(self.context, origin, lambda: self.faults)
        self.context.add_init_script(before)
        self.page = self.context.new_page()
        self.park()

    def park(self) -> bool:
        """Nothing of the visit is left. False: its page is closed or its server has ended, it is of no use any more."""
        try:
            self.page.evaluate("0")  # what was said before the answer has been heard
            self.faults = Faults()
            self.page.unroute_all()
            self.page.goto(_PARKED)
        except Error:
            return False
        self.context.clear_cookies()
        self.context.clear_permissions()
        return True


class Tabs:
    """`before`: a script that each page runs before its own."""

    def __init__(self, browser: Browser, before: str = "") -> None:
        self._browser = browser
        self._before = before
        self._all: list[_Tab] = []

    def take(self, origin: str, phone: bool) -> _Tab:
        of = (origin, phone)
        tab = next((tab for tab in self._all if tab.is_free and tab.of == of), None)
        if tab is None:
            tab = _Tab(self._browser, origin, phone, self._before)
            self._all.append(tab)
        tab.is_free = False
        return tab

    def give_back(self, tabs: list[_Tab]) -> None:
        """For later visits; the oldest are of servers that have ended."""
        for tab in tabs:
            tab.is_free = tab.park()
        free = [tab for tab in self._all if tab.is_free]
        self._all = free[-_TABS:]
        for tab in [*free[:-_TABS], *(tab for tab in tabs if not tab.is_free)]:
            tab.context.close()

    def close(self) -> None:
        for tab in self._all:
            tab.context.close()


class Visits:
    def __init__(self, tabs: Tabs) -> None:
        self.faults = Faults()
        self._tabs = tabs
        self._taken: list[_Tab] = []

    def __call__(
        self,
        server: Discovery | str,
        query: str = "",
        *,
        at: str = "/ui",
        size: tuple[int, int] = DESKTOP,
        scheme: Scheme = "light",
        motion: bool = True,
        token: str = "",
    ) -> Page:
        """A page at /ui, or `at` another path, with this query (`view=hosts`), of a server or of an origin. It has loaded, but need not
        have data yet. `token`: has been typed into it before.
        """
        tab = self._tabs.take(server if isinstance(server, str) else server.http, size == PHONE)
        self._taken.append(tab)
        tab.faults = self.faults
        page = tab.page
        page.set_viewport_size(_size(size))
        page.emulate_media(color_scheme=scheme, reduced_motion="no-preference" if motion else "reduce")
        page.evaluate(_FORGET, token)
        page.goto(f"{at}?{query}" if query else at)
        return page

    def close(self) -> None:
        self._tabs.give_back(self._taken)


def _size(size: tuple[int, int]) -> ViewportSize:
    return {"width": size[0], "height": size[1]}


def hide(page: Page, hidden: bool = True) -> None:
    """Another tab in front of it, or it in front again. (Without a window Chromium shows all its pages, always.)"""
    page.evaluate(_SET_HIDDEN, hidden)


def type_token(page: Page, token: str) -> None:
    """Into the box, which is open."""
    box = page.get_by_role("dialog")
    box.get_by_label("Token", exact=True).fill(token)
    box.get_by_role("button", name="Use it").click()


def row(page: Page, name: str) -> Locator:
    """Of the first table, the one with this name in it."""
    return page.get_by_role("table").first.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def is_live(page: Page) -> None:
    """It hears of everything from now on."""
    expect(page.get_by_role("banner").get_by_role("status")).to_have_text("Live")

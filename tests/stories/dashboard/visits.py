"""Visits to the dashboard: each in a browser context of its own, so that nothing of one story is left for the next."""

from __future__ import annotations

import json
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.stories.dashboard.faults import Faults
from tests.stories.process import LIMIT, Discovery

Scheme = Literal["dark", "light"]

# What the screens are judged at: a large laptop, a tablet, and a phone.
DESKTOP, TABLET, PHONE = (1440, 900), (768, 1024), (390, 844)

expect.set_options(timeout=LIMIT * 1000)

_SET_HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => hidden ? "hidden" : "visible" });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


class Visits:
    """`before`: a script that each page runs before its own."""

    def __init__(self, browser: Browser, before: str = "") -> None:
        self.faults = Faults()
        self._browser = browser
        self._before = before
        self._contexts: list[BrowserContext] = []

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
        """A new page at /ui, or `at` another path, with this query (`view=hosts`), of a server or of an origin. It has loaded, but need not
        have data yet. `token`: has been typed into it before.
        """
        origin = server if isinstance(server, str) else server.http
        context = self._browser.new_context(
            base_url=origin,
            viewport={"width": size[0], "height": size[1]},
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
            color_scheme=scheme,
            reduced_motion="no-preference" if motion else "reduce",
        )
        self._contexts.append(context)
        context.set_default_timeout(LIMIT * 1000)
        self.faults.watch(context, origin)
        context.add_init_script(self._before)
        if token:
            keep = f"sessionStorage.setItem('discovery-token', {json.dumps(token)})"
            context.add_init_script(f"location.host && {keep}")  # before the page there is an empty one
        page = context.new_page()
        page.goto(f"{at}?{query}" if query else at)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


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

"""Debian's Chromium, without a window. Playwright brings its driver and never a browser of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.programs import program


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """`arguments` are the browser's own. It resolves no names: what is not at 127.0.0.1 is nowhere."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium"),
            chromium_sandbox=False,  # it refuses to run as root with one, and shows nothing but our own page
            ignore_default_args=["--hide-scrollbars"],  # they take room, as on the reader's screen
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", *arguments],
        )
        try:
            yield browser
        finally:
            browser.close()

"""axe-core on a page: what a screen reader or a keyboard would stumble over, and colours that too few can tell apart."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()


def violations(page: Page) -> str:
    """Empty when axe finds nothing; else each finding with the elements. All its rules are asked, best practices too."""
    results = _AXE.run(page)
    return results.generate_report() if results.violations_count else ""

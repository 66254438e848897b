"""axe-core on a page: what a screen reader or a keyboard would stumble over, and colours that too few can tell apart."""

from __future__ import annotations

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()


_CONTRAST = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}


def violations(page: Page) -> str:
    """Empty when axe finds nothing; else each finding with the elements. All its rules are asked, best practices too."""
    return _said(_AXE.run(page))


def faint(page: Page) -> str:
    """The same of contrast alone: what another colour scheme can do wrong."""
    return _said(_AXE.run(page, options=_CONTRAST))


def _said(results: AxeResults) -> str:
    return results.generate_report() if results.violations_count else ""

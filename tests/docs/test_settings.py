"""docs/settings.md: each setting with its default and text, as the code has them."""

from __future__ import annotations

import os
from pathlib import Path

import discovery
from discovery.cli.setting_list import defaults
from tests.docs.settings_page import START, tables

PAGE = Path(discovery.__file__).parent / "docs" / "settings.md"


def test_the_page_is_what_the_code_says() -> None:
    """After a change of a setting: `UPDATE_DOCS=1 pytest tests/docs/test_settings.py`."""
    head, start, shown = PAGE.read_text().partition(START)
    made = tables(defaults())
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(head + START + made)
        shown = made
    assert start, "the line after which the tables stand is missing"
    assert shown == made

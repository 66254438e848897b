"""/docs: what is vendored is what the page of the plugin says, and nothing in our own files asks another origin."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from discovery.plugins import Seams, reference

FOLDER = Path(reference.__file__).parent
OURS = ("index.html", "names.js", "start.js", "style.css")


def test_the_readme_has_each_vendored_file_with_its_hash() -> None:
    """They are unmodified: whoever updates one writes down what it is now."""
    rows = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", (FOLDER / "README.md").read_text()))
    vendored = {file.name: sha256(file.read_bytes()).hexdigest() for file in (FOLDER / "page" / "vendor").iterdir()}
    assert rows == vendored


@pytest.mark.parametrize("name", OURS)
def test_our_files_name_no_other_origin_and_have_no_inline_script(name: str) -> None:
    text = (FOLDER / "page" / name).read_text()
    assert re.findall(r"(?<!xmlns=\")(?:https?:)?//[a-z]", text) == []
    assert re.findall(r"<script(?![^>]*src=)|\son\w+=|<style|\sstyle=", text) == []


def test_scripts_run_from_this_origin_alone() -> None:
    policy = dict(part.split(" ", 1) for part in reference.POLICY.split("; "))
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["default-src"] == "'none'"


def test_it_adds_the_page_and_its_files() -> None:
    seams = Seams()
    reference.Reference().install(seams)
    assert [route.path for route in seams.routes if hasattr(route, "path")] == ["/docs", "/docs/", "/docs/{file:.+}"]

"""locks/*.txt: every package that pyproject.toml asks for, with those that they ask for, in versions that they take; and no others."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.stories.process import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TEXT = {path.stem: path.read_text() for path in sorted(Path(ROOT, "locks").glob("*.txt"))}
WANTED = {
    "server": PROJECT["project"]["dependencies"],
    "test": [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["test"]],
    "build": PROJECT["build-system"]["requires"],
}


def locked(name: str) -> dict[str, str]:
    """The version of each package."""
    return {canonicalize_name(package): version for package, version in re.findall(r"^(\S+)==(\S+)", TEXT[name], re.M)}


def asked_for(requirements: Iterable[str]) -> dict[str, list[Requirement]]:
    """By package, those of these requirements and, by what is installed here, of theirs."""
    found: dict[str, list[Requirement]] = {}
    todo = [Requirement(each) for each in requirements]
    seen = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        if name != "discovery-server":
            found.setdefault(name, []).append(requirement)
        for text in importlib.metadata.requires(name) or ():
            below = Requirement(text)
            extras = requirement.extras or {""}
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(below)
    return found


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_has_what_is_asked_for_and_nothing_else(name: str) -> None:
    """`discovery/docs/contributing.md` says how they are made anew."""
    versions, wanted = locked(name), asked_for(WANTED[name])
    assert wanted.keys() <= versions.keys()
    bad = [str(each) for package, all in wanted.items() for each in all if versions[package] not in each.specifier]
    assert bad == []
    # What other systems and Pythons need besides says so, or is needed by what does.
    assert all(re.search(rf"^{package}==\S+ ;", TEXT[name], re.M) for package in versions.keys() - wanted.keys())


@pytest.mark.parametrize("name", WANTED)
def test_each_package_of_a_lock_has_its_hashes_and_no_host(name: str) -> None:
    entries = re.split(r"\n(?=\S)", TEXT[name].rstrip())
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert "://" not in TEXT[name]


def test_what_is_tested_is_what_is_in_the_image() -> None:
    both = locked("test")
    assert [pair for name in ("server", "build") for pair in locked(name).items() if pair not in both.items()] == []

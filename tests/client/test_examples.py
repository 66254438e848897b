"""The examples in the docstrings of `discovery.client`, run against a real server."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import discovery.client
from tests.stories.process import running

MODULES = sorted(module.name for module in pkgutil.iter_modules(discovery.client.__path__))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as server:
        yield server.http


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_do_what_they_say(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_URL", url)
    module = importlib.import_module(f"discovery.client.{name}")
    assert doctest.testmod(module, raise_on_error=False).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(f"discovery.client.{name}") for name in MODULES]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) >= 3

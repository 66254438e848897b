"""CHECK_ENABLED: on unless it is turned off."""

from __future__ import annotations

from pathlib import Path

import pytest

from discovery.plugins.check import make
from discovery.system.env import SettingsError
from tests.store.making import a_registry


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHECK_ENABLED", raising=False)


@pytest.mark.parametrize(
    ("text", "on"), [("", True), ("true", True), ("1", True), ("false", False), ("0", False), ("no", False)]
)
def test_it_is_on_unless_it_is_turned_off(monkeypatch: pytest.MonkeyPatch, text: str, on: bool) -> None:
    monkeypatch.setenv("CHECK_ENABLED", text)
    assert (make(a_registry(), lambda: 0.0) is not None) == on


def test_anything_else_is_an_error_that_names_setting_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_ENABLED", "sometimes")
    with pytest.raises(SettingsError, match=r"CHECK_ENABLED.*'sometimes'"):
        make(a_registry(), lambda: 0.0)

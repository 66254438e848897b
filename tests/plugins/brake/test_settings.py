"""BRAKE_PROBE and BRAKE_NETWORKS: on unless turned off, everywhere unless told where."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from discovery.plugins.brake import BrakeSettings, make
from discovery.system.env import SettingsError
from tests.store.making import a_registry


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BRAKE_PROBE", "BRAKE_NETWORKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("text", "on"), [("", True), ("true", True), ("false", False)])
def test_it_is_on_unless_it_is_turned_off(monkeypatch: pytest.MonkeyPatch, text: str, on: bool) -> None:
    monkeypatch.setenv("BRAKE_PROBE", text)
    assert (make(a_registry(), lambda: 0.0) is not None) == on


def test_networks_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BrakeSettings.read().brake_networks == ()
    monkeypatch.setenv("BRAKE_NETWORKS", "10.0.0.0/8, fd00::/8")
    assert BrakeSettings.read().brake_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_what_is_no_network_is_an_error_that_names_setting_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAKE_NETWORKS", "10.0.0.1/8")
    with pytest.raises(SettingsError, match=r"BRAKE_NETWORKS.*10\.0\.0\.1/8"):
        make(a_registry(), lambda: 0.0)

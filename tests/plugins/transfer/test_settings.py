"""TRANSFER_*: what is understood, and that what is not is named with what may be written instead."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from discovery.plugins.transfer import make
from discovery.plugins.transfer.settings import Secondary, TransferSettings
from discovery.system.env import SettingsError
from tests.plugins.transfer.primary import FILE
from tests.store.making import a_registry


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TRANSFER_KEYS_FILE", "TRANSFER_ALLOW", "TRANSFER_NOTIFY", "TRANSFER_NOTIFY_SOURCE"):
        monkeypatch.delenv(name, raising=False)


def test_without_them_the_feature_is_off() -> None:
    assert make(a_registry(), lambda: 0.0) is None


async def test_with_keys_and_networks_it_is_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys.conf").write_text(FILE)
    monkeypatch.setenv("TRANSFER_KEYS_FILE", "keys.conf")
    monkeypatch.setenv("TRANSFER_ALLOW", "10.0.0.0/8, 2001:db8::1")
    monkeypatch.setenv("TRANSFER_NOTIFY", "10.0.0.53, 10.0.0.54:5300,2001:db8::53,[2001:db8::53]:5300")
    settings = TransferSettings.read()
    assert settings.transfer_allow == (ip_network("10.0.0.0/8"), ip_network("2001:db8::1"))
    assert [str(one) for one in settings.transfer_notify] == [
        "10.0.0.53:53", "10.0.0.54:5300", "[2001:db8::53]:53", "[2001:db8::53]:5300",
    ]  # fmt: skip
    assert settings.transfer_notify[0] == Secondary("10.0.0.53", 53)
    assert make(a_registry(), lambda: 0.0) is not None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"KEYS_FILE": "keys.conf"}, "TRANSFER_ALLOW: no network is in it"),
        ({"ALLOW": "10.0.0.0/8"}, "TRANSFER_KEYS_FILE: without keys"),
        ({"NOTIFY": "10.0.0.53"}, "TRANSFER_KEYS_FILE: without keys"),
        ({"KEYS_FILE": "keys.conf", "ALLOW": "everybody"}, "TRANSFER_ALLOW: "),
        ({"KEYS_FILE": "keys.conf", "ALLOW": "10.0.0.1/8"}, "TRANSFER_ALLOW: "),
        *(
            ({"KEYS_FILE": "keys.conf", "ALLOW": "::1", "NOTIFY_SOURCE": text}, "TRANSFER_NOTIFY_SOURCE: ")
            for text in ("ns.example", "0.0.0.0", "::", "10.0.0.1:53")
        ),
        *(
            ({"KEYS_FILE": "keys.conf", "ALLOW": "::1", "NOTIFY": text}, "TRANSFER_NOTIFY: ")
            for text in (
                "ns.example",
                "10.0.0.53:",
                "10.0.0.53:0",
                "10.0.0.53:65536",
                "[::1",
                "[::1]53",
                "0.0.0.0",
                "1.2.3.4 5",
            )
        ),
    ],
)
def test_what_is_wrong_is_an_error_at_start(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"TRANSFER_{name}", value)
    with pytest.raises(SettingsError) as raised:
        make(a_registry(), lambda: 0.0)
    assert str(raised.value).startswith(said)


def test_a_bad_file_of_keys_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_KEYS_FILE", "none.conf")
    monkeypatch.setenv("TRANSFER_ALLOW", "::1")
    with pytest.raises(SettingsError, match=r"^TRANSFER_KEYS_FILE: none\.conf: No such file"):
        make(a_registry(), lambda: 0.0)

"""FORWARD_*: what is understood, and that what is not is named with what may be written instead."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from discovery.plugins.forward import make
from discovery.plugins.forward.settings import ForwardSettings, Upstream
from discovery.system.env import SettingsError


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("FORWARD_TO", "FORWARD_CLIENTS", "FORWARD_TIMEOUT_SECONDS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "upstreams"),
    [
        ("10.0.0.53", [("10.0.0.53", 53)]),
        ("10.0.0.53:5353", [("10.0.0.53", 5353)]),
        ("2001:db8::53", [("2001:db8::53", 53)]),
        ("[2001:db8::53]", [("2001:db8::53", 53)]),
        ("[2001:db8::53]:5353", [("2001:db8::53", 5353)]),
        ("::1", [("::1", 53)]),
        (" 10.0.0.1 , [::1]:53,10.0.0.2:1,", [("10.0.0.1", 53), ("::1", 53), ("10.0.0.2", 1)]),
        ("", []),
    ],
)
def test_upstreams_in_the_order_in_which_they_are_written(
    monkeypatch: pytest.MonkeyPatch, text: str, upstreams: list[tuple[str, int]]
) -> None:
    monkeypatch.setenv("FORWARD_TO", text)
    assert ForwardSettings.read().forward_to == tuple(Upstream(*one) for one in upstreams)


def test_an_upstream_is_shown_as_it_can_be_written() -> None:
    assert str(Upstream("10.0.0.53", 53)) == "10.0.0.53:53"
    assert str(Upstream("2001:db8::53", 5353)) == "[2001:db8::53]:5353"


BAD: list[tuple[str, str]] = [
    ("FORWARD_TO", "dns.example.com"),
    ("FORWARD_TO", "10.0.0.53:"),
    ("FORWARD_TO", "10.0.0.53:dns"),
    ("FORWARD_TO", "10.0.0.53:0"),
    ("FORWARD_TO", "10.0.0.53:65536"),
    ("FORWARD_TO", "10.0.0.53:-1"),
    ("FORWARD_TO", "10.0.0.256"),
    ("FORWARD_TO", "[2001:db8::53]5353"),
    ("FORWARD_TO", "[2001:db8::53"),
    ("FORWARD_TO", "udp://10.0.0.53"),
    ("FORWARD_TO", "10.0.0.53 10.0.0.54"),
    ("FORWARD_CLIENTS", "everybody"),
    ("FORWARD_CLIENTS", "10.0.0.0/33"),
    ("FORWARD_CLIENTS", "10.0.0.1/8"),
    ("FORWARD_TIMEOUT_SECONDS", "0"),
    ("FORWARD_TIMEOUT_SECONDS", "-1"),
    ("FORWARD_TIMEOUT_SECONDS", "31"),
    ("FORWARD_TIMEOUT_SECONDS", "soon"),
    ("FORWARD_TIMEOUT_SECONDS", "nan"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_an_error_that_names_setting_and_value(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("FORWARD_TO", "10.0.0.53")
    monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as caught:
        ForwardSettings.read()
    assert name in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("ip", "served"),
    [
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("10.255.255.255", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.1.1", True),
        ("192.169.0.1", False),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("8.8.8.8", False),
        ("100.64.0.1", False),
        ("2001:db8::1", False),
    ],
)
def test_by_default_loopback_and_private_networks_are_served(
    monkeypatch: pytest.MonkeyPatch, ip: str, served: bool
) -> None:
    monkeypatch.setenv("FORWARD_TO", "10.0.0.53")
    networks = ForwardSettings.read().forward_clients
    assert any(ipaddress.ip_address(ip.partition("%")[0]) in network for network in networks) == served


def test_without_an_upstream_the_plugin_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: object = None
    assert make(nothing, lambda: 0.0) is None  # type: ignore[arg-type]
    monkeypatch.setenv("FORWARD_TO", "10.0.0.53")
    assert make(nothing, lambda: 0.0) is not None  # type: ignore[arg-type]

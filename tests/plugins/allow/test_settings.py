"""DNS_ALLOW: what is understood, and that what is not is named with what may be written instead."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from discovery.dns.message.names import from_text
from discovery.plugins.allow import AllowSettings, make
from discovery.system.env import SettingsError
from tests.store.making import a_registry


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNS_ALLOW", raising=False)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("10.0.0.0/8", {"": ["10.0.0.0/8"]}),
        ("10.0.0.0/8,127.0.0.1", {"": ["10.0.0.0/8", "127.0.0.1/32"]}),
        (" 10.0.0.0/8 , ::1,", {"": ["10.0.0.0/8", "::1/128"]}),
        ("svc.local=10.0.0.0/8|192.168.0.0/16", {"svc.local": ["10.0.0.0/8", "192.168.0.0/16"]}),
        ("SVC.Local.=10.0.0.0/8", {"svc.local": ["10.0.0.0/8"]}),
        (
            "svc.local=10.0.0.0/8 | fd00::/8, legacy.local = 127.0.0.0/8",
            {"svc.local": ["10.0.0.0/8", "fd00::/8"], "legacy.local": ["127.0.0.0/8"]},
        ),
        ("127.0.0.0/8,svc.local=10.0.0.0/8,::1", {"": ["127.0.0.0/8", "::1/128"], "svc.local": ["10.0.0.0/8"]}),
        ("::ffff:10.0.0.0/104,::ffff:10.1.2.3", {"": ["10.0.0.0/8", "10.1.2.3/32"]}),
        ("::/0", {"": ["::/0"]}),
    ],
)
def test_networks_for_all_zones_and_by_zone(
    monkeypatch: pytest.MonkeyPatch, text: str, rules: dict[str, list[str]]
) -> None:
    monkeypatch.setenv("DNS_ALLOW", text)
    expected = {from_text(zone): tuple(map(ip_network, networks)) for zone, networks in rules.items()}
    assert AllowSettings.read().dns_allow == expected
    assert make(a_registry(), lambda: 0.0) is not None


@pytest.mark.parametrize("text", [None, "", " , "])
def test_without_it_the_feature_is_off(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    if text is not None:
        monkeypatch.setenv("DNS_ALLOW", text)
    assert make(a_registry(), lambda: 0.0) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("everybody", "'everybody' is no network such as 10.0.0.0/8"),
        ("10.0.0.0/33", "'10.0.0.0/33'"),
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.0/8|", "''"),
        ("svc.local=", "''"),
        ("svc.local=10.0.0.0/8||::1", "''"),
        ("=10.0.0.0/8", "no zone before the ="),
        (".=10.0.0.0/8", "no zone before the ="),
        ("svc..local=10.0.0.0/8", "'svc..local' is no zone"),
        ("a=b=10.0.0.0/8", "DNS_ALLOW: a=b is no zone of this server"),
        ("svc.local=10.0.0.0/8,SVC.local=::1", "SVC.local is there twice"),
        ("svc.local:10.0.0.0/8", "'svc.local:10.0.0.0/8'"),
        ("10.0.0.0/8 127.0.0.1", "'10.0.0.0/8 127.0.0.1'"),
    ],
)
async def test_what_is_no_rule_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("DNS_ALLOW", text)
    with pytest.raises(SettingsError) as raised:  # noqa: PT012  one or the other of the two says it
        plugin = make(a_registry(), lambda: 0.0)
        assert plugin is not None
        await plugin.open(None)  # type: ignore[arg-type]
    assert str(raised.value).startswith("DNS_ALLOW: ")
    assert said in str(raised.value)

"""Settings: the documented defaults, environment before `.env` before default, errors that name the variable, `.env.example`."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

import discovery
from discovery.app import Server
from discovery.cli.setting_list import defaults, kinds
from discovery.cli.settings import example_text
from discovery.plugins.auth.settings import AuthSettings
from discovery.plugins.journal import JournalSettings
from discovery.settings import Settings
from discovery.system.env import EnvSettings, SettingsError

EXAMPLE = Path(__file__).parents[1] / ".env.example"

# DESIGN section 4, of what there is so far.
DEFAULTS: dict[str, Any] = {
    "host": ("127.0.0.1",),
    "port": 3100,
    "dns_host": (),
    "dns_port": 8600,
    "dns_domain": ("svc.local",),
    "dns_ttl_seconds": 5,
    "dns_negative_ttl_seconds": 2,
    "zones_dir": Path("zones"),
    "heartbeat_timeout_seconds": 10,
    "cleanup_interval_seconds": 5,
    "max_instances_per_service": 10,
    "brake_percent": 30,
    "brake_max_seconds": 60,
    "flap_max_changes": 6,
    "flap_window_seconds": 60,
    "allowed_origins": ("http://localhost:3000", "http://localhost:8080"),
    "environment": "development",
    "allow_anonymous": False,
    "log_level": "info",
    "log_format": "text",
}

BAD = [
    *(("HOST", value) for value in ("example.com", "127.0.0", "127.0.0.1:80", ",", "*")),
    *(("DNS_HOST", value) for value in ("example.com", "127.0.0.1, nowhere")),
    *(("PORT", value) for value in ("80x", "-1", "65536", "1.5", " ", "true")),
    *(("DNS_PORT", value) for value in ("dns", "-1", "65536")),
    *(("DNS_DOMAIN", value) for value in (",", "a..b", "x" * 64, ".".join(["x" * 60] * 5))),
    *(("DNS_TTL_SECONDS", value) for value in ("soon", "-1", "3601", "1.5")),
    *(("DNS_SERVER_ID", value) for value in ("x" * 129, "é" * 65)),
    *(("DNS_NEGATIVE_TTL_SECONDS", value) for value in ("soon", "-1", "3601")),
    *(("HEARTBEAT_TIMEOUT_SECONDS", value) for value in ("10s", "0", "-5", "0.5", "3601", "nan", "inf")),
    *(("CLEANUP_INTERVAL_SECONDS", value) for value in ("5s", "0", "3601", "nan", "inf")),
    *(("MAX_INSTANCES_PER_SERVICE", value) for value in ("many", "0", "-1", "1.5", "1001")),
    *(
        ("ALLOWED_ORIGINS", value)
        for value in (
            "*", "localhost", "http://localhost:3000/", "http://a.example/path", "http://a.example?x", "http://a b",
            "http://", "http://ok.example,*",
        )
    ),
    *(("ALLOW_ANONYMOUS", value) for value in ("maybe", "2")),
    *(("LOG_LEVEL", value) for value in ("loud", "7")),
    *(("LOG_FORMAT", value) for value in ("xml",)),
]  # fmt: skip


@cache
def every() -> list[type[EnvSettings]]:
    """The server's settings, and those of every plugin and engine: whatever there is, not what `kinds` finds. What a command reads for
    itself is one of these.
    """
    for module in pkgutil.walk_packages(discovery.__path__, "discovery."):
        if module.name.endswith(".settings") and not module.name.startswith("discovery.cli."):
            importlib.import_module(module.name)
    found = [kind for kind in EnvSettings.__subclasses__() if not kind.__module__.startswith("discovery.cli.")]
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder: empty. No setting is set in the environment."""
    monkeypatch.chdir(tmp_path)
    for kind in every():
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("NODE_ENV", raising=False)
    return tmp_path


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings.read()
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


def test_data_is_kept_unless_data_dir_is_empty(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The one variable that is a choice when it is empty: everything in memory."""
    assert JournalSettings.read().data_dir == Path("data")
    for text, value in (("/var/lib/discovery", Path("/var/lib/discovery")), ("", None)):
        monkeypatch.setenv("DATA_DIR", text)
        assert JournalSettings.read().data_dir == value
        monkeypatch.delenv("DATA_DIR")
        (folder / ".env").write_text(f"DATA_DIR={text}\n")
        assert JournalSettings.read().data_dir == value


def test_dns_listens_where_http_does_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "::1")
    assert Settings.read().dns_addresses == ("::1",)
    monkeypatch.setenv("DNS_HOST", "127.0.0.1,::1")
    assert Settings.read().dns_addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HOST", "localhost", ("127.0.0.1", "::1")),
        ("PORT", "0", 0),
        ("PORT", "65535", 65535),
        ("DNS_DOMAIN", "svc.local, Legacy.Example.", ("svc.local", "legacy.example")),
        ("DNS_TTL_SECONDS", "0", 0),
        ("HEARTBEAT_TIMEOUT_SECONDS", "1", 1),
        ("HEARTBEAT_TIMEOUT_SECONDS", "2.5", 2.5),
        ("CLEANUP_INTERVAL_SECONDS", "3600", 3600),
        ("ALLOWED_ORIGINS", " https://a.example ,http://b.example:81,", ("https://a.example", "http://b.example:81")),
        ("ALLOW_ANONYMOUS", "true", True),
        ("LOG_FORMAT", "json", "json"),
        ("ENVIRONMENT", "staging", "staging"),
        ("ZONES_DIR", "/etc/zones", Path("/etc/zones")),
        ("DNS_SERVER_ID", "é" * 64, "é" * 64),
    ],
)
def test_a_value_is_read_from_the_environment_and_from_the_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(name, text)
    assert getattr(Settings.read(), name.lower()) == value
    monkeypatch.delenv(name)
    (folder / ".env").write_text(f"# a comment\n{name}={text}\nUNHEARD_OF=1\n")
    assert getattr(Settings.read(), name.lower()) == value


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / ".env").write_text("PORT=1111\nDNS_PORT=2222\n")
    monkeypatch.setenv("PORT", "3333")
    settings = Settings.read()
    assert (settings.port, settings.dns_port) == (3333, 2222)


def test_node_env_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    assert Settings.read().environment == "production"
    monkeypatch.setenv("ENVIRONMENT", "staging")
    assert Settings.read().environment == "staging"


def test_node_env_in_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Whoever copied .env.example has ENVIRONMENT=development in the file."""
    (folder / ".env").write_text("ENVIRONMENT=development\n")
    monkeypatch.setenv("NODE_ENV", "production")
    assert Settings.read().environment == "production"


def test_empty_is_the_default(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    default = Settings.read()
    for name in map(str.upper, Settings.model_fields):
        with monkeypatch.context() as only:
            only.setenv(name, "")
            assert Settings.read() == default, name
        (folder / ".env").write_text(f"{name}=\n")
        assert Settings.read() == default, name


def test_an_empty_environment_leaves_node_env_its_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "")
    monkeypatch.setenv("NODE_ENV", "production")
    assert Settings.read().environment == "production"


@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_bad_value_names_its_variable_and_itself(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    for name, value in BAD:
        with monkeypatch.context() as only:
            if source == "environment":
                only.setenv(name, value)
            else:
                (folder / ".env").write_text(f'{name}="{value}"\n')
            with pytest.raises(SettingsError) as caught:
                Settings.read()
        assert re.search(rf"\b{name}\b", str(caught.value)), value
        assert value.split(",")[-1].strip() in str(caught.value), name


def test_every_bad_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "LOG_LEVEL", "HEARTBEAT_TIMEOUT_SECONDS"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError) as caught:
        Settings.read()
    assert len(str(caught.value).splitlines()) == 3
    assert all(name in str(caught.value) for name in ("PORT", "LOG_LEVEL", "HEARTBEAT_TIMEOUT_SECONDS"))


def test_a_file_that_is_no_text_is_an_error_that_names_it(folder: Path) -> None:
    (folder / ".env").write_bytes(b"PORT=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env"):
        Settings.read()


@pytest.mark.parametrize("name", ["HOST", "DNS_HOST"])
@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "10.0.0.1", "2001:db8::1"])
def test_an_address_others_can_reach_needs_a_word(monkeypatch: pytest.MonkeyPatch, name: str, ip: str) -> None:
    monkeypatch.setenv(name, f"127.0.0.1,{ip}")
    with pytest.raises(SettingsError, match=rf"{name}.*API_TOKEN.*ALLOW_ANONYMOUS=true"):
        Server(Settings.read())
    for word, value in (("ALLOW_ANONYMOUS", "true"), ("API_TOKEN", "a secret of some length")):
        with monkeypatch.context() as also:
            also.setenv(word, value)
            assert ip in getattr(Settings.read(), name.lower())
            Server(Settings.read())


def test_a_secret_is_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2")
    with pytest.raises(SettingsError, match=r"API_TOKEN.*too short") as caught:
        AuthSettings.read()
    assert "hunter2" not in str(caught.value)


# -- .env.example


def test_the_example_is_what_the_code_says() -> None:
    """After a change of a setting: `discovery settings --example > .env.example`."""
    assert EXAMPLE.read_text() == example_text(defaults())


def test_every_class_of_settings_is_found() -> None:
    assert sorted(kinds(), key=lambda kind: kind.__name__) == every()


@pytest.mark.parametrize("kind", every(), ids=lambda kind: kind.__name__)
def test_the_example_shows_exactly_the_defaults(folder: Path, kind: type[EnvSettings]) -> None:
    default = kind.read()
    shown = dotenv_values(EXAMPLE)
    for name in kind.model_fields:
        value = getattr(default, name)
        empty = value in (None, (), {}, "") or kind.model_fields[name].default_factory is not None
        assert (shown[name.upper()] == "") == empty, name
    (folder / ".env").write_text(EXAMPLE.read_text())
    assert kind.read() == default


def test_each_setting_is_explained_and_times_with_their_unit() -> None:
    for setting in defaults():
        assert len(setting.text.split()) >= 3, setting.name
        assert setting.text.endswith("."), setting.name
    for name in (name.upper() for name in Settings.model_fields if name.endswith("_seconds")):
        above = EXAMPLE.read_text().partition(f"\n{name}=")[0].rpartition("\n")[2]
        assert "seconds" in above.lower(), name

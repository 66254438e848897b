"""The settings and the zone files: whether the server would start with them, and what in them looks like a slip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from discovery.cli.doctor.finding import Finding, ok, problem, warning
from discovery.cli.setting_list import Source, in_force, kinds, names
from discovery.core.client_zones import ClientZonesError
from discovery.dns.message.names import to_text
from discovery.dns.zones import zonefile
from discovery.plugins.auth.settings import AuthSettings
from discovery.settings import Settings, client_zones, read_client_zones
from discovery.system.env import SettingsError
from discovery.system.surroundings import slip_text, slips
from discovery.system.tls import Tls, TlsError

_FILE = Path(".env")


def read() -> Settings:
    """SettingsError with a line for each setting at fault, of the plugins too."""
    wrong: list[str] = []
    for kind in kinds():
        try:
            kind.read()
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return Settings.read()


def settings(given: Settings) -> Iterator[Finding]:
    all_settings = in_force()
    changed = [setting.name for setting in all_settings if setting.source is not Source.DEFAULT]
    yield ok(f"{len(all_settings)} settings are fine, {len(changed)} set here: {', '.join(changed) or 'none'}")
    yield from _slips()
    auth = AuthSettings.read()
    if given.public_address and not auth.any_token:
        text = (
            f"{given.public_address} can be reached from other machines and there is no token (API_TOKEN, TOKENS_FILE)"
        )
        if given.allow_anonymous:
            yield warning(f"{text}: anybody there can register")
        else:
            yield problem(f"{text}, so the server would not start")
    if given.tls_cert is not None and given.tls_key is not None:
        try:
            Tls(given.tls_cert, given.tls_key, given.tls_client_ca)
            yield ok(f"the certificate {given.tls_cert} can be used")
        except TlsError as error:
            yield problem(str(error))
    if isinstance(file := client_zones(given.client_zones), Path):
        try:
            yield ok(f"{file} (CLIENT_ZONES) has {len(read_client_zones(file).networks)} networks")
        except ClientZonesError as error:
            yield problem(str(error))


def _slips() -> Iterator[Finding]:
    given = {"the environment": tuple(os.environ), str(_FILE): tuple(dotenv_values(_FILE) if _FILE.is_file() else ())}
    for where, variables in given.items():
        for name, near in slips(variables, names()).items():
            yield warning(slip_text(where, name, near))


def zones(given: Settings) -> Iterator[Finding]:
    if not given.zones_dir.is_dir():
        yield warning(f"there is no folder {given.zones_dir} (ZONES_DIR): the zones have made-up SOA and NS records")
        return
    found = [to_text(zone.origin) for zone in zonefile.load_all(given.zones_dir)]
    yield ok(f"{given.zones_dir} has {len(found)} zone files: {', '.join(found) or 'none'}")
    without = [name for name in given.dns_domain if name not in found]
    if without:
        yield ok(f"{', '.join(without)} has no file there: its SOA and NS records are made up")

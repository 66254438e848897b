"""`discovery serve`, and settings on the command line for it and for whoever looks at the same settings. They win: each becomes a variable
of the environment before anything is read, so that plugins, which read their own settings, see them too.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from discovery.system.env import SettingsError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags:
    port: Annotated[int | None, Parameter(help="TCP port of the REST API (PORT)")] = None
    dns_port: Annotated[int | None, Parameter(help="UDP and TCP port of DNS (DNS_PORT)")] = None
    data_dir: Annotated[str | None, Parameter(help="folder of what is kept (DATA_DIR); '' keeps it in memory")] = None
    zones: Annotated[str | None, Parameter(help="folder of zone files (ZONES_DIR)")] = None
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="any other setting, as NAME=VALUE; may be repeated"),
    ] = ()

    def put(self) -> frozenset[str]:
        """Into the environment. Gives the names of the settings that were given here. SettingsError."""
        own = {"PORT": self.port, "DNS_PORT": self.dns_port, "DATA_DIR": self.data_dir, "ZONES_DIR": self.zones}
        given = {name: str(value) for name, value in own.items() if value is not None}
        given |= _named(self.set_)
        for name, value in given.items():
            if value == "" and name != "DATA_DIR":
                raise SettingsError(f"{name}: has no value; empty counts as not set, so leave it out")
        os.environ.update(given)
        return frozenset(given)


def _named(pairs: tuple[str, ...]) -> dict[str, str]:
    if not pairs:
        return {}
    from discovery.cli.setting_list import names

    known = names()
    given: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise SettingsError(f"--set {pair}: write NAME=VALUE")
        if name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; `discovery settings` lists them"
            raise SettingsError(f"--set {name}: there is no setting {name}{hint}")
        given[known[name.upper()]] = value
    return given


def serve(*, flags: Flags | None = None) -> None:
    """Without flags `main` calls `server.run` itself."""
    (flags or Flags()).put()
    from discovery.cli import server

    server.run()

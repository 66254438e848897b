"""`discovery doctor`: what would keep a server from working on this host, or clients from finding it. Each check is one line of CHECKS.

It looks and changes nothing. Exit status 1 where something is a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

from cyclopts import Parameter

from discovery.cli.doctor import advice, configuration, host, resolver, running
from discovery.cli.doctor.finding import Finding, State, problem
from discovery.cli.env_file import EnvFile, use
from discovery.cli.flags import Flags
from discovery.cli.output import Column, Format, put_line, put_rows
from discovery.core.errors import DiscoveryError
from discovery.settings import Settings
from discovery.system.env import SettingsError

CHECKS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "settings": configuration.settings,
    "zones": configuration.zones,
    "ports": host.ports,
    "warnings": running.warnings,
    "permanent": running.permanent,
    "open files": host.open_files,
    "clock": host.clock,
    "journal": host.journal,
    "resolver": resolver.check,
}

_COLUMNS = (Column("state"), Column("check"), Column("finding", fold=True))


def doctor(
    *,
    resolver: Annotated[
        Literal["systemd-resolved", "dnsmasq", "unbound", "bind", "coredns", "all"] | None,
        Parameter(help="print the lines that make this resolver ask the registry, and nothing else"),
    ] = None,
    env_file: EnvFile = None,
    output: Format = "table",
    flags: Flags | None = None,
) -> int:
    (flags or Flags()).put()
    use(env_file)
    if resolver is not None:
        names, settings = (tuple(advice.LINES) if resolver == "all" else (resolver,)), Settings.read()
        print("\n".join(advice.lines(name, settings) for name in names), end="")
        return 0
    found = list(_findings())
    rows = [{"state": str(each.state), "check": name, "finding": each.text} for name, each in found]
    put_rows(rows, _COLUMNS, output, name="finding")
    problems = sum(each.state is State.PROBLEM for _, each in found)
    if output in ("table", "wide"):
        put_line(f"{problems or 'no'} problem{'' if problems == 1 else 's'}")
    return 1 if problems else 0


def _findings() -> Iterator[tuple[str, Finding]]:
    try:
        settings = configuration.read()
    except SettingsError as error:  # nothing else can be looked at without them
        for line in str(error).split("\n"):
            yield "settings", problem(line)
        return
    for name, check in CHECKS.items():
        try:
            for finding in check(settings):
                yield name, finding
        except DiscoveryError as error:
            yield name, problem(str(error))

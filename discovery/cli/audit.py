"""`discovery audit`: what AUDIT_FILE and its predecessors say, oldest first, for people or (`--json`) for programs."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli.env_file import EnvFile, use
from discovery.cli.logs import escaped
from discovery.cli.output import harmless_json, say
from discovery.cli.times import TIMES, as_time
from discovery.core.name import fold
from discovery.plugins.audit import text
from discovery.plugins.audit.line import octets_of
from discovery.plugins.audit.reading import Reading, Wanted
from discovery.plugins.audit.settings import AuditSettings
from discovery.rest.api.times import iso
from discovery.system.env import SettingsError


def audit(
    *,
    file: Annotated[Path | None, Parameter(help="instead of AUDIT_FILE; FILE.1, FILE.2, … are read too")] = None,
    service: Annotated[str | None, Parameter(help="only what was done to it")] = None,
    by: Annotated[str | None, Parameter(help="only what was done with this token, or from this address")] = None,
    since: Annotated[
        float | None, Parameter(converter=as_time, allow_leading_hyphen=True, help=f"only from then on: {TIMES}")
    ] = None,
    last: Annotated[
        int | None, Parameter(name="-n", help="only the last N lines", validator=Number(gte=0, lt=1_000_000_000))
    ] = None,
    json: Annotated[bool, Parameter(help="the lines as JSON, one each")] = False,
    env_file: EnvFile = None,
) -> None:
    with closing(Reading(file or _file(env_file))) as reading:
        wanted = Wanted(by, None if service is None else fold(service), None if since is None else iso(since))
        lines = filter(wanted.holds, reading)
        for line in lines if last is None else deque(lines, last):
            print(harmless_json(octets_of(line).decode().removesuffix("\n")) if json else escaped(text.of_line(line)))
        if broken := reading.broken:
            say(f"discovery: {broken} line{' is' if broken == 1 else 's are'} broken and left out")


def _file(env_file: Path | None) -> Path:
    use(env_file)
    file = AuditSettings.read().audit_file
    if file is None:
        raise SettingsError("AUDIT_FILE: is not set, so there is no audit log here; --file names one")
    return file

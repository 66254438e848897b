"""`discovery audit`: what AUDIT_FILE and its predecessors say, oldest first, for people or (`--json`) for programs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
from cyclopts import Parameter
from cyclopts.validators import Number

from discovery.cli.env_file import EnvFile, use
from discovery.cli.logs import escaped
from discovery.cli.output import harmless_json, say
from discovery.cli.times import TIMES, as_time
from discovery.core.address import authority
from discovery.core.name import fold
from discovery.plugins.audit import AuditSettings
from discovery.plugins.audit.line import DONE, Json, octets_of
from discovery.plugins.audit.search import Asked, content_of, opened
from discovery.system.env import SettingsError

# Characters of one value.
MAX_VALUE = 80

_WORD = re.compile(r"[A-Za-z0-9._:/@+-]+")

# Values that are not shown of an instance that comes or goes, since most have them; and fields that are never shown.
_USUAL = {"draining": False, "metadata": {}, "status": "healthy"}
_NEVER_SHOWN = ("name", "registeredAt", "listed", "more")  # "more": in files of earlier versions


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
    asked = Asked(actor=by, service=None if service is None else fold(service), since=since)
    broken = 0

    def lines(files: Iterable[BinaryIO]) -> Iterator[Json]:
        nonlocal broken
        for content in map(content_of, chain.from_iterable(files)):
            if content is None:
                broken += 1
            elif asked.holds(content):
                yield content

    with opened(file or _file(env_file)) as files:
        for line in lines(files) if last is None else deque(lines(files), last):
            print(harmless_json(octets_of(line).decode().removesuffix("\n")) if json else escaped(of_line(line)))
    if broken:
        say(f"discovery: {broken} line{' is' if broken == 1 else 's are'} broken and left out")


def _file(env_file: Path | None) -> Path:
    use(env_file)
    file = AuditSettings.read().audit_file
    if file is None:
        raise SettingsError("AUDIT_FILE: is not set, so there is no audit log here; --file names one")
    return file


def of_line(content: Json) -> str:
    """One line for people, without its end: when, who, what, and the difference between before and after. It quotes what strangers sent,
    unescaped.
    """
    words = [content["time"], _who(content["by"]), content["action"], *_what(content)]
    happened = ", ".join(_happened(content))
    return " ".join(words) + (f": {happened}" if happened else "")


def _who(by: Json) -> str:
    name, address = str(by.get("name") or ""), str(by.get("address") or "")
    return f"{name} at {address}" if name and address else name or address or "nobody"


def _what(content: Json) -> Iterator[str]:
    if content.get("service"):
        yield content["service"]
    instance = content.get("instance") or {}
    if "ip" in instance:
        yield authority(str(instance["ip"]), instance.get("port"))
    if "id" in instance:
        yield f"[id {_value(instance['id'])}]"


def _happened(content: Json) -> Iterator[str]:
    if "lines" in content:
        yield f"{_value(content['lines'])} lines are missing here"
    yield from _difference(content.get("before"), content.get("after"))
    if isinstance(affected := content.get("affected"), dict):
        yield f"instances affected: {_value(affected.get('instances'))}"
    if evicted := content.get("evicted"):
        yield f"evicted {_value(evicted)}"
    outcome = content.get("outcome", DONE)
    if outcome != DONE:
        yield f"{outcome}: {content.get('error', '')}"


def _difference(before: Json | None, after: Json | None) -> Iterator[str]:
    if before is None and after is None:
        return
    if before is None or after is None:
        yield "new" if before is None else "gone"
        yield from (f"{name} {_value(value)}" for name, value in _flat(before or after or {}) if _is_shown(name, value))
        return
    old, new = dict(_flat(before)), dict(_flat(after))
    for name in old | new:
        if old.get(name) != new.get(name) and name not in _NEVER_SHOWN:
            yield f"{name} {_value(old.get(name))} → {_value(new.get(name))}"


def _flat(fields: Json) -> Iterator[tuple[str, Any]]:
    """Metadata by its keys."""
    for name, value in fields.items():
        if name == "metadata" and isinstance(value, dict) and value:
            yield from ((f"metadata.{_value(key)}", inner) for key, inner in value.items())
        else:
            yield name, value


def _is_shown(name: str, value: Any) -> bool:
    return name not in _NEVER_SHOWN and _USUAL.get(name, ...) != value


def _value(value: Any) -> str:
    """A word as it is, anything else as JSON, so that no value looks like two."""
    if value is None:
        return "–"
    text = value if isinstance(value, str) and _WORD.fullmatch(value) else orjson.dumps(value).decode()
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"

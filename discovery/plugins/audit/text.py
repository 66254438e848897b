"""A line for people: when, who, what, and the difference between before and after. It quotes what strangers sent, unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from discovery.core.address import authority
from discovery.plugins.audit.line import DONE

Json = dict[str, Any]

# Characters of one value.
MAX_VALUE = 80

_WORD = re.compile(r"[A-Za-z0-9._:/@+-]+")

# Values that are not shown of an instance that comes or goes, since most have them; and fields that are never shown.
_USUAL = {"draining": False, "metadata": {}, "status": "healthy"}
_NEVER_SHOWN = ("name", "registeredAt", "listed", "more")  # "more": in files of earlier versions


def of_line(content: Json) -> str:
    """One line, without its end."""
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

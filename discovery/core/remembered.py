"""What plugins remember: of an instance (its attachments, a JSON value by the plugin's name) and besides (documents). Packed, and so as
immutable as all that events have in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from discovery.core import exact_json
from discovery.core.errors import InvalidField
from discovery.core.exact_json import pack, too_large
from discovery.core.shared import shared

# Octets of an instance's attachments together, and of a document; every node has them in memory.
MAX_OCTETS = 8 * 1024
# Other registries' APIs say what they have to say in fewer than ten.
MAX_DEPTH = 16

# By the name of the plugin, in the order of the names.
Attachments = tuple[tuple[str, bytes], ...]
# A value from now on, or what makes it of the one there is. None, in both directions: there is none.
Change = Any | Callable[[Any], Any]


def attachment(attachments: Attachments, plugin: str) -> Any:
    """None: there is none."""
    return next((exact_json.loads(text) for name, text in attachments if name == plugin), None)


def changed(attachments: Attachments, changes: Mapping[str, Change]) -> Attachments:
    """Those that are not named stay as they are. InvalidField."""
    kept = dict(attachments)
    for plugin, change in changes.items():
        value = change(attachment(attachments, plugin)) if callable(change) else change
        kept.pop(plugin, None)
        if value is not None:
            kept[plugin] = packed(value, f"attachments.{plugin}")
    octets = sum(map(len, kept.values()))
    if octets > MAX_OCTETS:
        raise InvalidField("attachments", too_large(f"{octets} octets", MAX_OCTETS))
    return tuple(sorted(kept.items()))


def packed(value: object, field: str = "document") -> bytes:
    """InvalidField."""
    return shared(pack(value, field, MAX_OCTETS, MAX_DEPTH))


def dumps(attachments: Attachments) -> dict[str, Any]:
    return {plugin: exact_json.loads(text) for plugin, text in attachments}


def loads(found: Mapping[str, Any]) -> Attachments:
    """ValueError: somebody may have written it by hand."""
    return changed((), dict(found))

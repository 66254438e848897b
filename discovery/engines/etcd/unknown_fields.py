"""Fields of an instance that a newer node has written and this one does not know.

They stay when this node writes the instance anew: a drain, a status, a registration with other contents. One that is registered here for
the first time has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.core import codec
from discovery.core.instance import OPTIONS, Instance, Registration

Json = dict[str, Any]

_KNOWN = codec.of_instance(Instance("", 0.0, Registration(name="", ip="", port=0))).keys()
_OPTIONS = {option.name for option in OPTIONS}


class UnknownFields:
    def __init__(self) -> None:
        self._of: dict[str, tuple[Json, Json]] = {}  # by id: beside the known ones, and among the options

    def note(self, shown: Mapping[str, Any]) -> None:
        """An instance as it stands in etcd."""
        beside, among = shown.keys() - _KNOWN, shown["options"].keys() - _OPTIONS
        if beside or among:
            options = shown["options"]
            self._of[shown["id"]] = {name: shown[name] for name in beside}, {name: options[name] for name in among}
        elif self._of:
            self._of.pop(shown["id"], None)

    def forget(self, id: str) -> None:
        self._of.pop(id, None)

    def added(self, shown: Json) -> Json:
        """What is to be written, with them."""
        found = self._of.get(shown["id"])
        if found is None:
            return shown
        beside, among = found
        return {**beside, **shown, "options": {**among, **shown["options"]}}

"""What a log line says in fields, beside its text: `_log.warning("…", extra=fields("zones.failed", file=file))`.

As text the log has the sentence alone; as JSON (`cli.logs`) it has each field under its own name. docs/logs.md lists the events.
"""

from __future__ import annotations

from collections.abc import Mapping


def fields(event: str, **values: object) -> Mapping[str, object]:
    """For `extra`. `event`: what happened, `noun.verb`. `values`: written later by another thread, so of things that do not change.

    The same thing has the same name in all lines: service, ip, port, id, index, actor (the token's name), client (an address), file.
    """
    values["event"] = event
    return {"fields": values}

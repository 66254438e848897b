"""What an import says of an instance, as Eureka's /apps has it, read into the records that its own registration would have left. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from discovery.core.errors import InvalidField
from discovery.core.instance import Registration
from discovery.plugins.eureka.info import MODIFIED
from discovery.plugins.eureka.record import NAME, Record, Records, number_of, read
from discovery.plugins.eureka.writing import MAX_IDS, overridden
from discovery.rest.api.errors import HttpError

_FIELD = f"importedAs.{NAME}"


def imported(said: Any, spec: Registration) -> Callable[[Records | None], Records]:
    """`said`: a list, the ids at one address. What a copy was overridden to be here stays. InvalidField."""
    if not isinstance(said, list) or not said:
        raise InvalidField(_FIELD, "must be a list of instances as Eureka's /apps has them")
    try:
        records = dict([_record(each, spec.name) for each in said[:MAX_IDS]])
    except HttpError as error:
        raise InvalidField(_FIELD, str(error)) from None

    def change(known: Records | None) -> Records:
        kept = {id: overridden(record) for id, record in (known or {}).items()}
        return {id: record | kept.get(id, {}) for id, record in records.items()}

    return change


def _record(said: Any, app: str) -> tuple[str, Record]:
    sent = read({"instance": said}, app)
    lease = said.get("leaseInfo") or {}
    registered, up, duration = (
        _number(lease, name) for name in ("registrationTimestamp", "serviceUpTimestamp", "durationInSecs")
    )
    record = sent.record | {"registered": registered, "dirty": registered if sent.dirty is None else sent.dirty}
    if said.get("actionType") == MODIFIED:
        record["updated"] = max(_number(said, "lastUpdatedTimestamp"), registered + 1)
    if sent.override is not None:
        record["overriddenStatus"] = sent.override
    return sent.id, record | {name: each for name, each in (("up", up), ("durationInSecs", duration)) if each}


def _number(found: Mapping[str, Any], name: str) -> int:
    return number_of(str(found.get(name))) or 0

"""A follower that writes one log line for each event: who, where, what and why."""

from __future__ import annotations

import logging

from discovery.core.event import RESTORE, Commit, DrainEvent, InstanceEvent, Kind, TokenEvent, WindowEvent
from discovery.core.log_fields import fields

_log = logging.getLogger("discovery.registry")

_WARN = {Kind.UNHEALTHY, Kind.EXPIRED, Kind.SUSPECT, Kind.FAILING, Kind.FLAPPING}


def log_commit(commit: Commit) -> None:
    if commit.action == RESTORE:  # the journal says how many in one line
        return
    for event in commit.events:
        if isinstance(event, InstanceEvent):
            _log_instance(event, commit)
        elif isinstance(event, WindowEvent):
            _log_window(event, commit)
        elif isinstance(event, DrainEvent):
            _log_drain(event, commit)
        elif isinstance(event, TokenEvent):
            _log_token(event, commit)


def _log_instance(event: InstanceEvent, commit: Commit) -> None:
    level = logging.WARNING if event.kind in _WARN else logging.INFO
    instance, index, by = event.instance, commit.index, commit.by
    spec = instance.spec
    _log.log(
        level, "%s %s %s: %s [id %s, index %d]",
        event.kind.value, spec.name, instance.address, event.reason, instance.id, index,
        extra=fields(
            f"instance.{event.kind}", service=spec.name, ip=spec.ip, port=spec.port, id=instance.id, reason=event.reason,
            index=index, actor=by.name, client=by.address,
        ),
    )  # fmt: skip


def _log_window(event: WindowEvent, commit: Commit) -> None:
    scope, index, by = event.scope, commit.index, commit.by
    what = scope.service if scope.ip is None else f"{scope.service} {scope.ip} port {scope.port}"
    verb = "ends" if event.after is None else "begins" if event.before is None else "goes on"
    name = "ended" if event.after is None else "begun" if event.before is None else "changed"
    _log.info(
        "maintenance of %s %s: %s [index %d]", what, verb, event.reason, index,
        extra=fields(
            f"maintenance.{name}", service=scope.service, ip=scope.ip, port=scope.port, reason=event.reason,
            index=index, actor=by.name, client=by.address,
        ),
    )  # fmt: skip


def _log_drain(event: DrainEvent, commit: Commit) -> None:
    verb = "forgotten" if event.after is None else "remembered"
    key, index, by = event.key, commit.index, commit.by
    _log.info(
        "drain of %s %s port %d %s: %s [index %d]", key.service, key.ip, key.port, verb, event.reason, index,
        extra=fields(
            f"drain.{verb}", service=key.service, ip=key.ip, port=key.port, reason=event.reason, index=index,
            actor=by.name, client=by.address,
        ),
    )  # fmt: skip


def _log_token(event: TokenEvent, commit: Commit) -> None:
    verb = "no longer revoked" if event.after is None else "revoked"
    revoked = event.after or event.before
    name = revoked.name if revoked is not None and revoked.name else "(no name)"
    sha256, index, by = event.sha256.hex(), commit.index, commit.by
    _log.warning(
        "token %s %s: %s [sha256 %s…, index %d]", name, verb, event.reason, sha256[:12], index,
        extra=fields(
            f"token.{'restored' if event.after is None else 'revoked'}", token=name, sha256=sha256, reason=event.reason,
            index=index, actor=by.name, client=by.address,
        ),
    )  # fmt: skip

"""/agent as it is written: services and checks that the agent of whoever asks is told of, their beats, and maintenance."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from discovery.core.caller import Caller
from discovery.core.check import TTL
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.health import MAX_OUTPUT, Finding, Health
from discovery.plugins.consul import decode, definitions
from discovery.plugins.consul.definitions import HEALTH
from discovery.plugins.consul.directory import MAINTENANCE, Peer, node_key
from discovery.plugins.consul.manners import DONE, Refused
from discovery.plugins.consul.reading import Reader, put
from discovery.plugins.consul.topics import PLUGIN
from discovery.plugins.consul.writes import ChangeChecks, DeregisterPeer, FollowNode, MaintainPeer, RegisterPeer
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Handler, Kind, Reply, Route
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.operations import PutDocument
from discovery.store.registration import ReportCheck
from discovery.store.service import Entry
from discovery.store.write import Write

_VERBS = {"pass": Health.PASSING, "warn": Health.WARNING, "fail": Health.FAILING}
_MAX_REASON = 256


class Registering:
    """`count_registration`: is told of each by address and time, and refuses one too many."""

    engine: Engine

    def __init__(self, reader: Reader, count_registration: Callable[[str, float], None]) -> None:
        self.reader = reader
        self._directory = reader.directory
        self._keep = reader.settings.consul_keep
        self._count_registration = count_registration

    def routes(self) -> list[Route]:
        beat, operation = Kind.HEARTBEAT, Kind.OPERATION
        return [
            *(
                put(f"/agent/check/{verb}/{{id}}", self._reporting(health), f"A TTL check: {health}", beat)
                for verb, health in _VERBS.items()
            ),
            put("/agent/check/update/{id}", self.update, "A TTL check, with its status in the body", beat),
            put("/agent/service/register", self.register, "Register, or register again", Kind.REGISTRATION),
            put("/agent/service/deregister/{id}", self.deregister, "Deregister", Kind.REMOVAL),
            put("/agent/check/register", self.add_check, "One more check of a service"),
            put("/agent/check/deregister/{id}", self.remove_check, "A check no longer"),
            put("/agent/service/maintenance/{id}", self.maintain, "Maintenance of a service begins or ends", operation),
            put("/agent/maintenance", self.maintain_node, "Maintenance of a node begins or ends", operation),
        ]

    # -- services

    async def register(self, request: Request) -> Answer:
        self._count_registration(request.caller.address, self.reader.clock())
        asked, at = self.reader.asked(request), self.reader.host_of(request)
        body = decode.body(request.body, decode.SERVICE)
        said = definitions.service(body, at, self._keep)
        if "Address" in said.peer.said:
            self.reader.require_reachable(request)
        node = self._directory.nodes.at(at)
        _, leaves = self._directory.known_as(node, said.peer.id)
        register = RegisterPeer(
            said.spec, peer=said.peer, checks=said.checks, replaced=asked.flag("replace-existing-checks"), leaves=leaves,
            nodes=self._directory.nodes,
        )  # fmt: skip
        is_out = MAINTENANCE in self._directory.remembered(node.name)
        follow = FollowNode(said.spec.key, self._directory.nodes, "its node is in maintenance")
        await self.submit_all(request.caller, register, *([follow] if is_out else []))
        return DONE

    async def deregister(self, request: Request) -> Answer:
        found = self._named(request, request.names["id"])
        if found is not None:
            entry, peer = found
            await self._submit_known(request, DeregisterPeer, entry, peer, f"deregistered, {request.reason}")
        return DONE

    def _named(self, request: Request, id: str) -> tuple[Entry, Peer] | None:
        """At the caller's node; an admin may name what is at one other node alone."""
        node = self._directory.nodes.at(self.reader.host_of(request))
        if request.caller.grants.admin:
            return self._directory.anywhere(node, id)
        return self._directory.find(node, id)

    async def submit_all(self, by: Caller, *writes: Write[Any]) -> None:
        for result in await self.engine.submit_all(writes, by):
            if isinstance(result, InvalidField):
                raise Refused(400, f"Invalid service {result}")
            if isinstance(result, DiscoveryError):
                raise result

    async def _submit_known(
        self, request: Request, write: Callable[..., Write[Any]], entry: Entry, peer: Peer, reason: str, *what: object
    ) -> None:
        with contextlib.suppress(UnknownInstance):  # it went meanwhile, as was asked
            about = write(entry.instance.id, peer, self._directory.nodes, reason, *what)
            await self.submit_all(request.caller, about)

    # -- beats

    def _reporting(self, health: Health) -> Handler:
        def handler(request: Request) -> Reply:
            return self._report(request, health, self._note(request) if "?" in request.target else "")

        return handler

    def _note(self, request: Request) -> str:
        name, _, text = request.query.partition("=")
        if name == "note" and "&" not in text:  # nearly always
            return unquote_plus(text, errors="replace")
        return self.reader.asked(request).first("note") or ""

    def update(self, request: Request) -> Reply:
        body = decode.body(request.body, decode.UPDATE)
        status = body.get("Status", "")
        if status not in HEALTH:
            raise Refused(400, f"Invalid check status: '{status:.40}'")
        return self._report(request, HEALTH[status], body.get("Output", ""))

    def _report(self, request: Request, health: Health, output: str) -> Reply:
        id = request.names["id"]
        place = self._directory.place_of(self.reader.host_of(request))
        instance, check = ("", "") if place is None else place.checks.get(id, ("", ""))
        entry = self.reader.registry.find(instance)
        if len(output) > MAX_OUTPUT // 4:
            output = output.encode(errors="replace")[:MAX_OUTPUT].decode(errors="ignore")
        if entry is not None and entry.says(check, health, self.reader.clock()):
            self.engine.renew(instance, request.caller, check)
            entry.note_output(check, output)
            return DONE
        if entry is None or not _is_ttl(entry, check):
            raise Refused(500, f'CheckID "{id}" does not have associated TTL')
        return self._report_news(ReportCheck(instance, check, Finding(health, output)), request.caller)

    async def _report_news(self, write: ReportCheck, by: Caller) -> Answer:
        await self.engine.submit(write, by)
        return DONE

    # -- checks

    async def add_check(self, request: Request) -> Answer:
        body = decode.body(request.body, decode.CHECK)
        if not body.get("Name"):
            raise Refused(400, "Missing check name")
        node = self._directory.nodes.at(at := self.reader.host_of(request))
        if not body.get("ServiceID"):
            text = f"A check of a whole node is not made here: say of which service of {node.name} it is (ServiceID)"
            raise Refused(500, text)
        found = self._directory.find(node, body["ServiceID"])
        if found is None:
            raise Refused(500, f'ServiceID "{body["ServiceID"]}" does not exist')
        entry, peer = found
        try:
            spec = entry.instance.spec
            check = definitions.check(body, body["Name"], body["Name"], peer._replace(at=at), spec, self._keep)
        except InvalidField as error:
            raise Refused(400, f"Invalid check: {error}") from None
        reason = f"check {check.id} added, {request.reason}"
        write = ChangeChecks(
            entry.instance.id, peer, self._directory.nodes, reason, check.id, check, body.get("Notes", "")
        )
        await self.submit_all(request.caller, write)
        return DONE

    async def remove_check(self, request: Request) -> Answer:
        place = self._directory.place_of(self.reader.host_of(request))
        instance, id = ("", "") if place is None else place.checks.get(request.names["id"], ("", ""))
        entry = self.reader.registry.find(instance)
        if entry is not None:
            check = next(each for each in entry.instance.spec.checks if each.id == id)
            peers = self._directory.peers_of(entry.instance)
            peer = next(each for each in peers if each.key == check.group)
            reason = f"check {id} removed, {request.reason}"
            await self._submit_known(request, ChangeChecks, entry, peer, reason, id, None)
        return DONE

    # -- maintenance

    def _enables(self, request: Request) -> tuple[bool, str]:
        asked = self.reader.asked(request)
        text = asked.first("enable")
        if not text:
            raise Refused(400, "Missing value for enable")
        try:
            return asked.flag("enable"), (asked.first("reason") or "")[:_MAX_REASON]
        except Refused:
            raise Refused(400, f'Invalid value for enable: "{text}"') from None

    async def maintain(self, request: Request) -> Answer:
        enable, why = self._enables(request)
        id = request.names["id"]
        found = self._named(request, id)
        if found is None:
            raise Refused(404, f'No service registered with ID "{id}"')
        entry, peer = found
        reason = f"maintenance: {why}" if enable else f"maintenance ended, {request.reason}"
        await self._submit_known(request, MaintainPeer, entry, peer, reason, why if enable else None)
        return DONE

    async def maintain_node(self, request: Request) -> Answer:
        """Of the agent's node: remembered, and all that is there follows."""
        enable, why = self._enables(request)
        node = self._directory.nodes.at(self.reader.host_of(request))
        reason = (
            f"maintenance of {node.name}: {why}" if enable else f"maintenance of {node.name} ended, {request.reason}"
        )
        value = {"Node": node.name, MAINTENANCE: why} if enable else None
        await self.engine.submit(PutDocument(PLUGIN, node_key(node.name), value, None, reason), request.caller)
        ids = {entry.instance.id for entry, _ in self._directory.own(node)}
        follow = [FollowNode(id, self._directory.nodes, reason) for id in ids]
        for result in await self.engine.submit_all(follow, request.caller):
            if isinstance(result, DiscoveryError) and not isinstance(result, UnknownInstance):
                raise result
        return DONE


def _is_ttl(entry: Entry, id: str) -> bool:
    return any(check.id == id and check.kind == TTL for check in entry.instance.spec.checks)

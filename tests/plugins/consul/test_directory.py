"""Whatever is registered, changed and taken back in whatever order: the directory knows what follows from the table alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.caller import NOBODY
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.health import Finding, Health
from discovery.core.instance import Key, Registration
from discovery.core.name import fold
from discovery.plugins.consul import definitions, views
from discovery.plugins.consul.directory import Directory, Place
from discovery.plugins.consul.nodes import Nodes
from discovery.plugins.consul.writes import (
    ChangeChecks,
    DeregisterPeer,
    FollowNode,
    JudgeNode,
    MaintainPeer,
    RegisterPeer,
    SetStatuses,
    with_statuses,
)
from discovery.plugins.eureka.record import read
from discovery.plugins.eureka.writing import Announce, Cancel
from discovery.store.registration import Deregister, Register, ReportCheck
from tests.driven import DrivenRegistry
from tests.examples import examples
from tests.plugins.eureka.house import sent
from tests.store.making import ALL, START, a_registry

NODES = Nodes({"10.0.0.2": "two"})
_TTL = {"TTL": 9, "Status": "passing", "DeregisterCriticalServiceAfter": 60}


class House:
    def __init__(self) -> None:
        self.now = START
        self.registry: DrivenRegistry = a_registry()
        self.directory = Directory(self.registry, NODES)
        self.registry.followers.append(self.directory.follow_commit)

    def register(self, id: str, at: str, port: int, checked: bool, node: str | None, replaced: bool) -> None:
        checks = [_TTL, {**_TTL, "CheckID": f"own {id}"}] if checked and node is None else []
        body = {"Name": "web", "ID": id, "Port": port, "Address": "10.0.0.1", "Checks": checks, "Tags": [id]}
        said = definitions.service(body, at if node is None else "192.0.2.9", 600.0, node)
        peer = said.peer
        if node is not None:
            status = {
                "CheckID": "p",
                "Name": "",
                "Status": "passing" if checked else "critical",
                "Output": "",
                "Notes": "",
            }
            peer = with_statuses(peer, [status])
        _, leaves = self.directory.known_as(self.directory.node_of(peer), id)
        write = RegisterPeer(said.spec, peer=peer, checks=said.checks, replaced=replaced, leaves=leaves, nodes=NODES)
        self.do(write)

    def of_peer(self, id: str, at: str, change: Callable[..., Any], *what: Any) -> None:
        found = self.directory.find(NODES.at(at), id)
        if found is not None:
            self.do(change(found[0].instance.id, found[1], NODES, "asked", *what))

    def check(self, id: str, at: str, name: str, is_there: bool) -> None:
        """Its own: as in Consul, a check's id is one of its host's."""
        name = f"{name} {id}"
        if (found := self.directory.find(NODES.at(at), id)) is not None:
            entry, peer = found
            check = definitions.check(_TTL, name, name, peer, entry.instance.spec, 600.0) if is_there else None
            place = self.directory.places[fold(self.directory.node_of(peer).name)]
            self.of_peer(id, at, ChangeChecks, name if is_there else place.checks.get(name, ("", ""))[1], check, "n")

    def of_port(self, port: int, write: Callable[[Key], Any]) -> None:
        key = Key("web", "10.0.0.1", port)
        if self.registry.find(key) is not None:
            self.do(write(key))

    def native(self, port: int) -> None:
        self.do(Register(Registration.of("web", "10.0.0.1", port, ttl=30)))

    def eureka(self, id: str, port: int) -> None:
        self.do(Announce(read(sent(id, port=port), "WEB"), None))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.registry.advance(self.now, ALL)

    def do(self, write: Any) -> None:
        with suppress(DiscoveryError):  # it is refused, and has changed nothing
            self.registry.do(write, self.now)

    def assert_agrees(self) -> None:
        """With a directory that sees the table as it is now for the first time."""
        again = Directory(self.registry, NODES)
        for entry in self.registry:
            instance = entry.instance
            event = InstanceEvent(Kind.REGISTERED, fold(instance.spec.name), None, instance, "", True)
            again.follow_commit(Commit(self.registry.index, 0.0, NOBODY, "test", (event,)))
        assert _shown(self.directory.places) == _shown(again.places)
        for place in self.directory.places.values():
            for entry, peer in self.directory.own(place.node):
                checks = views.service_checks(place.node, entry, peer, self.now, None)
                assert len({check["CheckID"] for check in checks}) == len(checks)


def _shown(places: Mapping[str, Place]) -> Any:
    return {
        name: (place.node, place.ids, place.checks, set(place.instances), place.external, place.unchecked, place.silent)
        for name, place in places.items()
    }


_ID, _AT, _PORT = st.sampled_from("ab"), st.sampled_from(("10.0.0.1", "10.0.0.2")), st.sampled_from((1, 2))
_STATUS = {"CheckID": "p", "Name": "", "Status": "critical", "Output": "", "Notes": ""}
_STEPS = st.one_of(
    st.tuples(
        st.just(House.register), _ID, _AT, _PORT, st.booleans(), st.sampled_from((None, None, "ext")), st.booleans()
    ),
    st.tuples(st.just(House.of_peer), _ID, _AT, st.just(DeregisterPeer)),
    st.tuples(st.just(House.of_peer), _ID, _AT, st.just(MaintainPeer), st.sampled_from(("why", None))),
    st.tuples(st.just(House.of_peer), _ID, _AT, st.just(SetStatuses), st.just((_STATUS,))),
    st.tuples(st.just(House.check), _ID, _AT, st.sampled_from(("own", "x")), st.booleans()),
    st.tuples(
        st.just(House.of_port),
        _PORT,
        st.sampled_from(
            (
                lambda key: Deregister(key, "asked"),
                lambda key: JudgeNode(key, Finding(Health.FAILING, "gone")),
                lambda key: JudgeNode(key, Finding()),
                lambda key: FollowNode(key, NODES, "x"),
                lambda key: ReportCheck(key, "own a", Finding(Health.FAILING, "no")),
                lambda key: Cancel(key, "a", "asked"),
            )
        ),
    ),
    st.tuples(st.just(House.native), _PORT),
    st.tuples(st.just(House.eureka), _ID, _PORT),
    st.tuples(st.just(House.wait), st.sampled_from((5.0, 10.0, 70.0))),
)


@settings(max_examples=examples(60))
@given(st.lists(_STEPS, max_size=14))
def test_what_it_knows_follows_from_the_table(steps: list[tuple[Any, ...]]) -> None:
    house = House()
    for step, *given_ in steps:
        step(house, *given_)
        house.assert_agrees()

"""What the house says against what the model says, surface by surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from tests.differential import names
from tests.differential.house import House, Said
from tests.differential.model import Key, Model, Row
from tests.differential.names import TYPES, ZONES, Asked, Expected

# Names of one service that are asked for after an operation about it.
NEAR = 6


class Judge:
    """`compared` counts what was held against the model, by surface. AssertionError says what differs."""

    def __init__(self, house: House, model: Model, random: Random) -> None:
        self.house = house
        self.model = model
        self.random = random
        self.compared: Counter[str] = Counter()
        self._serial = 0

    async def some(self, service: str) -> None:
        zone = self.random.choice(ZONES)
        all_names = self._names(service, zone)
        for asked in self.random.sample(all_names, min(NEAR, len(all_names))):
            self._compare_name(asked, zone, self.random.choice(TYPES))
        self._compare_name(names.of(service, self.model.of(service), zone)[0], zone, self.random.choice(("A", "SRV")))
        self._compare_browse(zone)
        for key in list(self.model.of(service))[:1]:
            self._compare_reverse(key[1])
        for label in list(self.model.fixed)[:1]:
            self._compare_fixed(label)
        await self._compare_resolve(service)

    def serial(self, index: int) -> None:
        """The SOA's is the index, which HTTP has just told."""
        for zone in ZONES:
            [soa] = self.house.ask(zone, "SOA", warm=self.random.random() < 0.5).data
            assert int(soa.split()[2]) == index
            self.compared["serial"] += 1

    async def everything(self, services: Iterable[str], ips: Iterable[str]) -> None:
        """`services` and `ips`: names and addresses to ask for though nobody may have them."""
        for service in {*self.model.services(), *services}:
            await self._compare_resolve(service)
            for zone in ZONES:
                for asked in self._names(service, zone):
                    for rtype in TYPES:
                        self._compare_name(asked, zone, rtype)
        for ip in ips:
            self._compare_reverse(ip)
        for label in self.model.fixed:
            self._compare_fixed(label)
        for zone in ZONES:
            self._compare_browse(zone)
            await self._compare_transfer(zone)
        await self._compare_lists()

    def _compare_reverse(self, ip: str) -> None:
        self._compare("reverse", names.reverse_name(ip), "PTR", names.reverse(self.model, ip))

    def _compare_fixed(self, label: str) -> None:
        expected = Expected("ANSWER", frozenset([self.model.fixed[label]]), (60, 60))
        self._compare("fixed", f"{label}.{ZONES[0]}", "A", expected)

    def _compare_browse(self, zone: str) -> None:
        self._compare("browse", f"_services._dns-sd._udp.{zone}", "PTR", names.browse(self.model, zone))
        self._compare("browse", f"b._dns-sd._udp.{zone}", "PTR", Expected("ANSWER", frozenset([f"{zone}."]), (5, 5)))

    def _names(self, service: str, zone: str) -> list[Asked]:
        """None of a service whose name is fixed in that zone's file."""
        if zone == ZONES[0] and service in self.model.fixed:
            return []
        return names.of(service, self.model.of(service), zone)

    def _compare_name(self, asked: Asked, zone: str, rtype: str) -> None:
        if asked.service in self.model.fixed and zone == ZONES[0]:
            return
        self._compare(asked.form, asked.name, rtype, names.expected(self.model, asked, zone, rtype))

    def _compare(self, surface: str, name: str, rtype: str, expected: Expected) -> None:
        spelt = "".join(self.random.choice((c.upper(), c)) for c in name) if self.random.random() < 0.2 else name
        for warm in (False, True, True):  # the second warm one is surely kept, if it may be
            said = self.house.ask(spelt, rtype, warm=warm)
            _judge(expected, said, warm, (name, rtype, "warm" if warm else "cold"))
            self._watch_serial(said)
            self.compared[f"{surface} {'warm' if warm else 'cold'}"] += 1
        udp = self.house.ask(
            name, rtype, warm=self.random.random() < 0.5, udp=True, edns=self.random.choice((None, 1232))
        )
        assert set(udp.data) <= expected.data, (name, rtype, udp)
        assert udp.cut or len(udp.data) == min(len(expected.data), expected.most or len(expected.data)), (
            name,
            rtype,
            udp,
        )
        assert udp.outcome == expected.outcome or (udp.cut and not udp.data), (name, rtype, udp)
        self.compared["over udp"] += 1

    def _watch_serial(self, said: Said) -> None:
        if said.serial is not None:
            assert said.serial >= self._serial, "the serial goes only up"
            self._serial = said.serial

    async def _compare_resolve(self, service: str) -> None:
        served = self.model.served(self.model.of(service))
        reply = await self.house.http("GET", f"/resolve/{service}")
        self.compared["GET /resolve"] += 1
        if not served:
            assert reply.status == 404, reply
            return
        assert reply.status == 200, reply
        shown = reply.body["instances"]
        assert len(shown) == reply.body["instanceCount"]
        assert {one["id"]: _as_shown(one) for one in shown} == {
            row.id: _of_row(key, row) for key, row in served.items()
        }
        beats = [one["lastHeartbeat"] for one in shown]
        assert beats == sorted(beats, reverse=True), "the latest heartbeat first"

    async def _compare_lists(self) -> None:
        listed = (await self.house.http("GET", "/services")).body["services"]
        shown = {
            one["id"]: (name.lower(), one["ip"], one["port"], one["status"], one["isHealthy"])
            for name, service in listed.items()
            for one in service["instances"]
        }
        expected = {
            row.id: (*key, self.model.status(key), self.model.status(key) == "healthy")
            for key, row in self.model.rows.items()
        }
        assert shown == expected
        windows = (await self.house.http("GET", "/maintenance")).body["windows"]
        scopes = {(one["serviceName"].lower(), one.get("ip"), one.get("port")) for one in windows}
        assert scopes == set(self.model.windows)
        self.compared["GET /services"] += 1
        self.compared["GET /maintenance"] += 1

    async def _compare_transfer(self, zone: str) -> None:
        """Every record of a live name, for the forms that a transfer has, and no other such record."""
        sent: dict[tuple[str, str], dict[str, int]] = {}
        for record in await self.house.transfer(zone):
            if record.type in TYPES:
                assert record.data not in sent.setdefault((record.name, record.type), {})
                sent[record.name, record.type][record.data] = record.ttl
        for service in self.model.services():
            for asked in self._names(service, zone):
                if not _is_transferred(asked, zone):
                    continue
                for rtype in TYPES:
                    expected = names.expected(self.model, asked, zone, rtype)
                    got = sent.pop((asked.name, rtype), {})
                    assert set(got) == expected.data, (asked.name, rtype)
                    assert all(expected.ttl[0] <= ttl <= expected.ttl[1] for ttl in got.values()), (
                        asked.name,
                        rtype,
                        got,
                    )
                    self.compared["transfer"] += 1
        browse = names.browse(self.model, zone)
        got = sent.pop((f"_services._dns-sd._udp.{zone}", "PTR"), {})
        assert set(got) == browse.data
        assert set(got.values()) <= {browse.ttl[0]}
        fixed = self.model.fixed if zone == ZONES[0] else {}
        rest = {(f"{label}.{zone}", "A"): {ip: 60} for label, ip in {"ns": "192.0.2.53", **fixed}.items()}
        rest |= {(f"{label}._dns-sd._udp.{zone}", "PTR"): {f"{zone}.": names.MAX_TTL} for label in ("b", "db", "lb")}
        assert sent == rest


def _judge(expected: Expected, said: Said, warm: bool, about: object) -> None:
    assert said.outcome == expected.outcome, (about, expected, said)
    assert not said.cut, about
    if expected.most is None:
        assert sorted(said.data) == sorted(expected.data), (about, expected, said)
    else:
        assert set(said.data) <= expected.data, (about, expected, said)
        assert len(said.data) == len(set(said.data)) == min(expected.most, len(expected.data)), (about, expected, said)
    least, most = expected.ttl
    assert all((0 if warm else least) <= ttl <= most for ttl in said.ttls), (about, expected, said)
    if expected.beside:
        targets = {text.split()[3] for text in said.data}
        assert said.beside == {target: expected.beside[target] for target in targets}, (about, expected, said)


def _is_transferred(asked: Asked, zone: str) -> bool:
    """The transfer README: no names that select some instances, and no other registry's spelling."""
    service = asked.service
    plain = asked.name in (f"{service}.{zone}", f"_{service}._tcp.{zone}", f"_{service}._udp.{zone}")
    instance = asked.name.startswith("ip-") and asked.name.endswith(
        (f".{service}.{zone}", f"._{service}._tcp.{zone}", f"._{service}._udp.{zone}")
    )
    named_port = asked.form == names.NAMED_PORT and asked.name.endswith(f".{service}.{zone}")
    return plain or instance or named_port


def _as_shown(one: Mapping[str, Any]) -> object:
    return one["ip"], one["port"], one["status"], one["metadata"]


def _of_row(key: Key, row: Row) -> object:
    return key[1], key[2], "healthy", row.get("metadata")

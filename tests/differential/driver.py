"""Random operations on the house and on the model; after each one the judge compares some names, and everything now and then."""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from typing import Any

from tests.differential.house import House
from tests.differential.judge import Judge
from tests.differential.model import INTERVAL, Key, Model, key_of

# `lonely` is sometimes the name of a service and sometimes fixed.
SERVICES = ("web", "api", "Mixed-Case", "mail_1", "lonely")
IPS = ("10.0.0.1", "10.0.0.2", "192.0.2.77", "2001:db8::1", "2001:db8:0:1::9")
PORTS = (80, 443, 3001)
FIXED = ("printer", "lonely", "scanner")
# Operations between two comparisons of everything.
EVERY = 50


class Driver:
    def __init__(self, house: House, seed: int) -> None:
        self.house = house
        self.model = Model(house.now)
        self.random = Random(seed)
        self.operations: Counter[str] = Counter()
        self.judge = Judge(house, self.model, self.random)
        self._spent = 0.0

    async def run(self, operations: int) -> None:
        started = time.perf_counter()
        for number in range(operations):
            of_each_one = number < len(OPERATIONS)
            operation = OPERATIONS[number] if of_each_one else self.random.choices(OPERATIONS, _WEIGHTS)[0]
            self.operations[operation.__name__] += 1
            near = await operation(self)
            await self.judge.some(near)
            if number % EVERY == EVERY - 1:
                await self.judge.everything([*map(str.lower, SERVICES), *FIXED], IPS)
        await self.judge.everything([*map(str.lower, SERVICES), *FIXED], IPS)
        self._spent += time.perf_counter() - started

    def report(self) -> str:
        rows = [("operations", self.operations), ("compared", self.judge.compared)]
        lines = [f"{title}: {counts.total()}  " + ", ".join(f"{name} {count}" for name, count in counts.most_common())
                 for title, counts in rows]  # fmt: skip
        return "\n".join([*lines, f"{self._spent:.1f} s, all equal"])

    # -- operations; each returns the service that it was about

    async def register(self) -> str:
        sent = self._registration()
        if key_of(sent) in self.model.spoilt:
            return key_of(sent)[0]
        reply = await self.house.http("POST", "/register", sent)
        assert reply.status == self.model.register(sent), (sent, reply)
        if reply.status == 201:
            self.model.came(sent, reply.body["instance"]["id"])
            self.judge.serial(reply.body["index"])
        else:
            assert reply.body["code"] in ("SERVICE_FULL", "NAME_RESERVED")
        return key_of(sent)[0]

    async def beat(self) -> str:
        key = self._key()
        body = {"name": self._spelt(key[0]), "ip": key[1], "port": key[2]}
        reply = await self.house.http("POST", "/heartbeat", body)
        assert reply.status == self.model.beats(key), (body, reply)
        return key[0]

    async def everybody_beats(self) -> str:
        for key in list(self.model.rows):
            reply = await self.house.http("POST", "/heartbeat", {"name": key[0], "ip": key[1], "port": key[2]})
            assert reply.status == self.model.beats(key)
        return self._service()

    async def drain(self) -> str:
        key, drained = self._key(), self.random.random() < 0.6
        path = f"/services/{self._spelt(key[0])}/instances/drain?ip={key[1]}&port={key[2]}"
        reply = await self.house.http("PUT" if drained else "DELETE", path)
        assert reply.status == self.model.drain(key, drained), (path, reply)
        return key[0]

    async def maintain(self) -> str:
        key = self._key()
        whole = self.random.random() < 0.3
        scope = (key[0], None, None) if whole else key
        instance = "" if whole else f"/instances/maintenance?ip={key[1]}&port={key[2]}"
        path = f"/services/{key[0]}{instance or '/maintenance'}"
        seconds = self.random.choice([1, 5, 30])
        if self.random.random() < 0.6:
            reply = await self.house.http("PUT", path, {"reason": "test", "seconds": seconds})
            assert reply.status == self.model.maintain(scope, self.house.now + seconds), (path, reply)
        else:
            reply = await self.house.http("DELETE", path)
            assert reply.status == self.model.end_maintenance(scope), (path, reply)
        return key[0]

    async def deregister(self) -> str:
        key = self._key()
        if self.random.random() < 0.2:
            reply = await self.house.http("DELETE", f"/services/{self._spelt(key[0])}")
            assert reply.status == self.model.deregister_service(key[0])
        else:
            path = f"/services/{self._spelt(key[0])}/instances?ip={key[1]}&port={key[2]}"
            assert (await self.house.http("DELETE", path)).status == self.model.deregister(key)
        return key[0]

    async def check(self) -> str:
        if not self.model.rows:
            return self._service()
        key = self.random.choice(list(self.model.rows))
        row = self.model.rows[key]
        row.failing = self.random.random() < 0.5
        await self.house.checked(row.id, "connection refused" if row.failing else None)
        return key[0]

    async def time_passes(self) -> str:
        """The registry is told of it at once, or late; never later than the end of a window, which it is told of on time."""
        key = self._key()
        seconds = self.random.choice([0.125, 0.5, 1.0, 2.5, 4.0])
        if (
            key in self.model.rows and self.random.random() < 0.3
        ):  # the very instant of an expiry, or a step before or after it
            ends = self.model.rows[key].ends + self.random.choice([-1.0, -0.125, 0.0, 0.125])
            seconds = max(0.125, min(10.0, ends - self.house.now))
        self.house.forward(seconds)
        self.model.now = self.house.now
        window_is_over = any(until <= self.model.now for until in self.model.windows.values())
        if window_is_over or self.random.random() < 0.6:
            await self._settle()
        return key[0]

    async def zones_are_read_anew(self) -> str:
        free = [label for label in FIXED if not self.model.of(label)]
        labels = self.random.sample(free, self.random.randint(1, 2))
        self.model.fixed = {label: f"192.0.2.{number + 1}" for number, label in enumerate(labels)}
        self.house.reload(self.model.fixed)
        return self._service()

    async def _settle(self) -> None:
        self.house.settle()
        self.model.reaped()
        for key, row in list(self.model.rows.items()):
            if self.model.now >= row.ends + INTERVAL:
                reply = await self.house.http("GET", f"/instances/{row.id}")
                self.model.removed(key, reply.status == 404)

    # -- drawing

    def _service(self) -> str:
        return self.random.choice(SERVICES).lower()

    def _spelt(self, service: str) -> str:
        return self.random.choice([service, service.upper()])

    def _key(self) -> Key:
        """Nearly always one that is there."""
        if self.model.rows and self.random.random() < 0.95:
            return self.random.choice(list(self.model.rows))
        return self._service(), self.random.choice(IPS), self.random.choice(PORTS)

    def _registration(self) -> dict[str, Any]:
        draw = self.random
        sent: dict[str, Any] = {"name": draw.choice(SERVICES), "ip": draw.choice(IPS), "port": draw.choice(PORTS)}
        some: dict[str, Any] = {
            "tags": draw.sample(["blue", "Green", "v2"], draw.randint(1, 3)),
            "ports": {name: draw.choice([8080, 9090]) for name in draw.sample(["http", "metrics"], draw.randint(1, 2))},
            "protocol": draw.choice(["udp", ["tcp", "udp"]]),
            "weight": draw.choice([0, 1, 65535]),
            "priority": draw.choice([0, 10, 20]),
            "zone": draw.choice(["eu-1", "US-1"]),
            "ttl": draw.choice([1, 3, 30]),
            "metadata": draw.choice([{"version": "1.2"}, {"replicas": 3, "ok": True, "none": None}, {"a": [1, 2]}]),
            "maxAnswers": draw.choice([1, 2, 5]),
        }  # fmt: skip
        return sent | {name: value for name, value in some.items() if draw.random() < 0.3}


OPERATIONS, _WEIGHTS = zip(
    (Driver.register, 30),
    (Driver.beat, 15),
    (Driver.everybody_beats, 3),
    (Driver.time_passes, 30),
    (Driver.drain, 8),
    (Driver.maintain, 8),
    (Driver.deregister, 6),
    (Driver.check, 8),
    (Driver.zones_are_read_anew, 4),
    strict=True,
)

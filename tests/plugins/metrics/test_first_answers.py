"""From a 201 to the first answer with that instance: who is followed, what counts as an answer, and that nobody is followed for ever."""

from __future__ import annotations

from random import Random

import orjson
import pytest

from discovery.dns.message.query import UDP
from discovery.plugins.metrics.first_answers import MAX_FOLLOWED, SAMPLE, SECONDS, FirstAnswers
from discovery.rest.http.traffic import Traffic
from tests.dns.world import CLIENT, World, make_query
from tests.routes import asked


class House:
    def __init__(self) -> None:
        self.now = 0.0
        self.world = World(hot=True)
        self.http = Traffic()
        self.answers = FirstAnswers(self.world.traffic, self.http, lambda: self.now, Random(1))
        self.answers._left = 0  # the next is followed
        self.world.registry.followers.append(self.answers.follow_commit)

    def said(self, method: str, path: str, status: int, body: object = None) -> None:
        request = asked(method, path, status=status)
        request.body = orjson.dumps(body)
        self.http.note(request, CLIENT, 0.001)

    def registered(self, name: str = "api", ip: str = "192.0.2.1", status: int = 201) -> None:
        self.said("POST", "/register", status, {"name": name, "ip": ip, "port": 3001})

    def ask(self, name: str = "api.svc.local", rtype: str = "A") -> None:
        self.world.responder.respond(make_query(name, rtype).to_wire(), 0.0, CLIENT, UDP)

    def is_looking(self) -> bool:
        return self.world.traffic.on_answer is not None

    def measured(self) -> tuple[int, float]:
        return sum(self.answers._seconds.counts), self.answers._seconds.sum


@pytest.fixture
def it() -> House:
    return House()


@pytest.mark.parametrize("rtype", ["A", "SRV"])
def test_an_answer_over_dns_after_the_201(it: House, rtype: str) -> None:
    it.world.add("api", "192.0.2.1")
    it.now = 1.0
    it.registered()
    it.now = 3.5
    it.ask(rtype=rtype)
    assert it.measured() == (1, 2.5)
    it.ask()
    assert it.measured() == (1, 2.5)


def test_an_answer_over_http(it: House) -> None:
    it.world.add("api", "192.0.2.1")
    it.registered()
    it.now = 2.0
    it.said("GET", "/resolve/api?tag=blue", 200)
    it.said("GET", "/resolve/other", 200)
    it.said("GET", "/resolve/api", 404)
    assert it.measured() == (0, 0)
    it.said("GET", "/resolve/API", 200)
    assert it.measured() == (1, 2.0)


def test_an_answer_before_the_201_took_no_time(it: House) -> None:
    it.world.add("api", "192.0.2.1")
    it.ask()
    it.now = 2.0
    it.registered()
    assert it.measured() == (1, 0.0)


def test_an_answer_without_that_instance_is_none(it: House) -> None:
    it.world.add("api", "192.0.2.1", tags=["blue"])
    it.world.add("api", "192.0.2.2", tags=["green"])
    it.registered()
    it.ask("green.api.svc.local")
    it.ask("api.svc.local", "AAAA")
    assert it.measured() == (0, 0)
    it.ask("blue.api.svc.local")
    assert it.measured()[0] == 1


@pytest.mark.parametrize("body", [None, [], {}, {"name": 5}, {"name": "api", "ip": "192.0.2.9", "port": 3001}])
def test_another_201_is_not_taken_for_it(it: House, body: object) -> None:
    it.world.add("api", "192.0.2.1")
    it.said("POST", "/register", 201, body)
    it.ask()
    assert it.measured() == (0, 0)


def test_who_is_not_asked_for_is_forgotten_and_no_answer_is_looked_at_any_more(it: House) -> None:
    it.world.add("api", "192.0.2.1")
    it.registered()
    assert it.is_looking()
    it.now = SECONDS + 1
    it.answers.forget_old()
    assert not it.is_looking()
    it.ask()
    assert it.measured() == (0, 0)


def test_one_in_sixteen_is_followed_and_never_too_many(it: House) -> None:
    for number in range(40 * SAMPLE):
        it.world.add(f"service-{number}", "192.0.2.1")
    assert 25 < len(it.answers._followed) < 55
    for number in range(100 * SAMPLE):
        it.world.add(f"more-{number}", "192.0.2.1")
    assert len(it.answers._followed) == MAX_FOLLOWED

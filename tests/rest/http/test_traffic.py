"""Every request is counted once, by route, method and status, whoever answered it and wherever it was refused."""

from __future__ import annotations

from random import Random

import pytest

from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind
from discovery.rest.http.traffic import SAMPLE, Traffic
from tests.routes import asked


def traffic() -> Traffic:
    it = Traffic(Random(1))
    it.methods = ("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
    return it


def request(method: str, target: str, status: int) -> Request:
    return asked(method, target, status=status)


def numbers(of: Traffic) -> dict[tuple[str, ...], object]:
    read = of.metrics()[0].read()
    assert isinstance(read, dict)
    return dict(read)


def test_requests_are_counted_by_route_method_and_status() -> None:
    it = traffic()
    for number in range(3):
        it.note(request("GET", f"/resolve/service-{number}?tag=a", 200), "10.0.0.1", 0.001)
    it.note(request("POST", "/register", 201), "10.0.0.1", 0.003)
    it.note(request("POST", "/register", 0), "10.0.0.1", 0.003)
    assert numbers(it) == {
        ("/resolve/{name}", "GET", "200"): 3,
        ("/register", "POST", "201"): 1,
        ("/register", "POST", "none"): 1,
    }
    assert it.number(Kind.REGISTRATION, lambda status: status == "201") == 1


def test_what_strangers_invent_is_other() -> None:
    it = traffic()
    for number in range(100):
        it.note(request(f"METHOD{number}", f"/path{number}", 404), "10.0.0.1", 0.001)
    assert numbers(it) == {("other", "other", "404"): 100}


def test_durations_are_those_of_all_statuses_of_a_route() -> None:
    it = traffic()
    for status in (201, 409):
        it.note(request("POST", "/register", status), "10.0.0.1", 0.003)
    read = it.metrics()[1].read()
    assert isinstance(read, dict)
    ((labels, histogram),) = read.items()
    assert labels == ("/register", "POST")
    assert (sum(histogram.counts), histogram.sum) == (2, 0.006)


@pytest.mark.parametrize(("method", "target"), [("POST", "/heartbeat"), ("GET", "/resolve/user-service")])
def test_of_those_that_never_end_all_are_counted_and_the_samples_timed(method: str, target: str) -> None:
    it, sampled = traffic(), list[str]()
    it.samples.append(lambda request, address, seconds: sampled.append(address))
    for _ in range(100 * SAMPLE):
        it.note(request(method, target, 200), "10.0.0.1", 0.001)
    read = it.metrics()[1].read()
    assert isinstance(read, dict)
    (histogram,) = read.values()
    assert sum(histogram.counts) == len(sampled)
    assert 80 < len(sampled) < 120
    assert list(numbers(it).values()) == [100 * SAMPLE]


def test_one_request_of_sixteen_is_shown_and_a_watcher_sees_each() -> None:
    it, sampled, watched = traffic(), list[str](), list[str]()

    def sample(request: Request, address: str, seconds: float) -> None:
        sampled.append(address)

    def watch(request: Request, address: str, seconds: float) -> None:
        watched.append(address)

    it.samples.append(sample)
    for _ in range(100 * SAMPLE):
        it.note(request("GET", "/maintenance", 200), "10.0.0.1", 0.001)
    assert 80 < len(sampled) < 120
    it.watch(watch)
    for _ in range(40):
        it.note(request("GET", "/maintenance", 200), "10.0.0.1", 0.001)
    it.unwatch(watch)
    it.note(request("GET", "/maintenance", 200), "10.0.0.1", 0.001)
    assert len(watched) == 40
    assert len(sampled) < 130

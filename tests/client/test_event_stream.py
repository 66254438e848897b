"""The client's reading of server-sent events: from octets, and over a connection that breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest
from aiohttp import web

from discovery.client import (
    Connected,
    Disconnected,
    Event,
    NotARegistry,
    Refused,
    RegistryClient,
    Reset,
    Unreachable,
    event_stream,
    events,
)
from tests.client.servers import Answer, answering, nobody, silent


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "FIRST_PAUSE", 0.001)


def change(index: int, service: str = "api") -> str:
    return (
        f'id: {index}\ndata: {{"index": {index}, "kind": "register", "service": "{service}",'
        ' "instance": {"id": "x", "ip": "10.0.0.1", "port": 1, "status": "healthy"}, "before": null,'
        ' "reason": "new instance", "actor": null, "timestamp": "2026-01-31T12:00:00.000Z"}\n\n'
    )


class Streams:
    """A server whose streams are written down: each connection gets the next one and is closed behind it."""

    def __init__(self, *streams: str, log_starts: tuple[int, ...] = ()) -> None:
        self.asked: list[tuple[dict[str, str], str | None]] = []  # parameters and Last-Event-ID of each connection
        self._streams = list(streams)
        self._log_starts = list(log_starts)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((dict(request.query), request.headers.get("Last-Event-ID")))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if self._log_starts:
            response.headers["X-Registry-Log-Start"] = str(self._log_starts.pop(0))
        await response.prepare(request)
        if not self._streams:
            await asyncio.sleep(60)
        await response.write(self._streams.pop(0).encode())
        return response


async def heard(url: str | list[str], count: int, **options: object) -> list[event_stream.Item]:
    found: list[event_stream.Item] = []
    async with RegistryClient(url, timeout=0.5) as registry, aclosing(events(registry, **options)) as stream:  # type: ignore[arg-type]
        async for happening in stream:
            found.append(happening)
            if len(found) == count:
                break
    return found


async def test_events_are_values_and_a_broken_stream_is_taken_up_where_it_ended() -> None:
    streams = Streams(": hello\n\n" + change(7), change(8, "web"))
    async with answering(streams) as url:
        found = await heard(url, 5, service="api,web")
    assert [type(each) for each in found] == [Connected, Event, Disconnected, Connected, Event]
    assert found[0] == Connected(url, resumed=False)
    assert found[3] == Connected(url, resumed=True)
    first, second = found[1], found[4]
    assert isinstance(first, Event)
    assert (first.index, first.kind, first.service, first.before) == (7, "register", "api", None)
    assert first.instance == {"id": "x", "ip": "10.0.0.1", "port": 1, "status": "healthy"}
    assert first.content["timestamp"] == "2026-01-31T12:00:00.000Z"
    assert isinstance(second, Event)
    assert second.service == "web"
    assert streams.asked == [({"service": "api,web"}, None), ({"service": "api,web"}, "7")]


async def test_an_index_to_go_on_from_is_asked_for_until_an_id_was_heard() -> None:
    streams = Streams("", change(9), "")
    async with answering(streams) as url:
        found = await heard(url, 6, since=5)
    assert [each.resumed for each in found if isinstance(each, Connected)] == [True, True, True]
    assert streams.asked == [({"since": "5"}, None), ({"since": "5"}, None), ({}, "9")]


async def test_before_anything_was_heard_a_broken_stream_may_have_missed_something() -> None:
    async with answering(Streams("", "")) as url:
        found = await heard(url, 3)
    assert found[-1] == Connected(url, resumed=False)


async def test_a_reset_is_told_and_the_stream_goes_on_from_it() -> None:
    streams = Streams('event: reset\nid: 40\ndata: {"index": 40, "oldest": 30}\n\n', "")
    async with answering(streams) as url:
        found = await heard(url, 4, since=5)
    assert found[1] == Reset(40, 30)
    assert streams.asked[1] == ({}, "40")


async def test_another_server_counts_for_itself() -> None:
    one, other = Streams(change(7)), Streams(change(3))

    async def ended(request: web.Request) -> web.StreamResponse:
        if one.asked:  # it serves one stream only
            return web.json_response({"message": "not ready"}, status=503)
        return await one(request)

    async with answering(ended) as first, answering(other) as second:
        found = await heard([first, second], 5)
    assert found[3] == Connected(second, resumed=False)
    assert other.asked == [({}, None)]


async def test_a_registry_without_its_memory_that_counts_over_the_same_numbers_is_read_from_its_start() -> None:
    streams = Streams(change(70), "", change(60), log_starts=(10, 50, 50))
    async with answering(streams) as url:
        found = await heard(url, 5)
    assert found[3] == Connected(url, resumed=False)
    assert isinstance(found[4], Event)
    assert found[4].index == 60
    assert streams.asked == [({}, None), ({}, "70"), ({"since": "50"}, None)]


@pytest.mark.parametrize("starts", [(10, 10), (10, 70), (10, 80)])
async def test_a_registry_that_has_kept_its_memory_or_counts_above_goes_on(starts: tuple[int, int]) -> None:
    streams = Streams(change(70), "", log_starts=starts)
    async with answering(streams) as url:
        found = await heard(url, 4)
    assert found[3] == Connected(url, resumed=True)
    assert streams.asked[1:] == [({}, "70")]


async def test_a_silent_stream_counts_as_broken() -> None:
    async with answering(Streams()) as url:
        found = await heard(url, 2, silence=0.05)
    assert found[1] == Disconnected("no answer in 0.05 s")


async def test_a_server_that_takes_the_request_and_says_nothing_has_only_the_time_of_an_answer() -> None:
    async with silent() as dead, RegistryClient(dead, timeout=0.1) as registry:
        with pytest.raises(Unreachable, match=r"no answer in 0\.1 s"):
            await anext(events(registry, silence=30))


async def test_where_nobody_answers_at_first_it_is_an_error() -> None:
    with pytest.raises(Unreachable):
        await heard(nobody(), 1)


def refusing(status: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "no", "code": "NO"}, status=status)

    return answer


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
async def test_what_is_refused_is_an_error(status: int) -> None:
    async with answering(refusing(status)) as url:
        with pytest.raises(Refused) as refusal:
            await heard(url, 1)
    assert refusal.value.status == status


async def test_what_does_not_pass_is_an_error_later_too() -> None:
    turns: list[Callable[[web.Request], AsyncIterator[None] | object]] = [Streams(""), refusing(503), refusing(401)]

    async def answer(request: web.Request) -> web.StreamResponse:
        return await turns.pop(0)(request)  # type: ignore[misc,no-any-return]

    async with answering(answer) as url:
        with pytest.raises(Refused) as refusal:
            await heard(url, 10)
    assert (refusal.value.status, turns) == (401, [])


@pytest.mark.parametrize("text", ["data: {]\n\n", "data: 7\n\n", "data: {}\n\n", "data: " + "x" * 2_000_000])
async def test_events_that_cannot_be_read_break_the_stream_and_nothing_else(text: str) -> None:
    async with answering(Streams(text, change(9))) as url:
        found = await heard(url, 4)
    assert [type(each) for each in found] == [Connected, Disconnected, Connected, Event]


async def test_html_is_no_stream() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    async with answering(answer) as url:
        with pytest.raises(NotARegistry):
            await heard(url, 1)

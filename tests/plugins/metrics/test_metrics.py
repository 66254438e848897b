"""/metrics of a server that is really started: the page lists what there is, every query and request is in it, Prometheus reads it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import discovery.plugins.metrics
from tests.plugins.started import LIMIT, REGISTRATION, Running, running, settings
from tests.programs import program

PAGE = Path(discovery.plugins.metrics.__file__).with_name("README.md")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
async def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRICS_PER_SERVICE", "true")
    (tmp_path / "zones").mkdir()
    async with running(settings(tmp_path / "zones")) as running_one:
        yield running_one


def of_text(text: str) -> Iterable[Metric]:
    return text_string_to_metric_families(text)


def of_openmetrics(text: str) -> Iterator[Metric]:
    found: Iterator[Metric] = openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return found


async def text(it: Running, accept: str = "") -> str:
    async with it.session.get(it.http + "/metrics", headers={"Accept": accept} if accept else {}) as response:
        assert response.status == 200
        assert "no-store" in response.headers["Cache-Control"]
        assert ("openmetrics" in response.content_type) is ("openmetrics" in accept)
        return await response.text()


async def numbers(it: Running, name: str) -> dict[tuple[str, ...], float]:
    """Those that are not 0, by the values of the labels in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in of_text(await text(it))
        for sample in family.samples
        if sample.name == name and sample.value
    }


def listed() -> dict[str, tuple[str, set[str]]]:
    """Kind and labels by name, as the page has them; those of features that are off here are for `tests/deploy`."""
    found = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for name in (
            re.findall(r"`((?:discovery|process)_\w+)`", cells[0])
            if len(cells) == 4 and "only with" not in cells[3]
            else ()
        ):
            found[name] = (cells[1], set(re.findall(r"`(\w+)`", cells[2])))
    return found


async def test_the_page_lists_every_metric_with_its_kind_and_labels_and_no_other(it: Running) -> None:
    await it.register()
    copies = {"instances": [{"name": "copy", "ip": "10.0.0.9", "importedFrom": "consul://old"}]}
    await it.session.post(f"{it.http}/registrations", json=copies)
    await it.ask("user-service.svc.local")
    shown = {}
    await text(it)  # so that /metrics itself is in it
    for family in of_text(await text(it)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        shown[name] = ("" if name.startswith("process_") else family.type, labels)
    assert shown == listed()


async def test_both_formats_are_read_by_the_library_that_wrote_neither(it: Running) -> None:
    plain = {family.name for family in of_text(await text(it))}
    assert {family.name for family in of_openmetrics(await text(it, OPENMETRICS))} == plain
    assert (await text(it, OPENMETRICS)).endswith("# EOF\n")


async def test_promtool_finds_nothing_to_say(it: Running) -> None:
    await it.register()
    promtool = await asyncio.create_subprocess_exec(
        program("promtool"), "check", "metrics",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(promtool.communicate((await text(it)).encode()), LIMIT)
    assert (promtool.returncode, said.decode()) == (0, "")


async def test_queries_are_there_by_every_transport_with_the_reason_of_their_reply(it: Running) -> None:
    await it.register()
    query = dns.message.make_query("user-service.svc.local", "A")
    for _ in range(2):
        await it.ask("user-service.svc.local")
    await dns.asyncquery.tcp(query, "127.0.0.1", port=it.dns_port, timeout=LIMIT)
    headers = {"Content-Type": "application/dns-message"}
    async with it.session.post(it.http + "/dns-query", data=query.to_wire(), headers=headers) as response:
        assert response.status == 200
    await it.ask("nobody.svc.local")
    await it.ask("example.com")
    queries = await numbers(it, "discovery_dns_queries_total")  # transport, type, zone
    assert queries == {
        ("udp", "A", "svc.local"): 3,
        ("tcp", "A", "svc.local"): 1,
        ("https", "A", "svc.local"): 1,
        ("udp", "A", "other"): 1,
    }
    assert await numbers(it, "discovery_dns_responses_total") == {
        ("NOERROR", "answer", "svc.local"): 4,
        ("NXDOMAIN", "unknown_name", "svc.local"): 1,
        ("REFUSED", "not_our_zone", "other"): 1,
    }
    assert await numbers(it, "discovery_dns_kept_answers_total") == {(): 4}


async def test_requests_heartbeats_and_registrations_are_counted(it: Running) -> None:
    await it.register()
    beat = {"name": "user-service", "ip": "10.1.2.3", "port": 3001}
    unknown = beat | {"port": 9}
    for body in (beat, beat, unknown, {}):
        await it.session.post(it.http + "/heartbeat", json=body)
    await it.session.post(it.http + "/heartbeats", json={"instances": [beat, unknown, {}]})
    await it.session.get(it.http + "/nothing")
    await it.session.request("PATCH", it.http + "/register")
    assert await numbers(it, "discovery_heartbeats_total") == {("renewed",): 3, ("unknown",): 3, ("refused",): 1}
    assert await numbers(it, "discovery_registrations_total") == {(): 1}
    requests = await numbers(it, "discovery_http_requests_total")  # method, route, status
    assert requests["POST", "/heartbeat", "200"] == 2
    assert requests["POST", "/heartbeat", "404"] == requests["POST", "/heartbeat", "400"] == 1
    assert requests["GET", "other", "404"] == 1
    assert requests["other", "/register", "405"] == 1
    assert await numbers(it, "discovery_instances") == {("healthy",): 1}
    assert await numbers(it, "discovery_service_instances") == {("user-service",): 1}
    assert await numbers(it, "discovery_service_healthy_instances") == {("user-service",): 1}
    assert (await numbers(it, "discovery_journal_writable")) == {(): 1}
    assert (await numbers(it, "discovery_journal_commit_seconds_count"))[()] >= 1


async def test_series_with_labels_that_are_known_are_there_from_the_start(it: Running) -> None:
    zeros = {
        (sample.name, *sorted(sample.labels.values()))
        for family in of_text(await text(it))
        for sample in family.samples
        if not sample.value
    }
    assert {
        ("discovery_dns_queries_total", "AAAA", "svc.local", "tls"),
        ("discovery_dns_responses_total", "NOERROR", "none_healthy", "svc.local"),
        ("discovery_dns_responses_total", "none", "other", "shed"),
        ("discovery_heartbeats_total", "unknown"),
        ("discovery_expirations_total", "lapsed"),
        ("discovery_instances", "draining"),
        ("discovery_brake_engaged",),
        ("discovery_registrations_total",),
    } <= zeros


async def test_it_is_off_by_nothing_and_services_are_shown_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(settings(tmp_path)) as it:
        async with it.session.post(it.http + "/register", json=REGISTRATION) as response:
            assert response.status == 201
        assert "user-service" not in await text(it)

"""OpenTelemetry: a collector gets a span of each real request, in the trace of whoever asked; and nothing without one."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from tests.stories.collector import Collector, Received, collecting
from tests.stories.process import LIMIT, Discovery, running, until
from tests.stories.standards.clients import failing_start

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER_KIND, FAILED = 2, 2  # as the protocol numbers them
SOON: dict[str, Any] = {"OTEL_BSP_SCHEDULE_DELAY": 50, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=story"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture(scope="module")
def server(collector: Collector) -> Iterator[Discovery]:
    with running(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **SOON) as one:
        yield one


def span_of(collector: Collector, path: str) -> Received:
    def found() -> list[Received]:
        return [span for span in list(collector.spans) if span.attributes["url.path"] == path]

    return until(found)[0]  # type: ignore[no-any-return]


def test_a_request_is_a_span_in_the_trace_of_whoever_asked(collector: Collector, server: Discovery) -> None:
    server.register("traced")
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "User-Agent": "story/1"}
    request = urllib.request.Request(f"{server.http}/resolve/traced?tag=secret", headers=headers)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=LIMIT)
    span = span_of(collector, "/resolve/traced")
    assert (span.name, span.kind, span.trace, span.parent) == ("GET /resolve/{name}", SERVER_KIND, TRACE, PARENT)
    assert span.attributes == {
        "http.request.method": "GET", "http.route": "/resolve/{name}", "http.response.status_code": 404, "url.path": "/resolve/traced",
        "url.scheme": "http", "client.address": "127.0.0.1", "network.protocol.version": "1.1", "user_agent.original": "story/1",
    }  # fmt: skip
    assert span.status != FAILED, "a client's mistake is no error of the server"
    assert 0 < span.end - span.start < 5e9
    assert span.resource["service.name"] == "discovery"
    assert span.resource["deployment.environment.name"] == "story"
    assert "secret" not in repr(collector.spans)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/register", "POST /register"), ("POST", "/heartbeat", "POST /heartbeat"), ("GET", "/no/such", "GET"),
        ("PATCH", "/health", "HTTP /health"),
    ],
)  # fmt: skip
def test_each_kind_of_request_is_one(
    collector: Collector, server: Discovery, method: str, path: str, name: str
) -> None:
    server.request(method, path, {"name": "one", "ip": "127.0.0.1", "port": 80} if method == "POST" else None)
    until(lambda: name in [span.name for span in list(collector.spans)])


def test_a_caller_that_is_not_sampled_leaves_no_span(collector: Collector, server: Discovery) -> None:
    unsampled = {"traceparent": f"00-{'1' * 32}-{PARENT}-00"}
    urllib.request.urlopen(urllib.request.Request(f"{server.http}/health", headers=unsampled), timeout=LIMIT).close()
    server.request("GET", "/ready")
    span_of(collector, "/ready")
    assert "1" * 32 not in [span.trace for span in list(collector.spans)]


def test_what_is_not_sent_yet_is_sent_at_the_end() -> None:
    with collecting() as late, running(OTEL_EXPORTER_OTLP_ENDPOINT=late.url, OTEL_SERVICE_NAME="mine") as one:
        one.request("GET", "/health")
        assert one.stop() == 0
        assert [span.name for span in late.spans] == ["GET /health"]
        assert late.spans[0].resource["service.name"] == "mine"


def test_a_collector_that_is_away_keeps_nobody_waiting() -> None:
    with running(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **SOON) as one:
        one.request("GET", "/health")
        assert one.stop() == 0


@pytest.mark.parametrize("switch", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_it_can_be_switched_off(switch: dict[str, Any]) -> None:
    with collecting() as unused, running(OTEL_EXPORTER_OTLP_ENDPOINT=unused.url, **SOON, **switch) as one:
        assert "traces" not in one.request("GET", "/stats").body
        assert one.stop() == 0
        assert not unused.spans


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_what_cannot_be_is_said_at_start(name: str, value: str) -> None:
    assert name in failing_start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **{name: value})


def test_where_the_packages_are_not_installed_it_is_said_at_start_how_to_install_them() -> None:
    with mock.patch.dict(sys.modules, {"opentelemetry": None}):
        sys.modules.pop("discovery.plugins.traces.export", None)
        said = failing_start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert "pip install 'discovery-server[otel]'" in said

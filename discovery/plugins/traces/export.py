"""OpenTelemetry's library: spans as it has them, sampled and sent by its own thread. All that imports it is here.

It reads its variables from the environment alone, so those of `.env` are put there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from dotenv import dotenv_values
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from discovery import __version__
from discovery.plugins.traces.settings import TracesSettings
from discovery.plugins.traces.spans import Span
from discovery.rest.api.requests import Request
from discovery.system.threads import in_daemon_thread

# Seconds for what has not been sent when the server ends: the collector may be gone.
CLOSE_SECONDS = 1.0
_FAILED = Status(StatusCode.ERROR)


class _Headers(Getter[Request]):
    """The context that a caller sends along: `traceparent`, or what OTEL_PROPAGATORS says."""

    def get(self, carrier: Request, key: str) -> list[str] | None:
        value = carrier.header(key.lower().encode())
        return None if value is None else [value]

    def keys(self, carrier: Request) -> list[str]:
        return [name.decode("ascii", "replace") for name in carrier.headers]


class Export:
    def __init__(self, settings: TracesSettings) -> None:
        for name, value in dotenv_values(".env").items():
            if name.startswith("OTEL_") and value:
                os.environ.setdefault(name, value)
        resource = Resource.create({"service.version": __version__})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": settings.otel_service_name}))
        self._provider = TracerProvider(
            resource=resource, shutdown_on_exit=False
        )  # at exit it would wait for the collector
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("discovery", __version__)
        self._headers = _Headers()

    def send(self, span: Span, request: Request, start: int, end: int) -> bool:
        """Whether the sampler takes it. Nanoseconds since the epoch."""
        context = propagate.extract(request, getter=self._headers)
        made = self._tracer.start_span(
            span.name, context, SpanKind.SERVER, attributes=span.attributes, start_time=start
        )
        if span.failed:
            made.set_status(_FAILED)
        made.end(end)
        return made.is_recording() or made.get_span_context().trace_flags.sampled

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await in_daemon_thread(self._provider.shutdown)

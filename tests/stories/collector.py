"""A collector for OpenTelemetry: takes spans over HTTP and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Received(NamedTuple):
    """A span: ids in hex, times in nanoseconds since the epoch. `resource`: the process that sent it."""

    name: str
    kind: int
    trace: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    status: int
    resource: dict[str, Any]


class Collector:
    def __init__(self, port: int, spans: list[Received]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans = spans


@contextmanager
def collecting() -> Iterator[Collector]:
    spans: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Collector(server.server_address[1], spans)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for each in request.resource_spans:
        resource = _plain(each.resource.attributes)
        for scope in each.scope_spans:
            for span in scope.spans:
                yield Received(
                    span.name, span.kind, span.trace_id.hex(), span.parent_span_id.hex(), span.start_time_unix_nano,
                    span.end_time_unix_nano, _plain(span.attributes), span.status.code, resource,
                )  # fmt: skip


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}

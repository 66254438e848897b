"""gRPC's health protocol (grpc.health.v1): one call of Health/Check over HTTP/2, with TLS or with prior knowledge. The messages are so
small that they are written by hand: one field each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

if TYPE_CHECKING:
    from discovery.core.check import Check
    from discovery.plugins.check.probe import Connection

# Octets of a server's answer in all, with its settings: an honest one has some hundred.
MAX_ANSWER = 16 * 1024
_CHUNK = 4096
# The type of the frame that comes first (RFC 9113 §3.4).
_SETTINGS = b"\x04"
_NOT_HTTP2 = "it does not speak HTTP/2"

# HealthCheckResponse.ServingStatus.
_STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
# Of google.rpc.Code, those that a health check ends in.
_CODES = {
    "5": "the service is not known there",
    "12": "it has no health service",
    "14": "unavailable",
    "16": "unauthenticated",
}


async def serving(connection: Connection, check: Check, authority: str) -> str | None:
    """None when the service is SERVING, else why not. OSError."""
    call = _Call(check.path, authority, "https" if check.tls or check.ca or check.tls_skip_verify else "http")
    received = 0
    try:
        await connection.send(call.begin())
        while not call.is_over:
            octets = await connection.receive(_CHUNK)
            received += len(octets)
            if not octets or received > MAX_ANSWER:
                return "it ended before it answered" if not octets else f"it sent more than {MAX_ANSWER:,} octets"
            if received == len(octets) and octets[3:4] not in (b"", _SETTINGS):
                return _NOT_HTTP2
            if reply := call.receive(octets):
                await connection.send(reply)
    except ProtocolError:
        return _NOT_HTTP2
    return call.failure


class _Call:
    """Octets in, octets out."""

    def __init__(self, service: str, authority: str, scheme: str) -> None:
        self._http2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        name = service.encode()
        self._request = b"" if not name else b"\x0a" + _varint(len(name)) + name
        self._headers = [
            (":method", "POST"), (":scheme", scheme), (":authority", authority), (":path", "/grpc.health.v1.Health/Check"),
            ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "discovery-check"),
        ]  # fmt: skip
        self._status, self._code, self._message = "", "", b""
        self.is_over = False

    def begin(self) -> bytes:
        self._http2.initiate_connection()
        self._http2.send_headers(1, self._headers)
        self._http2.send_data(1, b"\0" + len(self._request).to_bytes(4, "big") + self._request, end_stream=True)
        return self._http2.data_to_send()

    def receive(self, octets: bytes) -> bytes:
        """What to send to that. ProtocolError."""
        for event in self._http2.receive_data(octets):
            self._note(event)
        return self._http2.data_to_send()

    def _note(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            found = {str(name): str(value) for name, value in event.headers or ()}
            self._status = found.get(":status", self._status)
            self._code = found.get("grpc-status", self._code)
        elif isinstance(event, DataReceived):
            self._message += event.data or b""
        elif isinstance(event, StreamEnded | StreamReset):
            self.is_over = True

    @property
    def failure(self) -> str | None:
        if self._status != "200":
            return f"answered {self._status}" if self._status else "it gave the call up"
        if self._code != "0":
            return f"gRPC status {self._code or 'missing'}" + (
                f": {_CODES[self._code]}" if self._code in _CODES else ""
            )
        status = _serving_status(self._message)
        return None if status == 1 else f"it is {_STATUSES.get(status, status)}"


def _serving_status(message: bytes) -> int:
    """Of one message, uncompressed; 0 where there is none, as proto3 has it. Fields that are not known are passed over when they come
    last.
    """
    return message[6] if message[5:6] == b"\x08" and len(message) > 6 else 0


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)

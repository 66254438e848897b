"""What the server says of itself in class CHAOS: `version.bind`, `id.server` and their other spellings (RFC 4892)."""

from __future__ import annotations

from discovery.dns.message.names import from_text
from discovery.dns.message.query import Request
from discovery.dns.message.values import RR, Answer, Class, Type


class ServerNames:
    """`version` and `server_id` are shown as they are; at most 255 octets each."""

    def __init__(self, version: str, server_id: str) -> None:
        self._texts = {
            from_text("version.bind"): version,
            from_text("version.server"): version,
            from_text("hostname.bind"): server_id,
            from_text("id.server"): server_id,
        }

    def lookup(self, request: Request, now: float) -> Answer | None:
        question = request.question
        text = self._texts.get(question.name) if question.klass == Class.CH else None
        if text is None:
            return None
        if question.type not in (Type.TXT, Type.ANY):
            return Answer.nodata()
        octets = text.encode()[:255]
        return Answer.of([RR(question.name, Type.TXT, 0, len(octets).to_bytes(1, "big") + octets)])

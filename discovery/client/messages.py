"""Server-sent events: octets in, messages out, as browsers read them (WHATWG HTML, "Server-sent events"). No I/O."""

from __future__ import annotations

from typing import NamedTuple

# Far more than the registry sends in one: 8 KiB of metadata, before and after.
MAX_MESSAGE = 1024 * 1024


class Message(NamedTuple):
    """`id`: the last one that was sent, with this message or before it; empty when there was none."""

    event: str
    data: str
    id: str


class Messages:
    """Feed it what arrives, in pieces of any size.

    >>> messages = Messages()
    >>> messages.feed(b"id: 7\\ndata: {}\\n")
    []
    >>> messages.feed(b"\\n")
    [Message(event='message', data='{}', id='7')]
    """

    def __init__(self) -> None:
        self._rest = b""
        self._octets = 0  # of the message so far
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, octets: bytes) -> list[Message]:
        """The messages that are whole now. ValueError: MAX_MESSAGE octets without an end are no stream of a registry."""
        found: list[Message] = []
        self._rest += octets
        # A CR at the very end may be half of a CRLF: it waits for what follows.
        whole = self._rest[:-1] if self._rest.endswith(b"\r") else self._rest
        *lines, last = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = last + self._rest[len(whole) :]
        for line in lines:
            if line:
                self._field(line)
            elif message := self._end():
                found.append(message)
        if self._octets + len(self._rest) > MAX_MESSAGE:
            raise ValueError(f"a message has more than {MAX_MESSAGE} octets")
        return found

    def _field(self, line: bytes) -> None:
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._octets += len(line) + 1
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _end(self) -> Message | None:
        event, data = self._event or "message", "\n".join(self._data)
        empty = not self._data
        self._event, self._data, self._octets = "", [], 0
        return None if empty else Message(event, data, self._id)

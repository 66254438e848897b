"""Tiny HTTP services in threads of the test; each answers every GET with `IP:PORT`, its own."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.stories.process import LIMIT


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ip, port = self.connection.getsockname()
        body = f"{ip}:{port}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest shows what the story prints."""


@contextmanager
def backend(ip: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Its port."""
    with ThreadingHTTPServer((ip, port), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(LIMIT)


def get(url: str) -> tuple[int, str]:
    """Status and body; an error's status too."""
    try:
        with urllib.request.urlopen(url, timeout=LIMIT) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""

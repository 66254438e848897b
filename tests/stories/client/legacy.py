"""A legacy program in one file: an HTTP server that knows nothing of registries. `legacy.py PORT [MODE]`, and what each mode does:

plain   serves; `GET /exit` ends it with status 7; SIGHUP makes it answer "again" instead of "hello"
deaf    as plain, and SIGTERM does not end it
never   runs, and opens no port
forks   a child of its process group serves, the first process ends with 0
daemon  as forks, and the child has left for a session of its own
"""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, mode = int(sys.argv[1]), sys.argv[2]
text = "hello"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/exit":
            os._exit(7)
        body = f"{text} {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def again(*arguments: object) -> None:
    global text
    text = "again"


signal.signal(signal.SIGHUP, again)
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "never":
    signal.pause()
server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
if mode in ("forks", "daemon"):
    ready, told = os.pipe()
    if os.fork():
        os.read(ready, 1)
        os._exit(0)
    if mode == "daemon":
        os.setsid()
    os.write(told, b"!")
server.serve_forever()

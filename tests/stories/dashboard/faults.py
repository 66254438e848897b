"""What no page of ours may ever do, gathered while a story runs: console errors, uncaught exceptions, requests that leave the
origin, violations of its own Content-Security-Policy. A story that provokes one says so beforehand (`expect`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request

# The browser's console has a line for most violations; this one has them all, also those that are only reported.
_TELL_OF_VIOLATIONS = """addEventListener("securitypolicyviolation", event =>
    console.error("CSP violation:", event.effectiveDirective, event.blockedURI, event.sourceFile, event.lineNumber))"""


class Faults:
    """`found`: each as a line, in the order in which they happened."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, *patterns: str) -> None:
        """These may be found from now on: regular expressions."""
        self._expected += map(re.compile, patterns)

    def said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.add(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def asked(self, request: Request, origin: str) -> None:
        scheme, host, *_ = urlsplit(request.url)
        if f"{scheme}://{host}" != origin and scheme not in ("data", "blob"):
            self.add(f"left the origin: {request.url}")

    def add(self, line: str) -> None:
        if not any(pattern.search(line) for pattern in self._expected):
            self.found.append(line)


def watch(context: BrowserContext, origin: str, of: Callable[[], Faults]) -> None:
    """All pages of the context, from now on; what they do is one of the faults that there are then. `origin`: `http://127.0.0.1:PORT`."""
    context.add_init_script(_TELL_OF_VIOLATIONS)
    context.on("console", lambda message: of().said(message))
    context.on("weberror", lambda error: of().add(f"uncaught: {error.error}"))
    context.on("request", lambda request: of().asked(request, origin))
    context.on("page", lambda page: page.on("crash", lambda page: of().add(f"crashed: {page.url}")))

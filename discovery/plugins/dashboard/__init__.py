"""The dashboard: a page at /ui that shows the registry live, and works on it. docs/dashboard.md has what it shows.

Whatever it shows or does, its scripts ask for by the ordinary routes, with the token that is typed on it: the page itself knows nothing,
and so it is open to everybody. It runs its own files alone. The one thing in line is the import map, which tells the vendored modules where
the others are; the policy knows it by its hash.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from discovery.plugins import Plugin, Seams
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import nothing_here
from discovery.rest.http.pages import Pages, lead, page
from discovery.store.registry import Registry

FOLDER = Path(__file__).parent / "page"
_AT = "/ui"
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.S)


class Dashboard(Plugin):
    def __init__(self) -> None:
        self._pages = Pages(FOLDER, policy((FOLDER / "index.html").read_bytes()))

    def install(self, seams: Seams) -> None:
        seams.routes.extend([page("/", to_page), *self._pages.routes(_AT)])


def to_page(request: Request) -> Answer:
    """A browser is led to the page; for others there is nothing here."""
    if "text/html" not in (request.header(b"accept") or ""):
        nothing_here(request)
    return lead(_AT[1:])


def policy(html: bytes) -> str:
    """The Content-Security-Policy of a page and its files."""
    scripts = [f" 'sha256-{b64encode(sha256(text).digest()).decode()}'" for text in _IMPORT_MAP.findall(html)]
    return (
        f"default-src 'none'; script-src 'self'{''.join(scripts)}; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def make(registry: Registry, clock: Callable[[], float]) -> Dashboard:
    return Dashboard()

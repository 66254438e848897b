"""GET /docs: a page to read /openapi.json and to try it. README.md beside this file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from discovery.plugins import Plugin, Seams
from discovery.rest.http.pages import Pages
from discovery.store.registry import Registry

AT = "/docs"
# Swagger UI writes style attributes into its markup, and draws its arrows from data: URLs in its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Reference(Plugin):
    def __init__(self) -> None:
        self._pages = Pages(Path(__file__).parent / "page", POLICY)

    def install(self, seams: Seams) -> None:
        seams.routes.extend(self._pages.routes(AT))


def make(registry: Registry, clock: Callable[[], float]) -> Reference:
    return Reference()

"""The judge is judged: what must fail a story is noticed, on a page that does it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from tests.stories.dashboard.axe import violations
from tests.stories.dashboard.visits import Visits, hide

POLICY = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self'; img-src * data:"
PAGES = {
    "good": "<h1>Good</h1><p>Nothing to see.",
    "error": "<script>console.error('oh')</script>",
    "exception": "<script>throw new Error('thrown')</script>",
    "rejection": "<script>Promise.reject(new Error('rejected'))</script>",
    "style": "<p style='color: red'>inline",
    "eval": "<script>try { eval('1') } catch {}</script>",
    "abroad": "<img alt='' src='http://192.0.2.1/pixel.png'>",
    "missing": "<img alt='' src='/missing.png'>",
    "unnamed": "<h1>A button without a name</h1><button></button>",
}


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGES.get(self.path.removeprefix("/ui?"))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        title = "<!doctype html><html lang=en><title>A page</title><link rel=icon href=data:,><main>"
        self.wfile.write(f"{title}{body}</main></html>".encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_good_page_has_no_faults(visit: Visits, origin: str) -> None:
    page = visit(origin, "good")
    assert violations(page) == ""
    assert not page.evaluate("document.hidden")
    hide(page)
    assert page.evaluate("document.hidden")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("error", "console error: oh"),
        ("exception", "uncaught: thrown"),
        ("rejection", "uncaught: rejected"),
        ("style", "CSP violation: style-src-attr inline"),
        ("eval", "CSP violation: script-src eval"),
        ("abroad", "left the origin: http://192.0.2.1/pixel.png"),
        ("missing", "404"),
    ],
)
def test_a_fault_is_found(visit: Visits, origin: str, what: str, said: str) -> None:
    page = visit(origin, what)
    page.evaluate("0")  # what was said before the answer has been heard
    found = visit.faults.found
    assert any(said in line for line in found), found
    found.clear()


def test_a_fault_that_is_expected_is_none(visit: Visits, origin: str) -> None:
    visit.faults.expect("thrown$", "^console error: oh")
    for what in ("exception", "error"):
        visit(origin, what).evaluate("0")


def test_axe_names_what_it_stumbles_over(visit: Visits, origin: str) -> None:
    assert "button-name" in violations(visit(origin, "unnamed"))

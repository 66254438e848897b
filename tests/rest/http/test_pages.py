"""The files of a page, as they are served: what a client may ask for, what it keeps, and what never leaves the folder."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from discovery.rest.api.route import Route
from discovery.rest.http.pages import Pages
from tests.rest.harness import Api, serving

POLICY = "default-src 'none'; script-src 'self'"
LONG = "/* as long as a style sheet is */\n" * 1000


@pytest.fixture(name="routes")
def _routes(tmp_path: Path) -> list[Route]:
    folder = tmp_path / "page"
    (folder / "js").mkdir(parents=True)
    (tmp_path / "secret.js").write_text("outside")
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "README.md").write_text("for who reads the source")
    (folder / "style.css").write_text(LONG)
    (folder / "js" / "start.js").write_text("let ü")
    (folder / "icon.svg").write_text("<svg/>")
    (folder / "icon.png").write_bytes(b"\x89PNG" * 1000)
    routes = Pages(folder, POLICY).routes("/page")
    (folder / "js" / "start.js").unlink()  # nothing is read later
    return routes


@pytest.fixture(name="api")
async def _api(routes: list[Route]) -> AsyncIterator[Api]:
    async with serving(routes=routes) as api:
        yield api


@pytest.mark.parametrize(
    ("path", "media", "text"),
    [
        ("/page", "text/html; charset=utf-8", "<!doctype html>"),
        ("/page/index.html", "text/html; charset=utf-8", "<!doctype html>"),
        ("/page/style.css", "text/css; charset=utf-8", LONG),
        ("/page/js/start.js", "text/javascript; charset=utf-8", "let ü"),
        ("/page/icon.svg", "image/svg+xml", "<svg/>"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file_has_its_type_and_the_policy_of_the_page(
    api: Api, method: str, path: str, media: str, text: str
) -> None:
    async with api.session.request(method, api.url + path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == media
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.text() == ("" if method == "HEAD" else text)


@pytest.mark.parametrize(
    "path",
    [
        "/page/js", "/page/js/", "/page/README.md", "/page/none.js", "/page/../secret.js", "/page/%2e%2e/secret.js", "/page/..%2fsecret.js",
        "/page//etc/passwd", "/page/js/../style.css", "/page/style.css%00", "/page/STYLE.CSS",
    ],
)  # fmt: skip
async def test_what_is_no_file_of_it_is_a_404_like_any_other(api: Api, path: str) -> None:
    reply = await api.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert (reply.status, reply.body["code"]) == (404, "ROUTE_UNKNOWN")


async def test_a_slash_too_many_leads_to_the_page(api: Api) -> None:
    async with api.session.get(f"{api.url}/page/") as response:
        assert (response.status, response.url.path) == (200, "/page")


async def test_other_methods_are_told_which_there_are(api: Api) -> None:
    reply = await api.post("/page/style.css", {})
    assert (reply.status, reply.body["code"]) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_who_has_it_already_gets_a_304(api: Api, accepted: str) -> None:
    async with api.session.get(f"{api.url}/page/style.css", headers={"Accept-Encoding": accepted}) as response:
        tag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
    for sent, status in ((tag, 304), ('"another"', 200)):
        async with api.session.get(f"{api.url}/page/style.css", headers={"If-None-Match": sent}) as response:
            assert (response.status, response.headers["ETag"]) == (status, tag)


@pytest.mark.parametrize(
    ("path", "accepted", "packed"),
    [
        ("/page/style.css", "gzip, deflate, br", True),
        ("/page/style.css", "br, GZIP", True),
        ("/page/style.css", "identity", False),
        ("/page/style.css", "gzip;q=0", False),
        ("/page/index.html", "gzip", False),
        ("/page/icon.png", "gzip", False),
    ],
)
async def test_long_texts_are_packed_for_who_takes_that(api: Api, path: str, accepted: str, packed: bool) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}\r\nConnection: close\r\n\r\n"
    for _ in range(2):
        head, _, body = (await api.octets(request.encode())).partition(b"\r\n\r\n")
        assert (b"Content-Encoding: gzip" in head) == packed
        assert b"Vary: Origin, Accept-Encoding" in head
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
        if packed:
            assert gzip.decompress(body).decode() == LONG

"""The page and its files as they are served: what a browser is let do with them, and what is in the package."""

from __future__ import annotations

import re
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from yarl import URL

from discovery.plugins.dashboard import FOLDER
from tests.plugins.started import Running, running, settings

PAGE = (FOLDER / "index.html").read_text()
SCRIPTS = sorted(FOLDER.rglob("*.js"))
OURS = [path for path in SCRIPTS if "vendor" not in path.parts]
VENDORED = tomllib.loads((FOLDER / "vendor" / "vendored.toml").read_text())["file"]
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings(tmp_path)) as server:
        yield server


# -- routes


async def test_a_browser_is_led_to_the_page(server: Running) -> None:
    async with server.session.get(f"{server.http}/", headers=HTML) as response:
        assert (response.status, str(response.url)) == (200, f"{server.http}/ui")
        assert await response.text() == PAGE
    async with server.session.get(f"{server.http}/ui/") as response:
        assert (response.status, str(response.url)) == (200, f"{server.http}/ui")


async def test_for_everybody_else_there_is_nothing_at_the_root(server: Running) -> None:
    async with server.session.get(f"{server.http}/") as response:
        assert (response.status, (await response.json())["code"]) == (404, "ROUTE_UNKNOWN")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_file_that_the_page_names_is_there(server: Running, method: str) -> None:
    names = re.findall(r'(?:href|src)="(ui/[^"]+)"', PAGE) + re.findall(r'"\./(ui/vendor/[^"]+)"', PAGE)
    assert len(names) > 20
    for name in names:
        async with server.session.request(method, f"{server.http}/{name}") as response:
            assert response.status == 200, name


async def test_the_page_opens_without_the_token_that_reading_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("REQUIRE_READ_TOKEN", "true")
    async with running(settings(tmp_path)) as server:
        for path, status in (("/ui", 200), ("/ui/js/main.js", 200), ("/services", 401), ("/ui/js/none.js", 404)):
            async with server.session.get(server.http + path) as response:
                assert response.status == status, path


@pytest.mark.parametrize(
    "path", ["/ui/../services", "/ui/%2e%2e/services", "/ui/..%2fservices", "/ui//services", "/./services"]
)
async def test_no_way_leads_over_the_page_to_what_takes_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("API_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("REQUIRE_READ_TOKEN", "true")
    async with (
        running(settings(tmp_path)) as server,
        server.session.get(URL(server.http + path, encoded=True)) as response,
    ):
        assert response.status in (401, 404)


# -- what a browser is let do


async def test_the_policy_lets_it_run_its_own_files_and_the_import_map_alone(server: Running) -> None:
    async with server.session.get(f"{server.http}/ui") as response:
        policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
        inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", await response.text(), re.S)
    hashes = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in inline)
    assert len(inline) == 1
    assert policy == {
        "default-src": "'none'", "script-src": f"'self' {hashes}", "style-src": "'self'", "img-src": "'self'", "connect-src": "'self'",
        "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip


def test_there_is_no_markup_that_the_policy_would_refuse() -> None:
    assert re.findall(r"\s(?:style|on\w+)=", PAGE) + re.findall(r"<style", PAGE) == []


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_script_of_ours_makes_markup_or_code_of_text(path: Path) -> None:
    text = path.read_text()
    assert (
        re.findall(
            r"dangerouslySetInnerHTML|[iI]nnerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write",
            text,
        )
        == []
    )
    assert re.findall(r"https?://", text) == []


# -- the package


def test_the_page_asks_for_all_modules_at_once() -> None:
    """But for the charts, which are loaded when one is shown."""
    named = re.findall(r'<link rel="modulepreload" href="ui/([^"]+)">', PAGE)
    there = [path.relative_to(FOLDER).as_posix() for path in SCRIPTS]
    assert named == sorted(name for name in there if name != "vendor/uPlot.js")


def test_what_others_wrote_is_as_they_wrote_it_and_has_its_licence() -> None:
    folder = FOLDER / "vendor"
    assert {path.name for path in folder.iterdir() if path.suffix in (".js", ".css")} == {
        file["name"] for file in VENDORED
    }
    for file in VENDORED:
        assert sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"], file["name"]
        assert (folder / file["licence_file"]).stat().st_size > 500


@pytest.mark.parametrize("path", OURS + sorted((FOLDER / "css").iterdir()), ids=lambda path: path.name)
def test_each_file_says_what_it_is_and_is_small(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith(("// ", "/* "))
    assert len(lines) <= 300

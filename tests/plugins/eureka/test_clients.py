"""The requests of real Java clients (Spring 4.3.0, Netflix 2.0.4 and 1.10.18), as they were recorded, and what a stranger would send."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from discovery.rest.http import kept_bodies
from tests.plugins.auth.house import FOREIGN, OWNER, READER, SECRETS, written
from tests.plugins.eureka.house import java_reads, sent
from tests.plugins.started import Running, running, settings

REQUESTS = [json.loads(line) for line in Path(__file__).with_name("java_clients.jsonl").read_text().splitlines()]
JSON = {"Accept": "application/json"}


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EUREKA", "true")
    async with running(settings(tmp_path)) as it:
        yield it


async def ask(
    it: Running, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, str | None, bytes]:
    """Status, type and body."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    url = URL(f"{it.http}{path}", encoded=True)
    skip, sent_ = ["Accept", "Accept-Encoding", "Content-Type"], dict(headers or {})
    chunked = True if sent_.pop("Transfer-Encoding", None) else None
    async with it.session.request(
        method, url, data=data, headers=sent_, chunked=chunked, skip_auto_headers=skip
    ) as response:
        return response.status, response.headers.get("Content-Type"), await response.read()


async def test_javas_clients_get_what_they_insist_on(it: Running) -> None:
    for request in REQUESTS:
        what, (method, path) = f"{request['method']} {request['path']}", (request["method"], request["path"])
        if method == "PUT" and request["status"] == 404:  # as after the server had forgotten it
            app = path.split("/")[3].lower()
            async with it.session.delete(f"{it.http}/services/{app}") as forgotten:
                assert forgotten.status == 200
        status, media, body = await ask(it, method, path, request["body"], request["sent"])
        assert status == request["status"], what
        if method == "GET":
            assert media == "application/json"
            java_reads(json.loads(body))
        elif status != 404 or method == "PUT":
            assert (media, body) == (None, b""), f"{what}: Netflix's clients would try to read an instance from a body"
    assert it.server._registry.unknown_heartbeats == 3


async def test_they_find_each_other_and_are_told_when_somebody_goes(it: Running) -> None:
    for request in REQUESTS:
        if request["method"] == "POST" and request["body"]["instance"]["status"] == "UP":
            assert (await ask(it, "POST", request["path"], request["body"], request["sent"]))[0] == 204
    _, _, all_of_them = await ask(it, "GET", "/eureka/apps/", headers=JSON)
    assert {each["app"] for each in java_reads(json.loads(all_of_them))} == {"SPRINGAPP", "PLAIN2", "PLAIN1"}
    assert (await ask(it, "DELETE", "/eureka/v2/apps/PLAIN1/host-1"))[0] == 200
    _, _, delta = await ask(it, "GET", "/eureka/v2/apps/delta", headers=JSON)
    actions = {each["app"]: each["actionType"] for each in java_reads(json.loads(delta))}
    assert actions == {"SPRINGAPP": "ADDED", "PLAIN2": "ADDED", "PLAIN1": "DELETED"}
    assert json.loads(delta)["applications"]["apps__hashcode"] == "UP_2_"


async def test_the_list_is_made_once_for_all_until_something_changes_in_gzip_too(
    it: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_bodies, "_LONG", 600)
    for number in range(3):
        assert (await ask(it, "POST", "/eureka/apps/WEB", sent(f"i{number}", port=number + 1)))[0] == 204
    _, _, first = await ask(it, "GET", "/eureka/apps", headers=JSON)
    await asyncio.sleep(1.1)  # longer than other lists are kept: the times in it would differ
    assert (await ask(it, "GET", "/eureka/apps/?x=y", headers=JSON))[2] == first
    zipped = {**JSON, "Accept-Encoding": "gzip"}
    async with it.session.get(f"{it.http}/eureka/apps", headers=zipped, auto_decompress=False) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == first
    assert (await ask(it, "DELETE", "/eureka/apps/WEB/i0"))[0] == 200
    assert len(java_reads(json.loads((await ask(it, "GET", "/eureka/apps", headers=JSON))[2]))) == 2


STRANGE: list[tuple[str, str, Any, int]] = [
    ("POST", "/eureka/apps/WEB", b'<!DOCTYPE a [<!ENTITY x "y">]><instance>&x;</instance>', 400),
    ("POST", "/eureka/apps/WEB", b"<a>" * 20, 400),
    ("POST", "/eureka/apps/WEB", b"{" * 5_000, 400),
    ("POST", "/eureka/apps/WEB", b"[]", 400),
    ("POST", "/eureka/apps/WEB", b"", 400),
    ("POST", "/eureka/apps/WEB", b" " * 140_000, 413),
    ("POST", "/eureka/apps/WEB", {"instance": sent("x" * 10_000)["instance"]}, 400),
    ("POST", "/eureka/apps/WEB", {"instance": sent("a b/c")["instance"]}, 204),
    ("PUT", "/eureka/apps/WEB/a%20b%2Fc", None, 200),
    ("PUT", "/eureka/apps/WEB/" + "x" * 8_000, None, 404),
    ("PUT", "/eureka/apps/WEB/%00", None, 404),
    ("PUT", "/eureka/apps/WEB/a%20b%2Fc?lastDirtyTimestamp=99999999999999999999", None, 500),
    ("PUT", "/eureka/apps/WEB/a%20b%2Fc/metadata?" + "&".join(f"k{n}=v" for n in range(40)), None, 400),
    ("PUT", "/eureka/apps/WEB/a%20b%2Fc/metadata?k=" + "x" * 20_000, None, 400),
    ("PUT", "/eureka/apps/WEB/a%20b%2Fc/status?value=GREAT", None, 500),
    ("DELETE", "/eureka/apps/WEB/a%20b%2Fc", None, 200),
    ("GET", "/eureka/apps/%ff%fe", None, 404),
    ("GET", "/eureka/instances/" + "x" * 4_000, None, 404),
]  # fmt: skip


async def test_a_strangers_request_has_eurekas_status_and_does_nothing_by_half(it: Running) -> None:
    for method, path, body, status in STRANGE:
        if "a%20b" in path:
            assert (await ask(it, "POST", "/eureka/apps/WEB", sent("a b/c")))[0] == 204
        before = it.server._registry.index
        answered, _, said = await ask(it, method, path, body)
        assert answered == status, (method, path[:80], said)
        assert status < 300 or it.server._registry.index == before, (method, path[:80])


async def test_the_password_is_the_token_on_every_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EUREKA", "true")
    (tmp_path / "tokens.toml").write_text(written((OWNER, FOREIGN, READER)))
    monkeypatch.setenv("TOKENS_FILE", "tokens.toml")

    def basic(name: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"any:{SECRETS[name]}".encode()).decode(), **JSON}

    body = sent(app="WEB")
    async with running(settings(tmp_path)) as it:
        refused = await ask(it, "POST", "/eureka/apps/WEB", body)
        assert (refused[0], json.loads(refused[2])["status"]) == (401, 401)
        assert (await ask(it, "POST", "/eureka/apps/WEB", body, basic(FOREIGN)))[0] == 403
        assert (await ask(it, "POST", "/eureka/apps/WEB", body, basic(OWNER)))[0] == 204
        assert (await ask(it, "PUT", "/eureka/apps/WEB/h1:web:8080", None, basic(FOREIGN)))[0] == 403
        assert (await ask(it, "PUT", "/eureka/apps/WEB/h1:web:8080", None, basic(OWNER)))[0] == 200
        assert (await ask(it, "GET", "/eureka/apps", None, basic(READER)))[0] == 200
        assert (await ask(it, "GET", "/resolve/web", None, basic(READER)))[0] == 200


async def test_a_registration_older_than_what_is_known_renews_it_but_takes_the_place_of_one_that_is_over(
    it: Running,
) -> None:
    async def ports(dirty: int, port: int) -> list[int]:
        assert (await ask(it, "POST", "/eureka/apps/WEB", sent(port=port, lastDirtyTimestamp=dirty)))[0] == 204
        _, _, listed = await ask(it, "GET", "/eureka/apps", headers=JSON)
        return [each["port"]["$"] for each in java_reads(json.loads(listed))]

    assert await ports(2_000, 80) == [80]
    assert await ports(1_000, 81) == [80]
    [entry] = it.server._registry
    entry.lease.renewed_at -= 100  # its lease has run out, and nobody was told of it
    assert await ports(1_000, 81) == [81]

"""GET /admin/tokens of a server that is really started: what it lists, and what it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from discovery.plugins.auth.routes import TOKENS_REPLY
from discovery.plugins.auth.tokens import digest
from tests.plugins.auth.house import ADMIN, OLD, OWNER, READER, SECRETS, written
from tests.plugins.started import Running, running, settings
from tests.shapes import fits

OWN = "a secret of the tests"
NAMES = (OWNER, READER, OLD)


@asynccontextmanager
async def serving(folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> AsyncIterator[Running]:
    monkeypatch.chdir(folder)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with running(settings(folder)) as it:
        yield it


async def tokens(it: Running, secret: str = OWN, status: int = 200, **headers: str) -> Any:
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    async with it.session.get(it.http + "/admin/tokens", headers=headers) as response:
        assert response.status == status, await response.text()
        text = await response.text()
        for each in (*SECRETS.values(), OWN):
            assert each not in text
            assert digest(each).hex() not in text
        content = await response.json()
    if status == 200:
        assert fits(TOKENS_REPLY, content)
    return content


async def test_each_token_has_its_source_its_rights_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(written(NAMES))
    async with serving(tmp_path, monkeypatch, API_TOKEN=OWN, TOKENS_FILE=str(file)) as it:
        found = await tokens(it)
    own, owner, reader, old = found["tokens"]
    assert (own.pop("lastUsed")[:2], owner["lastUsed"]) == ("20", None), "this request was the first"
    assert own == {
        "name": "API_TOKEN", "source": "API_TOKEN", "register": [], "read": False, "admin": True, "expires": None, "expired": False,
        "revoked": False,
    }  # fmt: skip
    assert (owner["source"], owner["register"], owner["admin"]) == ("TOKENS_FILE", ["web", "web-*"], False)
    assert reader["read"]
    assert (old["expires"], old["expired"]) == ("2023-11-14T22:13:30.000Z", True)
    assert (found["file"], found["fileFailure"], found["readsNeedToken"], found["revoked"]) == (
        str(file),
        None,
        False,
        [],
    )


async def test_a_file_that_turned_bad_is_told_and_its_tokens_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(written(NAMES))
    async with serving(tmp_path, monkeypatch, API_TOKEN=OWN, TOKENS_FILE=str(file)) as it:
        file.write_text("[[token")
        await it.server.reload()
        found = await tokens(it)
        assert "is no TOML" in found["fileFailure"]
        assert len(found["tokens"]) == 4
        file.write_text(written((OWNER,)))
        await it.server.reload()
        found = await tokens(it)
        assert (found["fileFailure"], len(found["tokens"])) == (None, 2)


async def test_it_is_for_admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(written((ADMIN, READER)))
    async with serving(tmp_path, monkeypatch, TOKENS_FILE=str(file)) as it:
        await tokens(it, SECRETS[ADMIN])
        await tokens(it, SECRETS[READER], 403)
        await tokens(it, "", 401)


async def test_without_tokens_it_says_what_to_set_and_only_to_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, monkeypatch) as it:
        found = await tokens(it, "")
        assert (found["tokens"], found["file"]) == ([], None)
        assert "Set API_TOKEN or TOKENS_FILE" in found["message"]
        refused = await tokens(it, "", 403, **{"X-Forwarded-For": "10.0.0.9"})
        assert refused["code"] == "FORBIDDEN"


async def test_what_was_revoked_is_marked_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(written((OWNER, READER)))
    async with serving(tmp_path, monkeypatch, API_TOKEN=OWN, TOKENS_FILE=str(file)) as it:
        headers = {"Authorization": f"Bearer {OWN}"}
        async with it.session.delete(f"{it.http}/admin/tokens/{OWNER}", headers=headers) as response:
            assert response.status == 200
        async with it.session.get(f"{it.http}/admin/tokens", headers=headers) as response:
            found = await response.json()
    assert fits(TOKENS_REPLY, found)
    assert [token["revoked"] for token in found["tokens"]] == [False, True, False]
    (revoked,) = found["revoked"]
    assert (revoked["name"], revoked["revokedBy"]) == (OWNER, "API_TOKEN at 127.0.0.1")

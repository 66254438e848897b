"""GET /admin/audit of a server that is really started: what it answers, to whom, and what it says where there is no audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discovery.plugins.audit.routes import REPLY
from tests.plugins.started import Running, running, settings
from tests.shapes import fits


async def ask(it: Running, query: str = "", status: int = 200, **headers: str) -> Any:
    async with it.session.get(f"{it.http}/admin/audit{query}", headers=headers) as response:
        assert response.status == status, await response.text()
        content = await response.json()
    if status == 200:
        assert fits(REPLY, content)
    return content


async def test_who_changed_what_newest_first_and_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIT_FILE", str(tmp_path / "audit.jsonl"))
    async with running(settings(tmp_path)) as it:
        for port in (3001, 3002, 3003):
            await it.register(port=port, metadata={"text": "é\u202e"})
        await it.register(name="billing")
        found = await ask(it)
        assert [line["service"] for line in found["lines"]] == ["billing", *["user-service"] * 3]
        assert found["lines"][1]["instance"]["port"] == 3003
        assert found["lines"][1]["by"] == {"name": "", "address": "127.0.0.1"}
        assert (found["next"], found["broken"]) == (None, 0)
        first = await ask(it, "?service=USER-service&limit=2")
        then = await ask(it, f"?service=user-service&limit=2&before={first['next']}")
        assert [line["instance"]["port"] for page in (first, then) for line in page["lines"]] == [3003, 3002, 3001]
        assert (await ask(it, "?actor=10.9.9.9"))["lines"] == []
        assert len((await ask(it, "?actor=127.0.0.1&from=-1h&to=now"))["lines"]) == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?before=x", "before"),
        ("?before=1.1", "before"),
        ("?from=now&to=-1h", "to"),
    ],
)
async def test_a_bad_question_is_told_which_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, field: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIT_FILE", str(tmp_path / "audit.jsonl"))
    async with running(settings(tmp_path)) as it:
        assert (await ask(it, query, 400))["field"] == field
        assert (await ask(it, "?actr=x", 400))["suggestion"] == "actor"


async def test_where_there_is_none_it_says_what_to_set_and_only_to_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(settings(tmp_path)) as it:
        off = await ask(it, status=404)
        assert off["code"] == "AUDIT_OFF"
        assert "set AUDIT_FILE" in off["message"]
        assert (await ask(it, status=403, **{"X-Forwarded-For": "10.0.0.9"}))["code"] == "FORBIDDEN"

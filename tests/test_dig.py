"""GET /dns/NAME of a server that is really started. What it prints is compared with dig in tests/stories/test_dig_over_http.py."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from discovery.dns import dig
from tests.plugins.started import Running, running, settings


async def _ask(it: Running) -> str:
    async with it.session.get(f"{it.http}/dns/web.svc.local") as response:
        assert response.status == 200
        return await response.text()


async def test_others_are_served_while_an_answer_is_read_and_one_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of 64 KiB takes a tenth of a second."""
    reached, let_go, at_once, most = threading.Event(), threading.Event(), 0, 0

    read = dig.read

    def slowly(reply: bytes | None) -> dict[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        reached.set()
        is_let_go = let_go.wait(5)
        at_once -= 1
        return read(reply) | {"text": f"{is_let_go=}"}

    monkeypatch.setattr(dig, "read", slowly)
    async with running(settings(tmp_path)) as it:
        asking = [asyncio.create_task(_ask(it)) for _ in range(3)]
        await asyncio.to_thread(reached.wait)
        async with it.session.get(f"{it.http}/health") as response:
            assert response.status == 200
        let_go.set()
        assert all("is_let_go=True" in text for text in await asyncio.gather(*asking))
    assert most == 1

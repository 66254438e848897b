"""The recorded story, told to this server: what differs, and why."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.plugins.eureka.story import differences, parsed, story
from tests.plugins.started import Running, running, settings

# Steps, by their names and paths, that are meant to differ; README.md of the plugin says why.
MEANT = re.compile(
    r"at once .*"  # what is registered is visible at once
    r"|renew (newer dirty|unknown|unknown app|id in other case|a cancelled one) .*|renew as a peer: .*"  # 404 without a body
    r"|(see: override gone, no value|renew after that|see: again after that) .*"  # back to what it says of itself, at once
    r"|accept.* (text/(html|plain|xml)|application/xml, application/json|application/json;q=0.5, application/xml|application/JSON) .*"
    r"|encoding gzip;q=0 .*"
    r"|GET /status .*|PUT /asg.*|peer batch.*|v2 root .*|no root .*"  # what is not there
    r"|see: (no id|id with space and slash) .*|register json without a type .*"
    r"|metadata for one registered with @class EmptyMap .*|after the odd ones /apps.*"  # 8 ids share an address
)


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EUREKA", "true")
    async with running(settings(tmp_path, max_instances_per_service=100)) as it:
        yield it


async def told(it: Running, step: dict[str, Any], dirty: int) -> list[str]:
    """How the answer differs."""

    def shifted(text: str) -> str:
        return re.sub(r"DIRTY([+-]\d+)", lambda match: str(dirty + int(match[1])), text)

    body, headers = step["body"], dict(step.get("sent", {}))
    if body is not None:
        is_json = not isinstance(body, str)
        body = shifted(json.dumps(body) if is_json else body).encode()
        headers.setdefault("Content-Type", "application/json" if is_json else "application/xml")
        body = gzip.compress(body) if headers.get("Content-Encoding") == "gzip" else body
    url = URL(it.http + shifted(step["path"]), encoded=True)
    skip = [] if headers.get("Content-Type") else ["Content-Type"]
    async with it.session.request(
        step["method"], url, data=body, headers=headers,
        skip_auto_headers=["Accept", "Accept-Encoding", "User-Agent", *skip],
    ) as response:  # fmt: skip
        octets = await response.read()
    media = response.headers.get("Content-Type", "").partition(";")[0]
    ours = {
        "status": response.status, "type": media, "answer": parsed(octets, media),
        "coding": response.headers.get("Content-Encoding"), "allow": _sorted(response.headers.get("Allow")),
    }  # fmt: skip
    theirs = {"coding": None, **{name: step.get(name) for name in ours}, "allow": _sorted(step.get("allow"))}
    if step["answer"] == {"error": "cannot parse request body"} and "error" in ours["answer"]:
        ours["answer"] = {"error": ours["answer"]["error"][:25]}  # and why
    return differences(theirs, ours)


def _sorted(allow: str | None) -> str:
    return ", ".join(sorted(each.strip() for each in (allow or "").split(",")))


async def test_it_answers_as_the_real_server_but_where_it_means_to_differ(it: Running) -> None:
    dirty, same, found = 0, 0, {}
    steps = story()
    for step in steps:
        if "DIRTY" in step["path"] + json.dumps(step["body"]) and not dirty:
            async with it.session.get(
                f"{it.http}/eureka/apps/WEB/h1:web:8080", headers={"Accept": "application/json"}
            ) as response:
                dirty = int((await response.json())["instance"]["lastDirtyTimestamp"])
        if differ := await told(it, step, dirty):
            found[f"{step['name']} {step['path']}"] = differ
        else:
            same += 1
    assert {name: differ for name, differ in found.items() if not MEANT.fullmatch(name)} == {}
    assert same >= 0.9 * len(steps), (same, len(steps), list(found))

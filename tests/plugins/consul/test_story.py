"""The recorded story: what a real Consul 1.8.7 answered to a script of requests, told to this server: what differs, and why.

`story.jsonl` has a step a line. An answer is `as` that of another step, or has parts `like` those in the first line. Values that are never
the same (indexes) are 0.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.plugins.started import Running, running, settings

# Keys whose values are no accident.
_KNOWN = re.compile(
    r"(Service|ServiceName|ServiceID|ServicePort|ServiceTags|ServiceAddress|Port|Tags|Status|AggregatedStatus|CheckID)\[?\]?"
)

# Steps, by their names, that are meant to differ; README.md of the plugin says why.
MEANT = re.compile(
    r"bad unknown field|udp check"  # what is not known is ignored, and of a check that is not made it is told
    # nobody registered `consul`; and w9 is there, which has the unknown field
    r"|(empty /v1/)?catalog[ /](services.*|node|node-services)|ci|services block|agent /v1/agent/services"
    r"|bad port (big|negative)|body (list|text)|node check|(catalog|health) connect/web|filter .* matches .*|other /|HEAD"
)


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSUL", "true")
    monkeypatch.setenv("CONSUL_NODES", "127.0.0.1=node-1")
    async with running(settings(tmp_path)) as it:
        yield it


def story() -> list[dict[str, Any]]:
    models, *steps = map(json.loads, (Path(__file__).parent / "story.jsonl").read_text().splitlines())

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(each) for each in value]
        if not isinstance(value, dict):
            return value
        return whole(models[value["like"]]) if "like" in value else {key: whole(each) for key, each in value.items()}

    for step in steps:
        answer = step["answer"]
        step["answer"] = steps[answer["as"]]["answer"] if isinstance(answer, dict) and "as" in answer else whole(answer)
    return steps


def differences(theirs: Any, ours: Any, key: str = "") -> list[str]:
    """Shapes: keys, types, how many; and the values of `_KNOWN` keys and of whole texts."""
    if type(theirs) is not type(ours):
        return [f"{key or '.'}: {str(theirs)[:60]!r} there, {str(ours)[:60]!r} here"]
    if isinstance(theirs, dict):
        found = [f"{each}: not here" for each in theirs.keys() - ours.keys()]
        found += [f"{each}: not there" for each in ours.keys() - theirs.keys()]
        return found + [
            text for each in theirs.keys() & ours.keys() for text in differences(theirs[each], ours[each], each)
        ]
    if isinstance(theirs, list):
        found = [] if len(theirs) == len(ours) else [f"{key}: {len(theirs)} there, {len(ours)} here"]
        pairs = zip(sorted(theirs, key=_order), sorted(ours, key=_order), strict=False)
        return found + [text for one, other in pairs for text in differences(one, other, f"{key}[]")]
    is_known = not key or _KNOWN.fullmatch(key)
    return [f"{key}: {theirs!r} there, {ours!r} here"] if is_known and theirs != ours else []


def _order(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    names = (
        ("ServiceID", "CheckID") if "ServiceID" in value and "ServicePort" in value else ("CheckID", "ID", "ServiceID")
    )
    return str([value[name] for name in names if value.get(name)] or [value.get("Service", {}).get("ID")] if "Checks" in value else
               [value.get(name) for name in names])  # fmt: skip


class Teller:
    """`index`, `hash`: of the last answer that had one."""

    def __init__(self, it: Running) -> None:
        self.it = it
        self.index = self.hash = ""

    async def differences(self, step: dict[str, Any]) -> list[str]:
        body, path = step.get("body"), step["path"].replace("INDEX", self.index).replace("HASH", self.hash)
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        url, skip = URL(self.it.http + path, encoded=True), ["Content-Type", "Accept-Encoding"]
        async with self.it.session.request(
            step["method"], url, data=data, headers=step.get("sent"), skip_auto_headers=skip
        ) as response:
            text = (await response.read()).decode()
            headers = response.headers
        self.index = headers.get("X-Consul-Index", self.index)
        self.hash = headers.get("X-Consul-ContentHash", self.hash)
        media = headers.get("Content-Type", "").partition(";")[0]
        answer = json.loads(text) if media == "application/json" and step["method"] != "HEAD" else text
        ours = {
            "status": response.status, "type": media, "allow": headers.get("Allow"), "index": "X-Consul-Index" in headers, "answer": answer,
        }  # fmt: skip
        theirs = {"allow": None, "index": False} | {name: step[name] for name in ours if name in step}
        return [text for name in ours for text in differences(theirs[name], ours[name])]


async def test_it_answers_as_a_real_consul_but_where_it_means_to_differ(it: Running) -> None:
    teller, same, found = Teller(it), 0, {}
    steps = story()
    for step in steps:
        differ = await teller.differences(step)
        while step["name"] == "lapsed" and differ:  # it takes a second
            await asyncio.sleep(0.05)
            differ = await teller.differences(step)
        if differ:
            found[step["name"]] = differ
        else:
            same += 1
    assert {name: differ for name, differ in found.items() if not MEANT.fullmatch(name)} == {}
    assert same >= 0.9 * len(steps), (same, len(steps), list(found))

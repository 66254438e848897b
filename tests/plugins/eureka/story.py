"""The recorded story: 360 requests to a real Eureka server 4.3.0, with its answers, in `story.jsonl`; and how two answers are compared.

A line is a step: `sent` are the headers; an instance is `like` the one in the first line but for some fields; `as` is the answer of another
step; `xml`: the answer was that in XML. What is never the same (times, order, numbers of versions) was taken out of it.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

# Keys whose values are no accident.
_KNOWN = re.compile(
    r"app|instanceId|hostName|status|overriddenStatus|overriddenstatus|vipAddress|secureVipAddress|ipAddr|actionType|apps__hashcode|name|"
    r"allow|\$|@enabled|@class|durationInSecs|renewalIntervalInSecs|homePageUrl|version|management\.port|a|b|x|z"
)
_ABSENT = "(none)"


def story() -> list[dict[str, Any]]:
    lines = (Path(__file__).parent / "story.jsonl").read_text().splitlines()
    models, *steps = map(json.loads, lines)
    by_number = {step["step"]: step for step in steps}
    for step in steps:
        step["body"] = _whole(step.get("body"), models["body"], True)
        while isinstance(step["answer"], dict) and "as" in step["answer"]:
            step["answer"] = by_number[step["answer"]["as"]]["answer"]
        step["answer"] = _whole(step["answer"], models["instance"], False)
        if "xml" in step:
            step["answer"] = _as_texts(step["answer"])
    return steps


def _whole(value: Any, model: dict[str, Any], is_body: bool) -> Any:
    if isinstance(value, list):
        return [_whole(each, model, is_body) for each in value]
    if not isinstance(value, dict):
        return value
    if "like" in value:
        found = {key: each for key, each in {**model, **value["like"]}.items() if each != _ABSENT}
        return {"instance": found} if is_body else found
    return {key: _whole(each, model, is_body) for key, each in value.items()}


def _as_texts(value: Any) -> Any:
    """JSON as XML has it: everything is text."""
    if isinstance(value, dict):
        names = {"overriddenStatus": "overriddenstatus"}
        return {names.get(key, key): _as_texts(each) for key, each in value.items() if each != []}
    if isinstance(value, list):
        return [_as_texts(each) for each in value]
    return str(value)


def parsed(octets: bytes, media: str) -> Any:
    """JSON, XML as JSON, or the text."""
    if media == "application/xml" and octets.startswith(b"<"):
        root = ET.fromstring(octets)  # noqa: S314 our own server wrote it
        return {root.tag: _tree(root)}
    try:
        return json.loads(octets)
    except ValueError:
        return octets.decode()


def _tree(element: ET.Element) -> Any:
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        value = _tree(child)
        if child.tag in ("application", "instance"):
            found.setdefault(child.tag, []).append(value)
        else:
            found[child.tag] = value
    text = (element.text or "").strip()
    if found and text:
        found["$"] = text
    return found or text


def differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Shapes: keys, types, how many; and the values of `_KNOWN` keys."""
    if type(theirs) is not type(ours):
        return [f"{path or '.'}: {str(theirs)[:60]!r} there, {str(ours)[:60]!r} here"]
    if isinstance(theirs, dict):
        found = [f"{path}.{key}: not here" for key in theirs.keys() - ours.keys()]
        found += [f"{path}.{key}: not there" for key in ours.keys() - theirs.keys()]
        both = theirs.keys() & ours.keys()
        return found + [each for key in both for each in differences(theirs[key], ours[key], f"{path}.{key}")]
    if isinstance(theirs, list):
        found = [] if len(theirs) == len(ours) else [f"{path}: {len(theirs)} there, {len(ours)} here"]
        pairs = zip(sorted(theirs, key=_order), sorted(ours, key=_order), strict=False)
        return found + [each for one, other in pairs for each in differences(one, other, f"{path}[]")]
    known = _KNOWN.fullmatch(path.rpartition(".")[2] if not path.endswith("port") else path) or not path
    return [f"{path}: {theirs!r} there, {ours!r} here"] if known and theirs != ours else []


def _order(value: Any) -> str:
    return str(value.get("instanceId") or value.get("name") or value) if isinstance(value, dict) else str(value)

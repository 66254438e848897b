"""XML as Eureka has it, read and written as the JSON that says the same. Pure.

`<port enabled="true">8080</port>` is `{"$": "8080", "@enabled": "true"}`, and the attribute `class` is `@class`. What is read is a
stranger's: no DOCTYPE, and so no entities; bounded depth and number of elements.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

# An instance has four levels and fewer than a hundred elements, besides its metadata.
MAX_DEPTH = 16
MAX_ELEMENTS = 10_000

# XML 1.0 §2.3 without the rarer letters, and §2.2: what no document may have, escaped or not.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The fields that have another name in XML.
_NAMES = {"overriddenStatus": "overriddenstatus"}


class _Element:
    def __init__(self, attributes: dict[str, str]) -> None:
        self.found: dict[str, Any] = {f"@{name}": value for name, value in attributes.items()}
        self.text: list[str] = []

    def value(self) -> Any:
        """Text where it has neither attributes nor children."""
        text = "".join(self.text).strip()
        if text and self.found:
            self.found["$"] = text
        return self.found or text


def read(octets: bytes) -> dict[str, Any]:
    """`{"instance": {…}}`. ValueError when it is no XML, has a DOCTYPE, or is too deep or too large."""
    root: dict[str, Any] = {}
    stack = [_Element({})]
    elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if elements > MAX_ELEMENTS or len(stack) > MAX_DEPTH:
            raise ValueError(f"it has more than {MAX_ELEMENTS} elements, or more than {MAX_DEPTH} levels of them")
        stack.append(_Element(attributes))

    def end(name: str) -> None:
        value = stack.pop().value()
        (stack[-1].found if len(stack) > 1 else root)[name] = value

    def doctype(*declared: object) -> None:
        raise ValueError("it has a DOCTYPE")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: stack[-1].text.append(text)
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(octets, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from None
    return root


def write(name: str, value: Any, depth: int | None = 0) -> str:
    """An element, its children each in a line, two blanks deeper; `depth` None: without lines. Keys that no element can be called by
    are left out.
    """
    out: list[str] = []
    _write(out, name, value, depth)
    return "".join(out)


def _write(out: list[str], name: str, value: Any, depth: int | None) -> None:
    if isinstance(value, list):
        for item in value:
            _write(out, name, item, depth)
        return
    if not _NAME.fullmatch(name):
        return
    name = _NAMES.get(name, name)
    margin = "" if depth is None or not depth else "\n" + "  " * depth
    if not isinstance(value, dict):
        out.append(f"{margin}<{name}>{_text(value)}</{name}>")
        return
    attributes = "".join([f" {key[1:]}={quoteattr(_clean(each))}" for key, each in value.items() if key[0:1] == "@"])
    children = [(key, each) for key, each in value.items() if key[0:1] not in ("@", "$")]
    out.append(f"{margin}<{name}{attributes}>")
    if "$" in value:
        out.append(_text(value["$"]))
    for key, each in children:
        _write(out, key, each, None if depth is None else depth + 1)
    if children and depth is not None:
        out.append("\n" + "  " * depth)
    if not children and "$" not in value:
        out[-1] = out[-1][:-1] + "/>"
    else:
        out.append(f"</{name}>")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_clean(value))


def _clean(value: Any) -> str:
    return _NO_CHARACTER.sub("\ufffd", str(value))

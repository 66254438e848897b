"""Metadata: which JSON objects are kept, how they are kept, and which are too much."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core import metadata
from discovery.core.errors import InvalidField

KIB_16 = 16 * 1024


def nested(depth: int, kind: type = dict) -> dict[str, Any]:
    """An object `depth` levels deep, by objects or by lists."""
    node: Any = {} if kind is dict else []
    for _ in range(depth - 2):
        node = {"a": node} if kind is dict else [node]
    return {"a": node}


def chars(octets: int, char: str = "x") -> dict[str, Any]:
    """An object whose compact JSON has so many octets, were each `char` one."""
    return {"k": char * (octets - len('{"k":""}'))}


def endless() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    inner["again"] = inner
    return inner


BAD: dict[str, object] = {
    "a list": [],
    "a text": "{}",
    "a number": 1,
    "true": True,
    "false": False,
    "bytes of JSON": b"{}",
    "one octet over 16 KiB": chars(KIB_16 + 1),
    "1 MB in one text": chars(1_000_000),
    "1 MB in many": {str(number): "x" * 20 for number in range(40_000)},
    "1 MB in one list": {"a": [0] * 500_000},
    "a long key": {"k" * KIB_16: 1},
    "over 16 KiB in UTF-8": chars(KIB_16, "\u20ac"),
    "over 16 KiB once quotes are escaped": chars(KIB_16, '"'),
    "1,000 objects deep": nested(1_000),
    "1,000 lists deep": nested(1_000, list),
    "100,000 deep": nested(100_000),
    "a loop": endless(),
    "NUL in a value": {"a": "b\0c"},
    "NUL in a key": {"a\0": 1},
    "NUL in a list": {"a": [["\0"]]},
    "NUL in a key far inside": {"a": {"b": [{"c\0": None}]}},
    "a set": {"a": {1, 2}},
    "an object of Python": {"a": object()},
    "bytes": {"a": b"b"},
    "a key that is a number": {1: "a"},
    "a key that is null": {None: "a"},
    "half a surrogate": {"a": "\ud800"},
    "half a surrogate in a key": {"\udfff": 1},
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_bad_metadata_is_refused(value: object) -> None:
    with pytest.raises(InvalidField) as caught:
        metadata.pack(value)
    assert caught.value.field == "metadata"
    assert len(str(caught.value)) < 1000


def test_the_field_at_fault_is_the_one_the_caller_names() -> None:
    with pytest.raises(InvalidField, match="labels"):
        metadata.pack([], "labels")


def test_no_metadata_is_the_empty_object() -> None:
    assert metadata.pack(None) == metadata.pack({}) == metadata.EMPTY
    assert metadata.unpack(metadata.EMPTY) == {}


@pytest.mark.parametrize(
    "value",
    [
        chars(KIB_16),
        {"a": "\u20ac" * (KIB_16 // 3 - 10)},
        {"a": [0] * 8_000},
        {f"{number:04}": 1 for number in range(1_600)},
    ],
    ids=["one text", "three octets a letter", "a list of 8,000", "1,600 keys"],
)
def test_16_kib_of_compact_json_are_kept(value: dict[str, Any]) -> None:
    text = metadata.pack(value)
    assert len(text) <= KIB_16
    assert json.loads(text) == value


def test_exactly_16_kib_are_the_limit() -> None:
    assert len(metadata.pack(chars(KIB_16))) == KIB_16


@pytest.mark.parametrize("kind", [dict, list])
def test_thirty_levels_are_kept(kind: type) -> None:
    value = nested(30, kind)
    assert json.loads(metadata.pack(value)) == value


def test_a_refusal_tells_the_limit() -> None:
    with pytest.raises(InvalidField, match="16384"):
        metadata.pack(chars(20_000))
    with pytest.raises(InvalidField, match="deep"):
        metadata.pack(nested(1_000))
    with pytest.raises(InvalidField, match="NUL"):
        metadata.pack({"a": "\0"})


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(TEXTS, JSON, max_size=5))
def test_what_is_kept_comes_back_as_it_was(value: dict[str, Any]) -> None:
    text = metadata.pack(value)
    assert json.loads(text) == metadata.unpack(text) == value


@given(st.dictionaries(TEXTS, JSON, max_size=5))
def test_equal_objects_are_kept_as_equal_texts(value: dict[str, Any]) -> None:
    assert metadata.pack(value) == metadata.pack(json.loads(json.dumps(value)))

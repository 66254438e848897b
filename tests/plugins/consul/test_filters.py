"""Consul's filter expressions, asked of rows as its API has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.plugins.consul.catalog import SAMPLES
from discovery.plugins.consul.filters import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, BadFilter, compile_filter

ROW: dict[str, Any] = {
    "Node": {"Node": "web-host", "Meta": None},
    "Service": {
        "ID": "web-1", "Port": 8080, "Tags": ["v1", "a b"], "Meta": {"version": "1.2.3", "consul-x": "y"}, "Address": "10.0.0.1",
        "EnableTagOverride": True, "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 80}},
    },
    "Checks": [{"Status": "passing", "Name": "a"}, {"Status": "critical", "Name": "b"}],
}  # fmt: skip

TRUE = (
    "Service.Port == 8080", 'Service.Port == "8080"', "Service.Port != 80", 'Service.Tags contains "v1"', '"v1" in Service.Tags',
    "v1 in Service.Tags", '"v2" not in Service.Tags', 'Service.Tags not contains "v2"', 'Service.Meta.version == "1.2.3"',
    'Service.Meta["consul-x"] == `y`', "version in Service.Meta", "nothing not in Service.Meta", "Service.Meta is not empty",
    "Node.Meta is empty", 'Checks.Status == "passing"', 'Checks.Status == "critical"', 'Checks.Status != "passing"',
    'Node.Node == "x" or Service.ID == "web-1"', 'not (Service.ID == "x")', "not not Service.Port == 8080",
    '(((Service.ID == "web-1"))) and Service.Port == 8080', 'Service.Address contains "10."', "Service.EnableTagOverride == true",
    'Service.TaggedAddresses.lan.Address == "10.0.0.1"', 'Service.Meta.none != "x"', 'Service.ID == "w\\eb-1"',
)  # fmt: skip
FALSE = (
    "Service.Port == 80", '"V1" in Service.Tags', 'Service.Meta.none == "x"', "Service.Tags is empty", 'Checks.Status == "warning"',
    'Service.ID == "web-1" and Service.Port == 1', "not Service.Port == 8080", 'not (Service.Port == 1 or Service.ID == "web-1")',
)  # fmt: skip


@pytest.mark.parametrize("text", [*TRUE, *FALSE])
def test_an_expression_means_what_it_means_in_consul(text: str) -> None:
    assert compile_filter(text, SAMPLES["health"])(ROW) is (text in TRUE)


WRONG = {
    "nonsense": "1:9 (8): no match found",
    "Service.ID ==": "1:14 (13): no match found",
    "Service.ID == web-1": "1:18 (17): no match found",
    "Service.Nope == 1": 'Selector "Service.Nope" is not valid',
    "Service.Meta.a.b == 1": 'Selector "Service.Meta.a.b" is not valid',
    'Service.ID matches "^w"': "matches is not taken here",
    'Service.ID not matches "^w"': "matches is not taken here",
    "(Service.ID == 1": "1:17 (16): no match found",
    "Service.ID == 1)": "1:16 (15): no match found",
    "Service.ID == 1 and": "1:20 (19): no match found",
    'Service.ID == "open': "1:14 (13): no match found",
    "== 1": "1:1 (0): no match found",
    "": "1:1 (0): no match found",
    "(" * (MAX_DEPTH + 1) + "Service.Port == 1": "levels deep",
    " or ".join(["Service.Port == 1"] * (MAX_TERMS + 1)): "more than 64 comparisons",
    "x" * (MAX_LENGTH + 1): "at most 2048",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadFilter) as failure:
        compile_filter(text, SAMPLES["health"])
    assert str(failure.value).startswith("Failed to create boolean expression evaluator: ")
    assert WRONG[text] in str(failure.value)


_PIECES = (
    "Service.Port",
    "Service.Tags",
    '"v1"',
    "8080",
    "==",
    "!=",
    "in",
    "not",
    "and",
    "or",
    "(",
    ")",
    "is",
    "empty",
    "[",
    '"',
    ".",
)


@given(st.lists(st.sampled_from(_PIECES), max_size=20).map(" ".join) | st.text(max_size=60))
def test_any_text_is_an_answer_or_refused(text: str) -> None:
    try:
        test = compile_filter(text, SAMPLES["health"])
    except BadFilter:
        return
    assert test(ROW) in (True, False)


@given(st.text(max_size=20), st.sampled_from(["==", "!="]))
def test_a_text_is_compared_as_it_is(value: str, sign: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    row = {"Service": {"ID": value}}
    if "\n" not in value and "\r" not in value:
        assert compile_filter(f'Service.ID {sign} "{escaped}"', SAMPLES["health"])(row) is (sign == "==")

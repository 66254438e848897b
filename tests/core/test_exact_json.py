from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core import exact_json
from discovery.core.metadata import pack, unpack

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_is_written_is_read_back_exactly(value: object) -> None:
    assert exact_json.loads(exact_json.dumps(value)) == value


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30, 10**307])
def test_whole_numbers_beyond_64_bits_stay_what_they_are(number: int) -> None:
    text = json.dumps({"n": number}).encode()
    assert exact_json.loads(text) == {"n": number}
    assert unpack(pack(exact_json.loads(text))) == {"n": number}


@pytest.mark.parametrize(
    "text",
    [
        b'{"n":NaN,"m":1234567890123456789012}',
        b'{"n":Infinity,"m":1234567890123456789012}',
        b"1234567890123456789012,",
        b"01234567890123456789012",
        b'"1234567890123456789012\n"',
        b"[" * 5000 + b"1234567890123456789012" + b"]" * 5000,
        b'{"n":' + b"9" * 310 + b"}",
        b"\xff1234567890123456789012",
        b"",
    ],
)
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        exact_json.loads(text)


@pytest.mark.parametrize("value", [object(), {1, 2}, {"n": object(), "m": 10**30}])
def test_what_has_no_json_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        exact_json.dumps(value)


def test_no_number_becomes_another_that_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        exact_json.dumps({"n": 10**30, "m": math.nan})

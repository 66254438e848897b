"""Equal values are one object, and nothing but that."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.core import instance
from discovery.core.shared import shared


@pytest.mark.parametrize("value", [40_001, 3600.5, b'{"version":"1.0.0"}'])
def test_an_equal_value_is_the_same_object(value: Any) -> None:
    again = type(value)(bytearray(value)) if isinstance(value, bytes) else type(value)(str(value))
    assert again is not value
    assert shared(again) is shared(value)


def test_equal_numbers_of_different_types_stay_what_they_are() -> None:
    assert [type(shared(value)) for value in (1, 1.0, 1)] == [int, float, int]


def test_long_metadata_is_not_kept_for_others() -> None:
    long = bytes(257)
    assert shared(bytes(bytearray(long))) is not shared(long)


def test_instances_share_what_they_have_in_common() -> None:
    one, two = (
        instance.Registration.of("web", f"10.0.0.{last}", "3001", metadata={"version": "1"}, ttl=3600)
        for last in (1, 2)
    )
    assert one.name is two.name
    assert one.port is two.port
    assert one.ttl is two.ttl
    assert one.metadata is two.metadata

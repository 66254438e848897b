"""Beside an OrderedDict, with parts so small that keys are spread over many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.store import chunked_dict
from discovery.store.chunked_dict import ChunkedDict

KEYS = st.integers(0, 12)
STEPS = st.lists(st.tuples(st.sampled_from(("put", "pop", "pop first")), KEYS), max_size=60)


@pytest.fixture(autouse=True, scope="module")
def _small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked_dict, "_PART", 3)
        yield


@given(STEPS)
def test_it_does_what_an_ordered_dictionary_does(steps: list[tuple[str, int]]) -> None:
    ours, model = ChunkedDict[int, int](), OrderedDict[int, int]()
    for value, (step, key) in enumerate(steps):
        if step == "pop first" and model:
            key = next(iter(model))
        if step == "put":
            ours.put(key, value)
            model[key] = value
            model.move_to_end(key)
        else:
            assert ours.pop(key) == model.pop(key, None)
        assert list(ours) == list(model.items())
        assert len(ours) == len(model)
        assert (ours.first(), ours.last()) == (next(iter(model.items()), None), next(reversed(model.items()), None))
        for each in range(13):
            assert ours.get(each) == model.get(each)
            assert (each in ours) == (each in model)

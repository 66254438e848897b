"""Who is asked first, by what the upstreams did lately."""

from __future__ import annotations

from discovery.plugins.forward.order import FAILURES, HOLD, Order
from discovery.plugins.forward.settings import Upstream

FIRST, SECOND = Upstream("192.0.2.1", 53), Upstream("192.0.2.2", 53)


def silent_first(now: float = 0.0) -> Order:
    order = Order([FIRST, SECOND])
    for _ in range(FAILURES):
        order.failed(FIRST, now)
    return order


def test_they_are_asked_as_the_setting_has_them() -> None:
    assert Order([FIRST, SECOND]).asked(0.0) == [FIRST, SECOND]


def test_one_that_is_silent_about_a_name_or_two_keeps_its_place() -> None:
    order = Order([FIRST, SECOND])
    for _ in range(5):
        for _ in range(FAILURES - 1):
            assert not order.failed(FIRST, 0.0)
        assert not order.answered(FIRST)
    assert order.asked(0.0) == [FIRST, SECOND]


def test_one_that_was_silent_several_times_in_a_row_is_asked_last() -> None:
    assert silent_first().asked(1.0) == [SECOND, FIRST]


def test_that_it_is_silent_is_news_once() -> None:
    order = Order([FIRST])
    assert [order.failed(FIRST, 0.0) for _ in range(FAILURES + 2)] == [False] * (FAILURES - 1) + [True, False, False]
    assert [order.answered(FIRST) for _ in range(2)] == [True, False]


def test_after_a_while_a_single_query_asks_it_first_again() -> None:
    order = silent_first(now=0.0)
    assert order.asked(HOLD - 0.1) == [SECOND, FIRST]
    assert [order.asked(HOLD) for _ in range(3)] == [[FIRST, SECOND], [SECOND, FIRST], [SECOND, FIRST]]


def test_once_it_answers_it_has_its_place_again() -> None:
    order = silent_first()
    order.answered(FIRST)
    assert order.asked(1.0) == [FIRST, SECOND]


def test_when_all_are_silent_all_are_asked() -> None:
    order = silent_first()
    for _ in range(FAILURES):
        order.failed(SECOND, 0.0)
    assert order.asked(1.0) == [FIRST, SECOND]

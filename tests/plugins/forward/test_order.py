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
            order.failed(FIRST, 0.0)
        order.answered(FIRST)
    assert order.asked(0.0) == [FIRST, SECOND]


def test_one_that_was_silent_several_times_in_a_row_is_asked_last() -> None:
    assert silent_first().asked(1.0) == [SECOND, FIRST]


def test_one_that_is_silent_is_warned_of_with_the_reason_until_it_answers() -> None:
    order = silent_first()
    order.failed(FIRST, 1.0, 2.0, "timed out")
    [text] = order.failing().values()
    assert text.startswith("192.0.2.1:53 (FORWARD_TO) did not answer 4 times in a row (timed out)")
    order.answered(FIRST, 2.0, 0.01)
    assert not order.failing()


def test_one_whose_answers_take_long_is_warned_of_and_its_p99_is_of_the_last_minutes() -> None:
    order = Order([FIRST, SECOND])
    for number in range(100):
        order.answered(FIRST, number / 100, 0.01)
        order.answered(SECOND, number / 100, 0.02)
    assert order.p99(1.0) == {str(FIRST): 0.01, str(SECOND): 0.02}
    for _ in range(3):
        order.answered(FIRST, 1.0, 1.5)
    assert order.p99(1.0)[str(FIRST)] == 1.5
    assert list(order.slow(1.0)) == [str(FIRST)]
    assert order.p99(400.0) == {}
    assert order.slow(400.0) == {}, "nobody has asked it since"


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

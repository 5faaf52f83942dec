"""Work begun ahead gives what work on demand gives, and no more of it waits than is said."""

import threading

import pytest

from darts.data.ahead import MOST, Ahead


def square(x: int) -> int:
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * x


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_requests_expected_or_not(workers):
    ahead = Ahead(square, workers)
    ahead.expect((3, 1, 2))
    ahead.expect((3, 1, 2))
    assert ahead.results((3, 1, 2)) == [9, 1, 4]
    assert ahead.results((3, 1, 2)) == [9, 1, 4]
    assert ahead.results(()) == []


def test_what_is_expected_is_done_before_it_is_asked_for_and_once():
    done, calls = threading.Event(), []

    def work(x: int) -> int:
        calls.append(x)
        done.set()
        return x

    ahead = Ahead(work, 1)
    ahead.expect((7,))
    assert done.wait(timeout=10)
    assert ahead.results((7,)) == [7]
    assert calls == [7]


def test_an_error_comes_when_its_group_is_asked_for_and_the_next_group_is_sound():
    ahead = Ahead(square, 2)
    ahead.expect((1, -5, 2))
    ahead.expect((4,))
    with pytest.raises(ValueError, match="-5 is negative"):
        ahead.results((1, -5, 2))
    assert ahead.results((4,)) == [16]


def test_groups_that_nobody_asks_for_do_not_pile_up():
    ahead = Ahead(square, 1)
    for group in range(5 * MOST):
        ahead.expect((group,))
    assert len(ahead._begun) == MOST
    assert ahead.results((0,)) == [0]


def test_what_is_not_begun_is_dropped_with_the_object_and_its_threads_end():
    go, calls = threading.Event(), []

    def work(x: int) -> None:
        calls.append(x)
        go.wait(timeout=10)

    ahead = Ahead(work, 1)
    for group in range(MOST):
        ahead.expect((group,))
    (thread,) = ahead._pool._threads
    del ahead
    go.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert calls in ([0], [])

"""Prefetched work gives what work on demand gives, and no more of it waits than is said."""

import threading

import pytest

from darts.data.prefetch import MOST, Prefetcher


def square(x: int) -> int:
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * x


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_requests_expected_or_not(workers):
    prefetcher = Prefetcher(square, workers)
    prefetcher.prefetch((3, 1, 2))
    prefetcher.prefetch((3, 1, 2))
    assert prefetcher.results((3, 1, 2)) == [9, 1, 4]
    assert prefetcher.results((3, 1, 2)) == [9, 1, 4]
    assert prefetcher.results(()) == []


def test_what_is_expected_is_done_before_it_is_asked_for_and_once():
    done, calls = threading.Event(), []

    def work(x: int) -> int:
        calls.append(x)
        done.set()
        return x

    prefetcher = Prefetcher(work, 1)
    prefetcher.prefetch((7,))
    assert done.wait(timeout=10)
    assert prefetcher.results((7,)) == [7]
    assert calls == [7]


def test_an_error_comes_when_its_group_is_asked_for_and_the_next_group_is_sound():
    prefetcher = Prefetcher(square, 2)
    prefetcher.prefetch((1, -5, 2))
    prefetcher.prefetch((4,))
    with pytest.raises(ValueError, match="-5 is negative"):
        prefetcher.results((1, -5, 2))
    assert prefetcher.results((4,)) == [16]


def test_groups_that_nobody_asks_for_do_not_pile_up():
    prefetcher = Prefetcher(square, 1)
    for group in range(5 * MOST):
        prefetcher.prefetch((group,))
    assert len(prefetcher._begun) == MOST
    assert prefetcher.results((0,)) == [0]


def test_what_is_not_begun_is_dropped_with_the_object_and_its_threads_end():
    go, calls = threading.Event(), []

    def work(x: int) -> None:
        calls.append(x)
        go.wait(timeout=10)

    prefetcher = Prefetcher(work, 1)
    for group in range(MOST):
        prefetcher.prefetch((group,))
    (thread,) = prefetcher._pool._threads
    del prefetcher
    go.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert calls in ([0], [])

"""Prefetching: work on threads that begins before its results are asked for."""

import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Request = TypeVar("Request", bound=Hashable)
Result = TypeVar("Result")

MOST = 8
"""Prefetched groups that wait to be asked for; the oldest is cancelled when there are more."""


class Prefetcher(Generic[Request, Result]):
    """Results of a pure function for groups of requests, prefetched where that was asked.

    What comes back depends on the requests alone: neither on the number of threads nor on what
    was prefetched. Threads help as far as the function releases the GIL.

    Args:
        function: a pure function of one request.
        workers: number of threads.
    """

    def __init__(self, function: Callable[[Request], Result], workers: int) -> None:
        self._function = function
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
        self._begun: dict[tuple[Request, ...], list[Future[Result]]] = {}
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def prefetch(self, requests: tuple[Request, ...]) -> None:
        """Begin on a group that will be asked for soon."""
        if requests in self._begun:
            return
        self._begun[requests] = self._submit(requests)
        while len(self._begun) > MOST:
            _cancel(self._begun.pop(next(iter(self._begun))))

    def results(self, requests: tuple[Request, ...]) -> list[Result]:
        """The results of a group, in its order.

        Raises:
            Whatever the function raised for the first request that it failed on.
        """
        begun = self._begun.pop(requests, None) or self._submit(requests)
        try:
            return [future.result() for future in begun]
        finally:
            _cancel(begun)  # what is left if one failed

    def _submit(self, requests: tuple[Request, ...]) -> list[Future[Result]]:
        return [self._pool.submit(self._function, request) for request in requests]


def _cancel(futures: list[Future[Result]]) -> None:
    for future in futures:
        future.cancel()

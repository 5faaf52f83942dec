"""The number of searches side by side on one device that takes the most steps a second."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from darts.config.full import FullConfig
from darts.parallel.workers import Worker, ctrl_c_held_back, ended_in_any_case, telling_failures
from darts.training.phases import STEP, phases_of
from darts.training.room import Place
from darts.training.searching import paired_batches

WARM_UP_STEPS = 5
"""Not counted; a captured step is the fourth."""
LEAST_STEPS = 5
"""That a single process takes in the time of a count."""
NEARLY = 0.05
"""Share of the most steps a second that fewer processes may lack and still be preferred."""


@dataclass(frozen=True)
class Count:
    """Steps of so many processes side by side.

    Attributes:
        workers: number of processes.
        steps_per_second: steps of all together; 0 if the count failed.
        trouble: the reason if it failed, else empty.
    """

    workers: int
    steps_per_second: float
    trouble: str = ""


@dataclass(frozen=True)
class SideBySide:
    """The counts of several numbers of processes.

    Attributes:
        counts: the counts in ascending order of processes; the last one may have failed.
        steps_per_epoch: number of steps in an epoch of the search.
    """

    counts: tuple[Count, ...]
    steps_per_epoch: int

    def epochs_per_hour(self, count: Count) -> float:
        return 3600 * count.steps_per_second / self.steps_per_epoch

    @property
    def best(self) -> Count:
        """The fewest processes within `NEARLY` of the most steps a second."""
        most = max(count.steps_per_second for count in self.counts)
        return next(c for c in self.counts if c.steps_per_second >= (1 - NEARLY) * most)


def numbers_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `most`."""
    powers = [2**power for power in range(most.bit_length()) if 2**power < most]
    return (*powers, most)


def side_by_side(
    config: FullConfig, place: Place, numbers: Iterable[int], seconds: float
) -> SideBySide:
    """Count real search steps of 1, 2, 4, ... processes that go at the same time.

    Each process has the search's own network, batches and optimisers, and takes a few steps before
    any count. A number at which a process fails is the last. Not run on a GPU.

    Args:
        config: config of the search.
        place: the device and the threads of each process.
        numbers: numbers of processes to count, ascending.
        seconds: least time of a count; it is longer where steps are.

    Raises:
        ValueError: one process alone fails.
    """
    workers: list[Worker] = []
    counts: list[Count] = []
    per_epoch = 0
    with ended_in_any_case(workers):
        for number in numbers:
            try:
                ready = len(workers)
                while len(workers) < number:
                    with ctrl_c_held_back():
                        workers.append(Worker(partial(_step_on_demand, config, place)))
                for worker in workers[ready:]:
                    answer = worker.answer(f"One of {number} processes")
                    assert isinstance(answer, tuple)
                    per_epoch, step_seconds = answer
                    if number == 1:
                        seconds = max(seconds, LEAST_STEPS * step_seconds)
                counts.append(Count(number, _steps_per_second(workers, seconds)))
            except ValueError as error:
                if not counts:
                    raise
                counts.append(Count(number, 0.0, str(error)))
                break
    return SideBySide(tuple(counts), per_epoch)


def _steps_per_second(workers: Sequence[Worker], seconds: float) -> float:
    for worker in workers:
        with suppress(BrokenPipeError):  # of one that has died, which its answer says
            worker.connection.send(seconds)
    total = 0.0
    for worker in workers:
        found = worker.answer(f"One of {len(workers)} processes")
        assert isinstance(found, tuple)
        steps, taken = found
        total += steps / taken
    return total


def _step_on_demand(config: FullConfig, place: Place, connection: Connection) -> None:
    """Make a search, and take its steps for as many seconds as is asked for, again and again."""
    with telling_failures(connection), place.computing(config) as (images, devices):
        phase = next(phases_of(config, images, None, devices))
        work = next(work for work in phase.works if work.name == STEP)
        assert config.search is not None
        halves = config.search.halves(images)
        per_epoch = paired_batches(config.search, halves).per_epoch
        for _ in range(WARM_UP_STEPS - 1):
            work.once(work.images)
        began = time.perf_counter()
        work.once(work.images)
        connection.send((per_epoch, time.perf_counter() - began))
        while True:
            try:
                seconds = connection.recv()
            except EOFError:
                return
            steps, began = 0, time.perf_counter()
            while steps == 0 or time.perf_counter() < began + seconds:
                work.once(work.images)
                steps += 1
            connection.send((steps, time.perf_counter() - began))

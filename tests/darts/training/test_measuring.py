"""What work takes: memory of known size, time of known length, and a line through two sizes."""

import time
from functools import partial
from multiprocessing import get_context

import pytest
import torch

from darts.training import measuring
from darts.training.dry_run import extrapolated
from darts.training.measuring import Cost, HostMemory, cost_of

MIB = 2**20


SIZES = (64, 256, 48, 64)


def peaks_mib(tensors: int) -> list[float]:
    """Peaks measured of works that hold so many MiB for a moment, once, each in so many tensors."""
    measuring.SHORT_SECONDS = measuring.LONG_SECONDS = 1e-9
    memory = HostMemory()
    base = memory.held()

    def work(mib: int) -> None:
        held = [torch.ones(mib * MIB // 4 // tensors) for _ in range(tensors)]
        assert len(held) == tensors

    return [cost_of(partial(work, mib), memory, base, "cpu").peak_bytes / MIB for mib in SIZES]


@pytest.mark.parametrize("tensors", [1, 512], ids=["of its own", "from the heap"])
def test_the_peak_is_what_was_held_and_earlier_work_does_not_hide_in_it(tensors):
    """To 1 MiB below, for Linux counts pages 64 at a time, and 4 above, for the allocator's own.

    Tensors of 32 MiB and less come from its heap, where not every gap is filled again: the same
    work done twice may lie in two places, and both count, as they do in training. So each work is
    done once here, in a process of its own: other tests leave gaps in the heap.
    """
    with get_context("spawn").Pool(1) as pool:
        peaks = pool.apply(peaks_mib, (tensors,))
    for mib, peak in zip(SIZES, peaks, strict=True):
        assert mib - 1 <= peak <= mib + 4


def test_short_work_is_done_seven_times_of_which_the_last_five_are_timed():
    calls = []
    cost_of(lambda: calls.append(0), HostMemory(), 0, "cpu")
    assert len(calls) == 7


def test_what_is_made_the_first_time_is_counted_apart():
    """A quarter of a second of work at first, as kernels of a new size take, then none."""
    busy = [0.25]

    def work() -> None:
        until = time.process_time() + (busy.pop() if busy else 0.0)
        while time.process_time() < until:
            pass

    cost = cost_of(work, HostMemory(), 0, "cpu")
    assert cost.wall_seconds < 0.125
    assert cost.cpu_seconds < 0.125
    assert cost.warm_up_seconds >= 0.25 - cost.cpu_seconds


def test_long_work_is_done_once(monkeypatch):
    monkeypatch.setattr("darts.training.measuring.LONG_SECONDS", 0.02)
    monkeypatch.setattr("darts.training.measuring.SHORT_SECONDS", 0.02)
    calls = []
    cost = cost_of(lambda: calls.append(time.sleep(0.05)), HostMemory(), 0, "cpu")
    assert len(calls) == 1
    assert cost.wall_seconds >= 0.05
    assert cost.warm_up_seconds == 0


def test_a_line_goes_through_the_two_largest_sizes():
    costs = {2: Cost(1.0, 1.5, 100), 4: Cost(2.0, 2.5, 160)}
    assert extrapolated(costs, 4) == costs[4]
    assert extrapolated(costs, 10) == Cost(5.0, 5.5, 340)
    three = {2: Cost(0, 0, 9), 4: Cost(0, 0, 0), 8: Cost(0, 0, 8)}
    assert extrapolated(three, 12).peak_bytes == 16


def test_from_one_size_all_grows_with_the_images():
    assert extrapolated({2: Cost(1.0, 1.5, 100)}, 8) == Cost(4.0, 6.0, 400)


def test_noise_does_not_make_a_larger_batch_cheaper():
    costs = {2: Cost(1.0, 1.0, 100), 4: Cost(0.5, 0.5, 90)}
    assert extrapolated(costs, 96) == Cost(0.5, 0.5, 90)

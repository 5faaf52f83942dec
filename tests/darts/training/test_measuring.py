"""What work takes: memory of known size, multiply-adds known by hand, and a line through two."""

import time

import pytest
import torch
from torch import nn

from bilevel import Vector
from darts.data import Batch
from darts.networks import Architecture, Supernet
from darts.networks.adapter import SupernetAdapter
from darts.networks.counting import count_multiply_adds
from darts.training.measuring import Cost, HostMemory, cost_of, extrapolated, multiply_adds_of
from tests.darts.training.tiny import TWO_EDGES

MIB = 2**20


def peak_mib(memory: HostMemory, base: int, mib: int, tensors: int) -> float:
    """The peak measured of a work that holds so many MiB, in so many tensors, for a moment."""

    def work() -> None:
        held = [torch.ones(mib * MIB // 4 // tensors) for _ in range(tensors)]
        assert len(held) == tensors

    return cost_of(work, 1, memory, base, "cpu").peak_bytes / MIB


@pytest.mark.parametrize("tensors", [1, 512], ids=["of its own", "from the heap"])
def test_the_peak_is_what_was_held_and_earlier_work_does_not_hide_in_it(tensors):
    """To 1 MiB below, for Linux counts pages 64 at a time, and 4 above, for the allocator's own.

    Tensors of 32 MiB and less come from its heap, where not every gap is filled again.
    """
    memory = HostMemory()
    base = memory.held()
    for mib in (64, 256, 48, 64):
        assert mib - 1 <= peak_mib(memory, base, mib, tensors) <= mib + 4


def test_short_work_is_timed_several_times_and_the_least_counts():
    calls = []
    memory = HostMemory()
    cost_of(lambda: calls.append(0), 1, memory, 0, "cpu")
    assert len(calls) == 5


def test_what_is_made_the_first_time_is_not_counted():
    """Half a second at first, as kernels of a new size take, then none."""
    waits = [0.5]
    cost = cost_of(lambda: time.sleep(waits.pop() if waits else 0), 1, HostMemory(), 0, "cpu")
    assert cost.wall_seconds < 0.25


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_both_gradients_of_a_convolution_count_as_much_as_itself(groups):
    """b·h·w·c_out·(c_in/groups)·k² for each of the three."""
    layer = nn.Conv2d(6, 12, 3, padding=1, groups=groups, bias=False)
    x = torch.randn(2, 6, 8, 8, requires_grad=True)
    once = 2 * 8 * 8 * 12 * (6 // groups) * 9
    assert multiply_adds_of(lambda: layer(x)) == once
    assert multiply_adds_of(lambda: layer(x).sum().backward()) == 3 * once
    assert multiply_adds_of(lambda: layer(x.detach()).sum().backward()) == 2 * once


def test_a_step_of_a_supernet_counts_three_forwards_less_what_the_images_would_take():
    """Count by hooks on modules, forwards alone: another way to the same number."""
    torch.manual_seed(0)
    architecture = Architecture(TWO_EDGES)
    alpha = architecture.initial(0)
    supernet = Supernet(TWO_EDGES, channels=2, cells=2)
    batch = Batch(torch.randn(3, 3, 32, 32), torch.tensor([0, 1, 2]))
    mixing = {kind: weights.to("meta") for kind, weights in architecture.mixing(alpha).items()}
    forward = count_multiply_adds(supernet, (3, 32, 32), mixing)
    adapter = SupernetAdapter(supernet, architecture, weight_decay=3e-4)
    problem = adapter.problem(batch, batch, seed=0)
    counted = multiply_adds_of(
        lambda: problem.inner_gradient(Vector.of(adapter.omega).detach(), Vector.of(alpha))
    )
    stem = supernet.stem[0].weight.numel() * 32 * 32
    assert counted == 3 * (3 * forward - stem)


def test_what_was_measured_is_not_extrapolated_and_a_line_goes_through_two():
    costs = [Cost(2, 1.0, 1.5, 100), Cost(4, 2.0, 2.5, 160)]
    assert extrapolated(costs, 4) == costs[-1]
    assert extrapolated(costs, 10) == Cost(10, 5.0, 5.5, 340)
    assert extrapolated([Cost(2, 0, 0, 9), Cost(4, 0, 0, 0), Cost(8, 0, 0, 8)], 12).peak_bytes == 16


def test_noise_does_not_make_a_larger_batch_cheaper():
    assert extrapolated([Cost(2, 1.0, 1.0, 100), Cost(4, 0.5, 0.5, 90)], 96) == Cost(
        96, 0.5, 0.5, 90
    )

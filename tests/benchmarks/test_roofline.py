"""The roofline counts what the kernels do, and what a search costs besides steps adds up."""

import pytest
import torch

from benchmarks import overheads
from benchmarks.roofline import ELSEWHERE, backward_work, forward_work, machine, rows
from benchmarks.steps import UNIT, Setting, ours, with_operations, without_kernels
from benchmarks.supernet import slope
from darts.kernels import NodeSpec, Term, Unit, kernels, usable
from darts.kernels.native import Given
from darts.spaces.operations import build, search_recipe

needs_compiler = pytest.mark.skipif(kernels().library is None, reason=kernels().reason)
X = torch.zeros(2, 4, 6, 6).contiguous(memory_format=torch.channels_last)
Y = torch.zeros(2, 8, 6, 6).contiguous(memory_format=torch.channels_last)
DEPTHWISE, POINTWISE = 2 * 36 * 4 * 9, 2 * 36 * 4 * 8
OUT = Y.numel()


def given(unit: Unit, tangents: bool = False) -> Given:
    """A node of one unit, from 4 to 8 channels."""
    parameters = [torch.zeros(4, 1, 3, 3), torch.zeros(8, 4, 1, 1)]
    inputs = [X], torch.ones(1), parameters
    return Given(NodeSpec((Term(0, units=(unit,)),)), *inputs, inputs if tangents else None)


def test_the_work_of_a_node_is_that_of_its_convolutions_and_of_its_sum():
    once = forward_work(given(Unit(3)))
    assert once == ("nodes", DEPTHWISE + POINTWISE + OUT, 4 * (X.numel() + 3 * OUT))
    both = forward_work(given(Unit(3), tangents=True))
    assert both[1:] == (3 * once[1], 2 * once[2])
    halved = forward_work(given(Unit(3, 2)))
    assert halved[1] == (DEPTHWISE + POINTWISE + OUT) / 4


def test_the_work_of_a_gradient_is_that_of_its_passes():
    def work(tangent, with_parameters):
        of = given(Unit(3), tangent)
        kept = torch.zeros(0), torch.zeros(0)
        p = Y if tangent else None
        return backward_work(of, kept, Y, p, with_parameters=with_parameters, full=True)

    assert work(False, False)[1] == DEPTHWISE + POINTWISE + OUT
    assert work(False, True)[1] == 3 * DEPTHWISE + 2 * POINTWISE + OUT
    assert work(True, False)[1] == 3 * (DEPTHWISE + POINTWISE + OUT)
    assert work(True, True)[1] == 8 * DEPTHWISE + 5 * POINTWISE + 3 * OUT
    assert work(False, True)[2] == 4 * (2 * X.numel() + 4 * OUT)
    assert work(True, True)[2] == 2 * work(False, True)[2]


@needs_compiler
def test_the_rows_of_a_step_add_up_to_all_of_it():
    case = ours(Setting(2, channels=4, cells=3, side=8))[UNIT]
    found = rows(case, {"GMAC/s": 50.0, "GB/s": 20.0}, repetitions=1)
    parts = sum(row["seconds"]["median"] for name, row in found.items() if name != "all")
    assert parts == pytest.approx(found["all"]["seconds"]["median"])
    assert found[ELSEWHERE]["seconds"]["median"] > 0
    assert found["nodes"]["calls"] == found["gradients of nodes"]["calls"] > 10


@pytest.mark.slow
def test_the_machine_multiplies_and_moves():
    rates = machine(repetitions=1)
    assert 1 < rates["GMAC/s"] < 1000
    assert 1 < rates["GB/s"] < 1000


@needs_compiler
def test_kernels_are_off_for_a_while():
    with without_kernels():
        assert not usable(X)
    assert usable(X)


def test_operations_grow_in_cost_as_in_number():
    def cost(space):
        units = [u for n in space.operations for u in build(n, 16, 1, search_recipe()).units]
        return sum(unit.size**2 + 16 for unit in units)

    assert [cost(with_operations(n)) for n in (1, 2, 4)] == [50, 91, 198]


def test_a_slope_is_the_power_of_growth():
    assert slope((1, 2, 4), (3.0, 12.0, 48.0)) == pytest.approx(2)


def test_shares_are_of_the_steps_alone():
    spent = {name: [9.0, 1.0, 1.0] for name in overheads.PARTS}
    spent["steps, all in"] = [9.0, 11.0, 11.0]
    spent["batch norm's averages"] = [6.0]
    spent["evaluation"] = [1.5]
    found = overheads.shares(spent, batch=100, averaged=20, judged=5000)
    assert found["batches"] == pytest.approx(0.1)
    assert found["records and progress"] == pytest.approx(0.2)
    assert found["batch norm's averages"] == pytest.approx(2 * 20 / (250 * 10))
    assert found["evaluation"] == pytest.approx(0.01)

"""In float32 the supernet agrees with the reference to 1e-5 where both decide alike."""

from unittest import mock

import pytest
import torch

from benchmarks.agreement import Pair, errors
from benchmarks.decisions import count, differing, imposed, of_kernels, of_reference
from benchmarks.steps import Setting
from darts.kernels import functions, kernels

needs_compiler = pytest.mark.skipif(kernels().library is None, reason=kernels().reason)
SETTING = Setting(4, channels=4, cells=2, side=8)
BAR = 1e-5
single, double = torch.float32, torch.float64


def worst(pair, found, truth) -> float:
    """The largest relative error of one parameter's gradient."""
    sizes = [pair.v[name].numel() for name in sorted(pair.v)]
    leaves = zip(found["∇ω"].split(sizes), truth["∇ω"].split(sizes), strict=True)
    return max(float((a - b).norm() / b.norm()) for a, b in leaves)


@needs_compiler
@pytest.mark.parametrize("seed", range(2))
def test_every_parameter_agrees_to_the_bar_where_no_decision_changes(seed):
    pair = Pair(SETTING, seed)
    with of_reference(pair.reference) as theirs:
        reference = pair.plain(single, products=False)
    with of_kernels(pair.supernet, pair.reference) as own:
        ours = pair.ours(single, products=False)
    assert differing(own, theirs) == 0
    assert count(own) > 100_000
    assert worst(pair, ours, reference) < BAR
    assert errors(ours, reference)["∇α"] < BAR


@needs_compiler
def test_second_order_products_agree_to_the_bar_where_no_decision_changes():
    pair = Pair(SETTING, 0)
    found = errors(pair.ours(single, products=True), pair.plain(single, products=True))
    assert max(found.values()) < BAR


@needs_compiler
def test_an_error_of_1e_4_in_the_gradient_of_one_weight_is_seen():
    pair = Pair(SETTING, 0)
    right, done = functions.Gradients, []

    def wrong(*args, **kwargs):
        found = right(*args, **kwargs)
        if not done and isinstance(found.parameters[0], torch.Tensor):
            done.append(found.parameters[0].mul_(1 + 1e-4))
        return found

    with mock.patch.object(functions, "Gradients", wrong):
        ours = pair.ours(single, products=False)
    assert done
    assert worst(pair, ours, pair.plain(single, products=False)) > BAR


def test_one_decision_at_a_value_near_zero_moves_the_gradient_more_than_all_rounding():
    """The value nearest to a kink of one layer goes to the other side: the loss hardly changes."""
    pair = Pair(SETTING, 0)
    name = "cells.0.edges.0.4.0"
    near = []

    def note(module, given):
        near.append(int(given[0].detach().abs().argmin()))

    hook = pair.reference.get_submodule(name).register_forward_pre_hook(note)
    with of_reference(pair.reference) as decisions:
        exact = pair.plain(double, products=False)
    hook.remove()
    with imposed(pair.reference, decisions):
        same = pair.plain(double, products=False)
        rounded = pair.plain(single, products=False)
    other = decisions[name].clone()
    other.view(-1)[near[0]].logical_not_()
    with imposed(pair.reference, decisions | {name: other}):
        moved = pair.plain(double, products=False)
    assert errors(same, exact)["∇ω"] == 0
    assert errors(rounded, exact)["∇ω"] < BAR
    assert errors(moved, exact)["∇ω"] > BAR

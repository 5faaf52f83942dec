"""Targets as terms of L_val: their formulas, and where their gradient is."""

import math

import pytest
import torch

from darts.methods import CostLimit, CostProduct, CostWeight
from darts.names import TARGETS


def parts(expected: float, found: float):
    loss = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    cost = torch.tensor(expected, dtype=torch.float64, requires_grad=True)
    return loss, cost, torch.tensor(found, dtype=torch.float64)


def test_a_weight_adds_the_expected_cost():
    loss, cost, found = parts(3.0, 9.0)
    total = CostWeight(0.1).loss(loss, cost, found)
    assert float(total.detach()) == pytest.approx(1.0)
    assert [float(g) for g in torch.autograd.grad(total, (loss, cost))] == [1.0, 0.1]


@pytest.mark.parametrize(
    ("expected", "found", "over", "slope"),
    [
        (1.0, 1.5, 0.0, 0.0),  # both below
        (3.0, 1.0, 0.5, 2.5),  # the expectation above: strength / most
        (1.0, 4.0, 1.0, 2.5),  # what would be found above
        (3.0, 4.0, 1.0, 2.5),
    ],
)
def test_a_limit_is_felt_while_either_cost_is_above_it(expected, found, over, slope):
    loss, cost, now = parts(expected, found)
    total = CostLimit(2.0, strength=5.0).loss(loss, cost, now)
    assert float(total.detach()) == pytest.approx(0.7 + 5.0 * over)
    gradients = torch.autograd.grad(total, (loss, cost), allow_unused=True)
    assert [float(g) for g in gradients] == pytest.approx([1.0, slope])


def test_a_product_is_fbnets():
    loss, cost, found = parts(3.0, 9.0)
    total = CostProduct(0.2, 0.6).loss(loss, cost, found)
    assert float(total.detach()) == pytest.approx(0.7 * 0.2 * math.log(3000) ** 0.6, rel=1e-14)


def test_targets_are_read_by_name():
    assert TARGETS.read("limit:most=2.5") == CostLimit(2.5)
    assert TARGETS.read("weight:weight=0.1") == CostWeight(0.1)
    assert TARGETS.read("product") == CostProduct()
    assert TARGETS.read("none") is None
    for text in ("limit", "limit:most=0", "weight:weight=nan", "product:scale=-1", "cheap"):
        with pytest.raises(ValueError, match=r"needs most|must be positive|No target"):
            TARGETS.read(text)

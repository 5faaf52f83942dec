"""Rates stay where a captured step reads them, whatever state is put in place."""

import pytest
import torch
from torch import Tensor

from bilevel.state import pack, unpack
from darts.training.optimizers import (
    _lay_out,
    alpha_optimizer,
    restore,
    set_rate,
    weights_optimizer,
)


def weights() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, 3, generator=generator).requires_grad_()]


def stepped(optimizer: torch.optim.Optimizer, points: list[Tensor], times: int) -> None:
    for _ in range(times):
        for point in points:
            point.grad = 2 * point.detach()
        optimizer.step()


def test_a_rate_on_a_device_keeps_its_place() -> None:
    optimizer = weights_optimizer(weights(), 0.1, 0.9, on_device="cpu")
    (group,) = optimizer.param_groups
    place = group["lr"].data_ptr()
    set_rate(optimizer, 0.05)
    assert group["lr"].data_ptr() == place
    assert group["lr"].item() == pytest.approx(0.05)
    stepped(optimizer, weights(), 1)
    restore(optimizer, unpack(pack(optimizer.state_dict())))
    assert optimizer.param_groups[0]["lr"].data_ptr() == place


@pytest.mark.parametrize("there", ["cpu", None])
@pytest.mark.parametrize("here", ["cpu", None])
def test_a_state_is_put_in_place_wherever_its_numbers_were(there: str | None, here: str | None):
    first, second = weights(), weights()
    one = weights_optimizer(first, 0.1, 0.9, on_device=there)
    other = weights_optimizer(second, 0.3, 0.9, on_device=here)
    stepped(one, first, 3)
    with torch.no_grad():
        second[0].copy_(first[0])
    restore(other, unpack(pack(one.state_dict())))
    stepped(one, first, 3)
    stepped(other, second, 3)
    assert torch.equal(first[0], second[0])
    assert isinstance(other.param_groups[0]["lr"], Tensor) == (here is not None)


def test_how_adam_keeps_its_count_is_no_part_of_a_state() -> None:
    points = weights()
    optimizer = alpha_optimizer(points, 0.1, (0.5, 0.999), 1e-3, on_device=None)
    stepped(optimizer, points, 2)
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["capturable"] = True  # as a GPU's has it, which a CPU refuses
    restore(optimizer, unpack(pack(state)))
    stepped(optimizer, points, 1)
    assert float(optimizer.state[points[0]]["step"]) == 3


def test_a_gradient_that_lies_alike_is_left_where_it_is() -> None:
    """Strides of axes of one entry say nothing; a copy for each of them would be many."""
    point = torch.randn(4, 1, 3, 3).requires_grad_()
    slope = torch.randn(4, 1, 3, 3).as_strided((4, 1, 3, 3), (9, 1, 3, 1))
    point.grad = slope
    _lay_out(torch.optim.SGD([point], lr=0.1), (), {})
    assert point.grad is slope


def test_gradients_are_laid_out_as_their_weights() -> None:
    point = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    slope = torch.randn(4, 3, 3, 3)
    point.grad = slope
    optimizer = torch.optim.SGD([point], lr=0.1, momentum=0.9)
    optimizer.state[point]["momentum_buffer"] = slope.clone()
    _lay_out(optimizer, (), {})
    momentum = optimizer.state[point]["momentum_buffer"]
    assert momentum.stride() == point.stride()
    assert torch.equal(momentum, slope)
    assert point.grad is not None
    assert point.grad.stride() == point.stride()
    assert torch.equal(point.grad, slope)

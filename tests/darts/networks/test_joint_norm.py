"""Batch norm over processes is batch norm of the joint batch, with all its derivatives."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from bilevel.distributed import gathered
from darts.spaces.joint_norm import joint_norm
from darts.spaces.normalization import BatchNorm
from darts.spaces.shared_statistics import share_statistics
from tests.groups import on_two_processes

f64 = torch.float64
PARTS = (slice(0, 5), slice(5, 8))
"""The rows of each process; not equally many."""


def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return 3 + torch.randn(8, 4, 3, 5, generator=generator, dtype=f64)


def curved(y: torch.Tensor, rows: slice) -> torch.Tensor:
    """A function of y that is not linear, and is another one for each row."""
    weights = torch.linspace(0.5, 2.0, 8, dtype=f64)[rows]
    return (weights[:, None, None, None] * torch.tanh(y + y.flip(1))).sum()


def derivatives(rank: int) -> dict[str, torch.Tensor]:
    """Gradient, and that of ‖gradient‖², backwards and over forward mode, of this part of x."""
    x = images()[PARTS[rank]].requires_grad_()
    own = curved(joint_norm(x, 1e-5, gathered)[0], PARTS[rank])
    (gradient,) = torch.autograd.grad(own, x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, 2 * gradient.detach())
        own = curved(joint_norm(dual, 1e-5, gathered)[0], PARTS[rank])
        slope = forward_ad.unpack_dual(own).tangent
    (forwards,) = torch.autograd.grad(slope, x)
    return {"gradient": gradient.detach(), "second": second, "forwards": forwards}


def test_gradients_of_both_orders_are_those_of_the_joint_batch(tmp_path: Path) -> None:
    x = images().requires_grad_()
    y = F.batch_norm(x, None, None, None, None, True, 0.0, 1e-5)
    total = sum(curved(y[rows], rows) for rows in PARTS)
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    for rows, found in zip(PARTS, on_two_processes(derivatives, tmp_path), strict=True):
        for name, expected in (("gradient", gradient), ("second", second), ("forwards", second)):
            error = (found[name] - expected[rows]).abs().max()
            assert error <= 1e-12 * expected.abs().max(), name


def statistics(rank: int) -> dict[str, torch.Tensor]:
    """What every kind of batch norm holds and answers after one batch."""
    x = images()[PARTS[rank]]
    own = BatchNorm(4, affine=True).double()
    own.momentum = 0.3
    network = nn.Sequential(own, nn.BatchNorm2d(4).double())
    share_statistics(network, gathered)
    return {"y": network(x).detach(), **network.state_dict()}


def test_running_statistics_are_those_of_the_joint_batch_and_keep_their_names(
    tmp_path: Path,
) -> None:
    own = BatchNorm(4, affine=True).double()
    own.momentum = 0.3
    network = nn.Sequential(own, nn.BatchNorm2d(4).double())
    expected = {"y": network(images()).detach(), **network.state_dict()}
    for rows, found in zip(PARTS, on_two_processes(statistics, tmp_path), strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            value = value[rows] if name == "y" else value
            torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrow_numbers_are_normalised_in_float32(dtype: torch.dtype) -> None:
    x = images().to(dtype)
    y, mean, _ = joint_norm(x, 1e-5, lambda tensor: tensor[None])
    assert (y.dtype, mean.dtype) == (dtype, torch.float32)
    expected = F.batch_norm(x.float(), None, None, None, None, True, 0.0, 1e-5).to(dtype)
    torch.testing.assert_close(y, expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-5)

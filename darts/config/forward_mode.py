"""Whether all operations can be differentiated in reverse over forward mode."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from bilevel import Autograd, BilevelProblem, Vector
from bilevel.bound_module import BoundModule
from bilevel.derivatives import Derivatives, ReverseOverForward
from bilevel.estimators import Estimator
from bilevel.vector import Tree
from darts.spaces import Space
from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import (
    build,
    search_recipe,
)
from darts.spaces.space import NONE, SKIP

COMPARED = frozenset(
    {
        *(NONE, SKIP, "noise", "max_pool_3x3", "avg_pool_3x3"),
        *("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5"),
        *("conv_7x1_1x7", "nor_conv_1x1", "nor_conv_3x3"),
    }
)
"""Operations of the project itself, in whose supernets tests hold the products to a graph's."""
TOLERANCE = 1e-6
"""Largest difference between the two kinds of products, relative, in float64."""


def require_forward_mode(space: Space, estimator: Estimator, channels: int) -> None:
    """Raise ValueError if the estimator takes products so, and an operation does not bear it.

    An operation that is not the project's own is tried once, on a few pixels, at both strides:
    a fraction of a second each, and nothing for the others.
    """
    if not isinstance(getattr(estimator, "derivatives", None), ReverseOverForward):
        return
    for name in space.operations:
        trouble = None if name in COMPARED else _trouble(name, channels)
        if trouble is not None:
            raise ValueError(
                f"operation {name!r} of space {space.name!r} with "
                f"derivatives=reverse-over-forward: {trouble}. Write the operation "
                "otherwise, or give the estimator derivatives=autograd."
            )


@cache
def _trouble(name: str, channels: int) -> str | None:
    """A fault in the products of an operation, in words; None if there is none."""
    for stride in (1, 2):
        try:
            error = _error(name, channels, stride)
        except RuntimeError as refusal:  # PyTorch's, or NotImplementedError
            return str(refusal).partition("\n")[0].rstrip(".")
        if not error <= TOLERANCE:
            return (
                f"at stride {stride} its products differ from a graph's, relatively by {error:.1g}"
            )
    return None


def _error(name: str, channels: int, stride: int) -> float:
    """How far the products of the two kinds are apart, at a random point and along one there."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        operation = build(name, channels, stride, search_recipe()).double()
        images = torch.randn(3, channels, 8, 8, dtype=torch.float64)
        before = torch.randn(channels, channels, 1, 1, dtype=torch.float64) / channels**0.5
        weights = torch.rand(3, channels, 8 // stride, 8 // stride, dtype=torch.float64)

    def inner(omega: Tree, alpha: Tree) -> Tensor:
        x = F.conv2d(images, omega["before"])
        y = BoundModule(operation, omega["own"])(FeatureMap(x, torch.relu))
        return (weights * torch.tanh(alpha * y)).sum() + x.square().mean()

    omega = Vector.of({"before": before, "own": dict(operation.named_parameters())}).detach()
    alpha = Vector.of(torch.tensor(0.5, dtype=torch.float64))
    problem = BilevelProblem(inner, inner).replaying(0)

    def products(how: Derivatives) -> tuple[Vector, Vector]:
        curvature = how(problem, omega, alpha)
        return curvature.hessian @ omega, curvature.mixed @ omega

    found, expected = products(ReverseOverForward()), products(Autograd())
    return max(
        float((ours - theirs).norm()) / (float(theirs.norm()) or 1.0)
        for ours, theirs in zip(found, expected, strict=True)
    )

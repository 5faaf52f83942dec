"""One hypergradient from the batches of several processes: losses and derivatives averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # before there is a group: see `averaged`
from torch import Tensor
from torch.autograd import forward_ad

from bilevel.losses import Loss, like
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector


def averaged(
    problem: BilevelProblem, *, weight: float | None = None, group: dist.ProcessGroup | None = None
) -> BilevelProblem:
    """The problem whose losses are the weighted sums of every rank's.

    Its value, gradients and curvature products are those of the joint batch, with equal bits on
    all ranks. Estimators and `Derivatives` need no change: each derivative, of whatever order, is
    summed where it is taken, by one collective. All ranks must make the same calls, on equal ω
    and α, and their losses must involve the same leaves.

    Import this module before the group is made. PyTorch has functions whose defaults are the
    group there was when they were imported, and forward mode imports them: the group would then
    outlive `destroy_process_group`, and its threads run while Python ends.

    Args:
        problem: this rank's losses, on its own batches, penalties included.
        weight: this rank's share in the sum, e.g. its batch size over the joint one. None: one
            over the number of ranks, which is right for means over batches of equal size.
        group: the process group whose ranks are summed over; None: all ranks.

    Raises:
        ValueError: ω or α differ between ranks, when a loss is evaluated.
        RuntimeError: from torch, where several products are taken at once (`Autograd(chunk=20)`):
            it has no batching rule for collectives. Leave chunk at 1.
    """
    share = 1 / dist.get_world_size(group) if weight is None else weight

    def joint(loss: Loss) -> Loss:
        @like(loss)
        def evaluate(omega: Tree, alpha: Tree, *batch: Any) -> Tensor:
            at, hyper = Vector.of(omega), Vector.of(alpha)
            _check_equal(at, "ω", group)
            _check_equal(hyper, "α", group)
            # apart, so that no gradient is taken of what is not tracked
            own = loss(
                Vector(_mapped(_Replicated, group, at.leaves), at.treespec).tree(),
                Vector(_mapped(_Replicated, group, hyper.leaves), hyper.treespec).tree(),
                *batch,
            )
            return _mapped(_Summed, group, [share * own])[0]

        return evaluate

    return BilevelProblem(joint(problem.inner), joint(problem.outer))


def gathered(tensor: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """The tensors of all ranks, stacked: shape [ranks, ...], equal on all of them.

    Each rank may use the result in its own way: gradients add up over ranks, and so do
    derivatives of any order, so that a statistic of the joint batch is differentiated as one.
    One collective, and one for each derivative, in either mode.
    """
    rank, ranks = dist.get_rank(group), dist.get_world_size(group)
    absent = torch.zeros_like(tensor)
    slots = torch.stack([tensor if place == rank else absent for place in range(ranks)])
    return _mapped(_Replicated, group, _mapped(_Summed, group, [slots]))[0]


def _mapped(
    function: type[torch.autograd.Function], group: Any, leaves: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The images of the leaves; of their tangents too, in forward mode: both maps are linear."""
    pairs = [forward_ad.unpack_dual(leaf) for leaf in leaves]  # type: ignore[no-untyped-call]
    images: tuple[Tensor, ...] = function.apply(group, *(primal for primal, _ in pairs))
    tangents = _on_present(function, group, [tangent for _, tangent in pairs])
    return tuple(
        image if tangent is None else forward_ad.make_dual(image, tangent)  # type: ignore[no-untyped-call]
        for image, tangent in zip(images, tangents, strict=True)
    )


class _Replicated(torch.autograd.Function):
    """Equal tensors on all ranks, each used in its rank's own way: derivatives add up."""

    @staticmethod
    def forward(ctx: Any, group: Any, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.group = group
        ctx.set_materialize_grads(False)
        return tuple(leaf.view_as(leaf) for leaf in leaves)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *_on_present(_Summed, ctx.group, gradients)


class _Summed(torch.autograd.Function):
    """The sum over ranks, equal on all of them. The transpose of `_Replicated`, and vice versa,

    so that the pair is closed under differentiation and products of any order are joint ones.
    """

    @staticmethod
    def forward(ctx: Any, group: Any, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.group = group
        ctx.set_materialize_grads(False)
        flat = torch.cat([leaf.reshape(-1) for leaf in leaves])
        dist.all_reduce(flat, group=group)
        parts = torch.split(flat, [leaf.numel() for leaf in leaves])
        return tuple(part.view(leaf.shape) for part, leaf in zip(parts, leaves, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *_on_present(_Replicated, ctx.group, gradients)


def _on_present(
    function: type[torch.autograd.Function], group: Any, gradients: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The function on those that are there; None stays None, so that unused leaves stay unused."""
    present = [gradient for gradient in gradients if gradient is not None]
    images = iter(function.apply(group, *present) if present else ())
    return [None if gradient is None else next(images) for gradient in gradients]


@torch.no_grad()
def _check_equal(vector: Vector, name: str, group: Any) -> None:
    mark = torch.stack([leaf.double().sum() for leaf in vector.leaves]).sum()
    extremes = torch.stack([mark, -mark])
    dist.all_reduce(extremes, op=dist.ReduceOp.MAX, group=group)
    if not torch.equal(extremes, torch.stack([mark, -mark])):
        raise ValueError(
            f"{name} differs between ranks: its coordinates sum to values from "
            f"{-extremes[1].item():.17g} to {extremes[0].item():.17g}. Broadcast it from one rank "
            "before the first step, and take the same steps everywhere."
        )

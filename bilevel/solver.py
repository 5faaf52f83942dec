"""The reference solver: α and ω take turns (Algorithm 1 of DARTS, with any estimator)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.optim import Optimizer

from bilevel.estimators.base import Estimator, Hypergradient
from bilevel.problem import BilevelProblem, NonFiniteError
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class Step:
    """One alternating update, as it was taken.

    Attributes:
        hypergradient: the estimate that moved α.
        inner_loss: L_train at the new α and the old ω.
        inner_gradient_norm: ‖∇_ω L_train‖ there, before clipping.
    """

    hypergradient: Hypergradient
    inner_loss: float
    inner_gradient_norm: float

    @property
    def outer_loss(self) -> float:
        """L_val where its slope was taken."""
        return self.hypergradient.outer_loss


def alternating_step(
    problem: BilevelProblem,
    omega: Tree,
    alpha: Tree,
    *,
    estimator: Estimator,
    outer: Optimizer,
    inner: Optimizer,
    clip: float | None = None,
) -> Step:
    """Move α by the estimated hypergradient, then ω by ∇_ω L_train at the new α. Both in place.

    Args:
        problem: the two losses, on this step's batches.
        omega: tree of the tensors that `inner` moves.
        alpha: tree of the tensors that `outer` moves.
        estimator: gives the hypergradient; costs its gradients, and this function one more.
        clip: largest norm of ∇_ω L_train to step with; longer ones are shortened to it.

    Raises:
        NonFiniteError: a loss or gradient is not finite. ω is as it was before the step.
    """
    hypergradient = estimator.following(inner, omega)(problem, omega, alpha)
    _step(outer, Vector.of(alpha), Vector.of(hypergradient.total))
    point = Vector.of(omega)
    inner_loss, gradient = problem.inner_gradient(point, Vector.of(alpha))
    length = float(gradient.norm())
    if not length < float("inf"):
        raise NonFiniteError(
            f"∇_ω L_train has norm {length} although the loss is {inner_loss:.4g}. "
            "Lower the inner learning rate, or clip."
        )
    if clip is not None and length > clip:
        gradient = (clip / length) * gradient
    _step(inner, point, gradient)
    return Step(hypergradient, inner_loss, length)


def _step(optimizer: Optimizer, point: Vector, gradient: Vector) -> None:
    for leaf, slope in zip(point.leaves, gradient.leaves, strict=True):
        leaf.grad = slope
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Solution:
    """Where `solve` ended, and every step that led there.

    Attributes:
        omega: the inner variable, in the caller's structure.
        alpha: the outer variable, in the caller's structure.
        steps: one record per step.
        alphas: α after 0, 1, 2, ... steps, in the caller's structure.
    """

    omega: Tree
    alpha: Tree
    steps: list[Step]
    alphas: list[Tree]


def solve(
    problem: BilevelProblem | Callable[[int], BilevelProblem],
    estimator: Estimator,
    omega: Tree,
    alpha: Tree,
    *,
    inner: Callable[[list[torch.Tensor]], Optimizer],
    outer: Callable[[list[torch.Tensor]], Optimizer],
    steps: int,
    clip: float | None = None,
) -> Solution:
    """Alternate `steps` times from (ω, α), which are copied and left as they were.

    Args:
        problem: one problem, or a function of the step's number that gives its minibatches'.
        estimator: gives the hypergradient of each step.
        inner: builds the optimiser of ω from its leaves, e.g. `lambda ps: SGD(ps, lr=0.1)`.
        outer: builds the optimiser of α.
        steps: how many, at least 1.
        clip: as in `alternating_step`.

    Raises:
        ValueError: steps < 1.
    """
    if steps < 1:
        raise ValueError(f"solve(steps={steps}): at least one step is needed.")
    at, hyper = _owned(omega), _owned(alpha)
    inner_optimizer, outer_optimizer = inner(list(at.leaves)), outer(list(hyper.leaves))
    records, alphas = [], [_copied(hyper)]
    for number in range(steps):
        current = problem if isinstance(problem, BilevelProblem) else problem(number)
        records.append(
            alternating_step(
                current,
                at.tree(),
                hyper.tree(),
                estimator=estimator,
                outer=outer_optimizer,
                inner=inner_optimizer,
                clip=clip,
            )
        )
        alphas.append(_copied(hyper))
    return Solution(_copied(at), _copied(hyper), records, alphas)


def _owned(tree: Tree) -> Vector:
    point = Vector.of(tree)
    return Vector(
        tuple(leaf.detach().clone().requires_grad_() for leaf in point.leaves), point.treespec
    )


def _copied(point: Vector) -> Tree:
    return Vector(tuple(leaf.detach().clone() for leaf in point.leaves), point.treespec).tree()

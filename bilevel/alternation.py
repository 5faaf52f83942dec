"""One alternating update: α by the estimated hypergradient, then ω by its own gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bilevel.arguments import check_clip, check_count
from bilevel.estimators import Estimator, Hypergradient
from bilevel.problem import BilevelProblem, NonFiniteError
from bilevel.reading import at_most, finite, ratio, read
from bilevel.vector import Tree, Vector

Constraint = Callable[[Tree], Tree]
"""α ↦ the nearest point of a set, in the structure of α."""


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
        """L_val where its gradients were taken."""
        return self.hypergradient.outer_loss


@torch.inference_mode(False)
def alternating_step(
    problem: BilevelProblem,
    omega: Tree,
    alpha: Tree,
    *,
    estimator: Estimator,
    outer: Optimizer,
    inner: Optimizer,
    clip: float | None = None,
    inner_steps: int = 1,
    constraint: Constraint | None = None,
) -> Step:
    """Move α by the estimated hypergradient, then ω by ∇_ω L_train at the new α. Both in place.

    Args:
        problem: the two losses, on this step's batches.
        omega: pytree of the tensors that `inner` moves.
        alpha: pytree of the tensors that `outer` moves.
        estimator: gives the hypergradient. It takes its own gradients, and each inner step one
            more.
        outer: any optimiser whose step takes one gradient.
        inner: any optimiser; one that asks for a closure (LBFGS) evaluates L_train as often as
            it likes.
        clip: largest norm of ∇_ω L_train to step with, positive; longer ones are shortened to it.
        inner_steps: number of steps of ω, at this α and on this problem.
        constraint: takes α, after its step and before ω's, to the nearest point of a set, such as
            `constraints.Box` or `Simplex`.

    Raises:
        NonFiniteError: a loss or gradient is not finite. What had moved by then stays moved:
            nothing if the estimate failed, α alone if the first gradient of ω did, and ω as well
            if a later inner step or evaluation of a line search did.
        ValueError: `outer` asks for a closure; or `inner` does, and `clip` is given; or one of
            them does not hold a tensor that it should move; or clip is not positive, or
            inner_steps no whole number of at least 1; or the constraint returns something of
            another shape than α, which has taken its step by then.
    """
    check_clip("alternating_step", clip)
    check_count("alternating_step", inner_steps=inner_steps)
    omega, alpha = Vector.of(omega).tree(), Vector.of(alpha).tree()  # iterators are used up
    _check_holds("inner", inner, "ω", Vector.of(omega))
    if clip is not None and _asks_for_closure(inner):
        raise ValueError(
            f"clip={clip} with inner={type(inner).__name__}: its line search needs true "
            "gradients. Leave clip out."
        )
    how: dict[str, Any] = {"inner": inner, "clip": clip}
    hypergradient = outer_step(
        problem, omega, alpha, estimator=estimator, outer=outer, constraint=constraint, **how
    )
    first = inner_step(problem, omega, alpha, **how)
    for _ in range(inner_steps - 1):
        inner_step(problem, omega, alpha, **how)
    return Step(hypergradient, *first)


@torch.inference_mode(False)
def outer_step(
    problem: BilevelProblem,
    omega: Tree,
    alpha: Tree,
    *,
    estimator: Estimator,
    outer: Optimizer,
    inner: Optimizer,
    clip: float | None = None,
    constraint: Constraint | None = None,
) -> Hypergradient:
    """Move α alone by the estimated hypergradient, in place, and return the hypergradient.

    An alternation is not at the inner minimum while it runs, and `NotStationary` would come at
    every step. So it is not checked here; look at `Step.inner_gradient_norm` instead.

    Args:
        problem, omega, alpha, estimator, outer: as in `alternating_step`.
        inner: the optimiser of ω, whose step some estimators differentiate; it does not step.
        clip: the norm that ∇_ω L_train will be shortened to before `inner` steps.
        constraint: takes α to the nearest point of a set after its step.

    Raises:
        NonFiniteError: a loss or gradient is not finite; α is as it was.
        ValueError: `outer` asks for a closure, or does not hold a tensor of α; or clip is not
            positive; or the constraint returns something of another shape than α, which has taken
            its step by then.
    """
    check_clip("outer_step", clip)
    omega, alpha = Vector.of(omega).tree(), Vector.of(alpha).tree()  # iterators are used up
    _check_holds("outer", outer, "α", Vector.of(alpha))
    if _asks_for_closure(outer):
        raise ValueError(
            f"outer={type(outer).__name__} evaluates its objective several times a step, and at "
            "a fixed ω there is no function of α whose gradient the hypergradient is. Use SGD or "
            "Adam for α."
        )
    hypergradient = estimator.following(inner, omega, clip=clip)(problem, omega, alpha)
    _assign(Vector.of(alpha), Vector.of(hypergradient.total), outer)
    outer.step()
    outer.zero_grad(set_to_none=True)
    if constraint is not None:
        project(Vector.of(alpha), constraint)
    return hypergradient


@torch.no_grad()
def project(alpha: Vector, constraint: Constraint) -> float:
    """Move α to its nearest point in the constraint's set, in place; the distance moved.

    Raises:
        ValueError: the constraint gives something of another structure or shape; α is as it was.
    """
    given = constraint(alpha.detach().tree())
    if given is None:
        raise ValueError(
            "the constraint returned None. It takes α and returns a new α inside the set, such as "
            "lambda alpha: alpha.clamp(0, 1), and does not write to what it gets."
        )
    nearest = Vector.of(given)
    if not alpha.fits(nearest):
        raise ValueError(
            f"the constraint took α, {alpha.shapes()}, and returned {nearest.shapes()}. It must "
            "return the nearest point of the set in the structure and shapes of α."
        )
    moved = float((nearest - alpha).norm())
    for leaf, inside in zip(alpha.leaves, nearest.leaves, strict=True):
        leaf.copy_(inside)
    return moved


@torch.inference_mode(False)
def inner_step(
    problem: BilevelProblem,
    omega: Tree,
    alpha: Tree,
    *,
    inner: Optimizer,
    clip: float | None = None,
) -> tuple[float, float]:
    """Move ω alone by ∇_ω L_train, in place. One gradient, or as many as a line search takes.

    Returns:
        L_train and the norm of its gradient, both before the step.

    Raises:
        NonFiniteError: the loss or its gradient is not finite. ω is as it was, unless a line
            search had moved it.
        ValueError: `inner` does not hold a tensor of ω, or clip is not positive.
    """
    check_clip("inner_step", clip)
    point, hyper = Vector.of(omega), Vector.of(alpha)
    _check_holds("inner", inner, "ω", point)
    seen: list[tuple[float, float]] = []

    def evaluate() -> float:
        loss, gradient = problem.inner_gradient(point, hyper)
        length = read(gradient.norm())
        if not finite(length):
            raise NonFiniteError(
                f"∇_ω L_train has norm {length} although the loss is {loss:.4g}. "
                "Lower the inner learning rate, or clip."
            )
        share = 1.0 if clip is None else at_most(ratio(clip, length, 1.0), 1.0)
        if isinstance(share, Tensor) or share < 1:
            gradient = share * gradient
        _assign(point, gradient, inner)
        seen.append((loss, length))
        return loss

    if _asks_for_closure(inner):
        inner.step(evaluate)
    else:
        evaluate()
        inner.step()
    inner.zero_grad(set_to_none=True)
    return seen[0]


def _check_holds(which: str, optimizer: Optimizer, symbol: str, point: Vector) -> None:
    """Refuse an optimiser that would leave a leaf where it is without a word."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [
        name for name, leaf in zip(point.names(), point.leaves, strict=True) if id(leaf) not in held
    ]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ValueError(
            f"{which}={type(optimizer).__name__} does not hold {len(missing)} of "
            f"{len(point.leaves)} leaves of {symbol} ({shown}), so that they would never move. "
            f"Build it from the very tensors that are passed as {symbol}, not from copies."
        )


def _assign(point: Vector, gradient: Vector, optimizer: Optimizer) -> None:
    """Make the gradient that of the point, for a step of the optimiser.

    `backward` lays gradients out in memory like their tensors, and autograd leaves those of a sum
    or a transposed tensor as they come. A fused step takes the layout for granted, unchecked.
    """
    fused = any(group.get("fused") for group in optimizer.param_groups)
    for leaf, own in zip(point.leaves, gradient.leaves, strict=True):
        as_it_is = not fused or _laid_out_alike(own, leaf)
        leaf.grad = own if as_it_is else torch.empty_like(leaf).copy_(own)


def _laid_out_alike(first: Tensor, second: Tensor) -> bool:
    """Whether each place in memory holds the same coordinate. A side of one has any stride."""
    strides = zip(first.shape, first.stride(), second.stride(), strict=True)
    return all(own == other for size, own, other in strides if size > 1)


def _asks_for_closure(optimizer: Optimizer) -> bool:
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty

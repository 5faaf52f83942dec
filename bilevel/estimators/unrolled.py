"""Unrolled differentiation: the derivative of L_val after T steps of the inner optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bilevel.arguments import check_count, check_not_negative, check_positive
from bilevel.derivatives import Autograd, Derivatives
from bilevel.estimators.base import Estimator
from bilevel.estimators.results import Hypergradient
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector, plus

Rate = Callable[[Tree], Tensor | Tree]
"""α ↦ a learning rate or momentum: one number for all of ω, or a tree of ω's structure."""


@dataclass(frozen=True)
class Unrolled(Estimator):
    """Compute d/dα L_val(ω_T(α), α), where ω_T is T steps of SGD with momentum on from ω.

    u ← βu + ∇_ω L_train(ω), ω ← ω − γu, with u = 0 at first. Differentiated in reverse:
    with λ = ∇_ω L_val(ω_T), ν = 0, for t = T ... 1: ν ← ν − γλ, g ← g + B_t ν, λ ← λ + H_t ν,
    ν ← βν. Exact for the T steps taken, hence for dΦ/dα only as T → ∞; ω is where they start.

    γ and β may be hyperparameters: `Unrolled(3, lr=lambda alpha: alpha["log_lr"].exp())` adds the
    derivative through γ, −Σ_t ⟨∂γ/∂α λ_t, u_t⟩, and that through β. `lr` may give a number for
    each leaf of ω or each coordinate. They count in `implicit`.

    T gradients forward; in reverse a graph and two products a step. Memory: the T points (2T
    where γ or β is a function) and one graph. T = 1 is `DartsSecondOrder(xi=lr)`. At the inner
    minimum and β = 0, T steps are `Neumann(terms=T−1, step=lr)`.

    Args:
        steps: T.
        lr: γ, the learning rate: a number, or a function of α that gives a tensor with one number,
            or a tree of ω's structure whose leaves have one number or the shape of ω's.
        momentum: β: a number, or a function of α that gives a tensor with one number.
        last: differentiate through the last so many steps only (truncated back-propagation,
            Shaban et al. 2019): memory for `last` points, a bias of (1 − γμ)^last. None: all.
        derivatives: how H and B products are taken, `Autograd()` or `CentralDifference()`.

    Raises:
        ValueError: steps or last is no whole number of at least 1, lr not positive and finite,
            momentum negative, or last exceeds steps; or a function of α gives no finite number of
            a shape that fits, or a tree of another structure than ω.
        TypeError: lr or momentum is a tensor, which has no derivative in α, or a function of α
            gives something else than tensors.
    """

    steps: int
    lr: float | Rate
    momentum: float | Rate = 0.0
    last: int | None = None
    derivatives: Derivatives = field(default=Autograd(), kw_only=True)

    def __post_init__(self) -> None:
        check_count(self, steps=self.steps)
        for name, value in (("lr", self.lr), ("momentum", self.momentum)):
            if isinstance(value, Tensor):
                raise TypeError(
                    f"Unrolled({name}=tensor): a tensor has no place in α. To learn it give a "
                    f"function of α, such as {name}=lambda alpha: alpha[{name!r}], and put it into "
                    "α; else give a float."
                )
        if not callable(self.lr):
            check_positive(self, lr=self.lr)
        if not callable(self.momentum):
            check_not_negative(self, momentum=self.momentum)
        if self.last is not None:
            check_count(self, last=self.last)
            if self.last > self.steps:
                raise ValueError(
                    f"Unrolled(steps={self.steps}, last={self.last}): differentiate through at "
                    "most all steps."
                )

    @torch.enable_grad()
    def uses(self, omega: Vector, alpha: Vector) -> frozenset[int]:
        hyper = alpha.tracked()
        rates = [
            own.sum()
            for name, rate in (("lr", self.lr), ("momentum", self.momentum))
            for own in _rates(name, rate, hyper, omega)
            if own.requires_grad
        ]
        if not rates:
            return frozenset()
        found = torch.autograd.grad(torch.stack(rates).sum(), hyper.leaves, allow_unused=True)
        return frozenset(place for place, own in enumerate(found) if own is not None)

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        kept = self.steps if self.last is None else self.last
        hyper = alpha.tracked()
        rates = _rates("lr", self.lr, hyper, omega)
        momenta = _rates("momentum", self.momentum, hyper, omega)
        lr, momentum = _values(self.lr, rates), _values(self.momentum, momenta)
        learned = callable(self.lr) or callable(self.momentum)
        visited: list[tuple[Vector, Vector, Vector]] = []
        velocity = omega.zeros_like()
        for number in range(self.steps):
            before, point = velocity, omega
            _, gradient = problem.inner_gradient(omega, alpha)
            velocity = _plus(gradient, 1, momentum, velocity)
            omega = _plus(omega, -1, lr, velocity)
            if number >= self.steps - kept:
                visited.append((point, before, velocity) if learned else (point, point, point))
        outer_loss, adjoint, direct = problem.outer_gradients(omega, alpha)
        implicit, pushed = alpha.zeros_like(), omega.zeros_like()
        through_lr = through_momentum = omega.zeros_like()
        while visited:
            point, before, after = visited.pop()
            curvature = self.derivatives(problem, point, alpha)
            pushed = _plus(pushed, -1, lr, adjoint)
            implicit = implicit + curvature.mixed @ pushed
            if learned:
                through_lr = _plus(through_lr, -1, adjoint.leaves, after)
                through_momentum = _plus(through_momentum, 1, pushed.leaves, before)
            if visited:  # the step's own point is not differentiated: it does not depend on α
                adjoint = adjoint + curvature.hessian @ pushed
                pushed = _plus(pushed.zeros_like(), 1, momentum, pushed)
        if learned:
            implicit = implicit + _through(rates, through_lr, momenta, through_momentum, hyper)
        return Hypergradient(direct.tree(), implicit.tree(), outer_loss)


def _rates(name: str, rate: float | Rate, alpha: Vector, omega: Vector) -> tuple[Tensor, ...]:
    """The rate of each leaf of ω, with its graph in α where it is a function."""
    first = omega.leaves[0]
    if not callable(rate):
        return (first.new_tensor(rate),) * len(omega.leaves)
    with torch.enable_grad():
        found = rate(alpha.tree())
    if isinstance(found, Tensor) and found.dim() == 0:
        leaves = (found,) * len(omega.leaves)
    else:
        try:
            tree = Vector.of(found)
        except TypeError as error:
            raise TypeError(
                f"Unrolled({name}=...): the function of α gave a {type(found).__name__} that is "
                "not of floating tensors alone, and no derivative goes through other numbers. "
                "Compute all from α, without .item() or float(), and constants by torch.tensor."
            ) from error
        leaves = tree.leaves
        if len(leaves) == len(omega.leaves) > 1 and tree.names() != omega.names():
            raise ValueError(
                f"Unrolled({name}=...): the function of α gave {tree.shapes()}, and ω has "
                f"{omega.shapes()}: which belongs to which would be a guess. Give one number, or "
                "a tree of ω's structure, such as {key: rate for key in params}."
            )
    fits = len(leaves) == len(omega.leaves) and all(
        own.dim() == 0 or own.shape == leaf.shape
        for own, leaf in zip(leaves, omega.leaves, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Unrolled({name}=...): the function of α gave {len(leaves)} tensors of the shapes "
            f"{[tuple(own.shape) for own in leaves][:3]}. Give one number, or a tree of ω's "
            f"structure ({len(omega.leaves)} leaves) with numbers or tensors of ω's shapes."
        )
    if not all(bool(torch.isfinite(own).all()) for own in leaves):
        raise ValueError(
            f"Unrolled({name}=...): the function of α gave {name} = {leaves[0]}, which is not "
            "finite. Keep α in a set where it is, with solve(constraint=...)."
        )
    return leaves


def _values(rate: float | Rate, leaves: tuple[Tensor, ...]) -> float | tuple[Tensor, ...]:
    """The rate without its graph: as it was given, or one tensor a leaf."""
    return tuple(leaf.detach() for leaf in leaves) if callable(rate) else rate


def _plus(y: Vector, sign: int, factor: float | tuple[Tensor, ...], x: Vector) -> Vector:
    """y ± factor·x, each leaf by a number or coordinate by coordinate."""
    if not isinstance(factor, tuple):
        return plus(y, sign * factor, x)
    leaves = [a + sign * f * b for a, f, b in zip(y.leaves, factor, x.leaves, strict=True)]
    return Vector(tuple(leaves), y.treespec)


def _through(
    rates: tuple[Tensor, ...],
    pull: Vector,
    momenta: tuple[Tensor, ...],
    momentum_pull: Vector,
    alpha: Vector,
) -> Vector:
    """(∂γ/∂α)ᵀ pull + (∂β/∂α)ᵀ momentum_pull."""
    with torch.enable_grad():
        parts = [
            (own * weight).sum()
            for leaves, weights in ((rates, pull), (momenta, momentum_pull))
            for own, weight in zip(leaves, weights.leaves, strict=True)
            if own.requires_grad
        ]
        if not parts:
            return alpha.zeros_like()
        leaves = torch.autograd.grad(torch.stack(parts).sum(), alpha.leaves, materialize_grads=True)
    return Vector(tuple(leaves), alpha.treespec)

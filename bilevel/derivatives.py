"""How H = ∇²_ωω L_train and B = ∇²_αω L_train are taken: exactly, or by differences (A.2)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from bilevel.linear import BatchedAction, LinearOperator
from bilevel.problem import BilevelProblem, gradient_in_omega
from bilevel.randomness import REMEDY, Draws
from bilevel.reading import at_most, ratio, read
from bilevel.unsupported import Explaining
from bilevel.vector import Vector


@dataclass(frozen=True)
class Curvature:
    """The second derivatives of L_train at one point.

    Attributes:
        hessian: H: Ω → Ω, symmetric.
        mixed: B: Ω → A; row i of its matrix is ∂/∂αᵢ of ∇_ω L_train.
        gradient: ∇_ω L_train there, where it came for free.
        exact: whether the products are exact up to rounding; differences are not.
        checked: `bilevel.check` found nothing wrong with them.
    """

    hessian: LinearOperator
    mixed: LinearOperator
    gradient: Vector | None = None
    exact: bool = True
    checked: bool = False


class Derivatives(Protocol):
    """A way to take the curvature of an inner loss at a point."""

    @abstractmethod
    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature: ...


@dataclass(frozen=True)
class Checked(Derivatives):
    """Derivatives that `bilevel.check` found nothing wrong with: `report.derivatives`."""

    taken: Derivatives

    def __repr__(self) -> str:
        return f"Checked({self.taken})"

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        return replace(self.taken(problem, omega, alpha), checked=True)


@dataclass(frozen=True)
class Autograd(Derivatives):
    """Exact products, all from one retained graph of ∇_ω L_train.

    Cost: one loss evaluation and one gradient to build the graph; then about 1.4 to 2 gradients
    a product. The graph lives as long as the operators do, with about 2.3 times the memory of
    one gradient. Where L_train has kinks (ReLU), these are the derivatives of the smooth pieces:
    jumps of the gradient are left out.

    Args:
        chunk: how many products to take at once where many are wanted: by `Exact`, `Nystrom` and
            `LinearOperator.dense`. Above 1 the backward pass runs under vmap, which is faster
            for small networks, takes `chunk` times the memory of one product, and raises for
            operations that vmap does not know.

    Raises:
        ValueError: chunk < 1.
    """

    chunk: int = 1

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"Autograd(chunk={self.chunk}): at least one product at a time.")

    @torch.enable_grad()
    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        at, hyper = omega.tracked(), alpha.tracked()
        value = problem.inner_value(at, hyper)
        gradient = gradient_in_omega(value, at, create_graph=True)

        @cache
        def gradient_alpha() -> tuple[Tensor, ...]:  # only transposed products need it
            with torch.enable_grad():
                return torch.autograd.grad(
                    value, hyper.leaves, create_graph=True, materialize_grads=True
                )

        hessian = _pullback(lambda: gradient.leaves, at)
        mixed = _pullback(lambda: gradient.leaves, hyper)
        mixed_transposed = _pullback(gradient_alpha, at)

        def batched(pullback: Pullback, domain: Vector) -> BatchedAction | None:
            return None if self.chunk == 1 else _in_chunks(pullback, domain, self.chunk)

        return Curvature(
            hessian=LinearOperator(
                omega, omega, hessian, hessian, batched(hessian, omega), batched(hessian, omega)
            ),
            mixed=LinearOperator(
                omega,
                alpha,
                mixed,
                mixed_transposed,
                batched(mixed, omega),
                batched(mixed_transposed, alpha),
            ),
            gradient=gradient.detach(),
        )


class Pullback(Protocol):
    """v ↦ ∇_point ⟨outputs, v⟩; batched, every leaf of v has one more axis in front."""

    def __call__(self, v: Vector, *, batched: bool = False) -> Vector: ...


def _pullback(outputs: Callable[[], tuple[Tensor, ...]], point: Vector) -> Pullback:
    """The pullback of `outputs`, reusing their graph."""

    def product(v: Vector, *, batched: bool = False) -> Vector:
        # an output without a graph is constant: it contributes nothing
        live = [(o, w) for o, w in zip(outputs(), v.leaves, strict=True) if o.requires_grad]
        if not live:
            rows = (len(v.leaves[0]),) if batched else ()
            return Vector(
                tuple(leaf.new_zeros(rows + leaf.shape) for leaf in point.leaves), point.treespec
            )
        with Explaining():
            leaves = torch.autograd.grad(
                [o for o, _ in live],
                point.leaves,
                grad_outputs=[w for _, w in live],
                retain_graph=True,
                materialize_grads=True,
                is_grads_batched=batched,
            )
        if batched:  # autograd fills in a zero without the axis in front
            rows = (len(v.leaves[0]),)
            leaves = tuple(
                image.expand(rows + leaf.shape)
                for image, leaf in zip(leaves, point.leaves, strict=True)
            )
        return Vector(leaves, point.treespec)

    return product


def _in_chunks(pullback: Pullback, domain: Vector, chunk: int) -> BatchedAction:
    """The pullback on the rows of a matrix, `chunk` of them at a time."""
    sizes = [leaf.numel() for leaf in domain.leaves]

    def products(rows: Tensor) -> Tensor:
        images = []
        for some in torch.split(rows, chunk):
            parts = [
                part.reshape(len(some), *leaf.shape)
                for part, leaf in zip(torch.split(some, sizes, 1), domain.leaves, strict=True)
            ]
            image = pullback(Vector(tuple(parts), domain.treespec), batched=True)
            images.append(torch.cat([leaf.reshape(len(some), -1) for leaf in image.leaves], dim=1))
        return torch.cat(images)

    return products


@dataclass(frozen=True)
class CentralDifference(Derivatives):
    """Products by central differences of gradients (A.2).

    Hv ≈ (∇_ω L_train(ω + εv, α) − ∇_ω L_train(ω − εv, α)) / 2ε and
    Bq ≈ (∇_α L_train(ω + εq, α) − ∇_α L_train(ω − εq, α)) / 2ε, with ε = step/‖v‖.

    Cost: two gradients a product, in the memory of one gradient. Error O(step²) where L_train is
    smooth. Where it has kinks (ReLU, max pooling) the jumps crossed enter as noise that grows as
    the step falls; DARTS's step of 0.01 is mostly such noise early in a search.

    Args:
        step: how far to go to either side, ‖εv‖, in units of ω. By default
            min(cbrt(machine epsilon) · (1 + ‖ω‖), 0.1): the first balances truncation and
            rounding, the second is what supernets bear. There it is a compromise: with ReLU at
            the start of a search the cosine with exact products is still only about 0.4 to 0.6
            (`docs/records/t9_small.json`). With kinks give the step, or use `Autograd`.

    Raises:
        ValueError: the step is not positive; or, at a product, the loss draws random numbers.
    """

    step: float | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < float("inf"):
            raise ValueError(
                f"CentralDifference(step={self.step}): the step must be positive and finite. "
                "Leave it out for the default, which follows dtype and ‖ω‖."
            )

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        omega, alpha = omega.detach(), alpha.detach()

        def difference(
            gradient: Callable[[Vector], Vector], at: Vector, codomain: Vector
        ) -> Callable[[Vector], Vector]:
            step = self.step or self._default_step(at)

            def product(v: Vector) -> Vector:
                length = read(v.norm())
                if not isinstance(length, Tensor) and length == 0:
                    return codomain.zeros_like()
                epsilon = ratio(step, length, 1.0)
                draws = Draws(at.device)
                ahead, behind = gradient(at + epsilon * v), gradient(at - epsilon * v)
                if draws.any():
                    raise ValueError(
                        f"CentralDifference: the inner loss draws random numbers. {REMEDY}"
                    )
                found: Vector = (ahead - behind) / (2 * epsilon)
                return found

            return product

        def gradient_omega(omega: Vector, alpha: Vector) -> Vector:
            return problem.inner_gradient(omega, alpha)[1]

        def gradient_alpha(w: Vector) -> Vector:
            return problem.inner_gradient_alpha(w, alpha)

        hessian = difference(lambda w: gradient_omega(w, alpha), omega, omega)
        mixed = difference(gradient_alpha, omega, alpha)
        mixed_transposed = difference(lambda a: gradient_omega(omega, a), alpha, omega)
        return Curvature(
            hessian=LinearOperator(omega, omega, hessian, hessian),
            mixed=LinearOperator(omega, alpha, mixed, mixed_transposed),
            exact=False,
        )

    @staticmethod
    def _default_step(at: Vector) -> Any:
        rounding: float = torch.finfo(at.dtype).eps ** (1 / 3)
        return at_most(rounding * (1 + read(at.norm())), 0.1)

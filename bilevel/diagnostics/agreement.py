"""Whether products agree with differences of gradients, told apart from kinks and rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bilevel.derivatives import Curvature
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector

STEPS = (1e-4, 1e-6, 1e-7)
"""Of the differences, relative to each leaf's size, in float64. The first suits smooth losses: its
error is near 1e-8. The others are for kinks: among 10⁵ ReLUs some 0.1 change sides within 1e-6."""
MARGIN = 10.0
"""A product is off by more than this many times the disagreement of two steps, or it is right. A
kink crossed puts an error of J/ε into a difference, and J/2ε into the disagreement."""


@dataclass(frozen=True)
class Direction:
    """A vector v of Ω, and the sizes of the leaves of ω and α, by which errors are compared.

    Attributes:
        padding: rows of leaves in which v is 0.
    """

    v: Vector
    sizes: tuple[float, ...]
    sizes_alpha: tuple[float, ...]
    padding: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def random(
        omega: Vector,
        alpha: Vector,
        generator: torch.Generator,
        padding: tuple[tuple[int, int], ...] = (),
    ) -> Direction:
        sizes = _sizes(omega)
        return Direction(gaussian(omega, generator, sizes, padding), sizes, _sizes(alpha), padding)


def gaussian(
    at: Vector,
    generator: torch.Generator,
    sizes: tuple[float, ...],
    padding: tuple[tuple[int, int], ...] = (),
) -> Vector:
    """Normal numbers, those of each leaf times its size; 0 in the rows of padding."""
    found = Vector(
        tuple(
            size
            * torch.randn(
                leaf.shape, generator=generator, dtype=torch.float64, device=generator.device
            ).to(leaf)
            for leaf, size in zip(at.leaves, sizes, strict=True)
        ),
        at.treespec,
    )
    for place, row in padding:
        found.leaves[place][row] = 0
    return found


@dataclass(frozen=True)
class Agreement:
    """How a product compares with differences.

    Attributes:
        errors: ‖product − difference‖ of each leaf, times the leaf's size.
        size: size of the whole difference, in the same units.
        doubt: uncertainty of the whole difference.
        enough: largest doubt, relative to the size, at which an agreement means something.
    """

    errors: tuple[float, ...]
    size: float
    doubt: float
    enough: float = 1e-3

    @property
    def error(self) -> float:
        return math.hypot(*self.errors)

    @property
    def wrong(self) -> bool:
        return not self.error <= self.doubt  # NaN is wrong

    @property
    def sharp(self) -> bool:
        """The difference is good enough for an agreement to mean something."""
        return self.doubt <= self.enough * self.size or self.size == 0 == self.error

    @property
    def decided(self) -> bool:
        return self.wrong or self.sharp

    @property
    def relative(self) -> float:
        return self.error / self.size if self.size > 0 else (math.inf if self.error else 0.0)

    def worst(self, names: list[str]) -> str:
        """The leaves that make up the error, the largest first."""
        order = sorted(range(len(names)), key=lambda place: -self.errors[place])
        shown = [names[place] for place in order if self.errors[place] > 0.1 * self.error][:3]
        return ", ".join(shown)


@dataclass(frozen=True)
class Compared:
    """H and B along one direction, and the derivative of the loss along it."""

    hessian: Agreement
    mixed: Agreement
    gradient: Agreement


def compared(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    curvature: Curvature,
    gradient: Vector,
    direction: Direction,
    steps: tuple[float, ...] = STEPS,
) -> Compared:
    """Compare Hv, Bv and ⟨∇_ω L_train, v⟩ with differences, at smaller steps until it is decided.

    Four gradients and two products; four more gradients for each step that leaves it open.
    """
    products = curvature.hessian @ direction.v, curvature.mixed @ direction.v
    found = _at_step(problem, omega, alpha, products, gradient, direction, steps[0])
    for step in steps[1:]:
        if _decided(found):
            break
        finer = _at_step(problem, omega, alpha, products, gradient, direction, step)
        first = step == steps[1]
        found = Compared(
            _better(found.hessian, finer.hessian, widest=first),
            _better(found.mixed, finer.mixed, widest=first),
            found.gradient if not found.gradient.wrong else finer.gradient,
        )
    return found


def _decided(found: Compared) -> bool:
    right = not (found.hessian.wrong or found.mixed.wrong or found.gradient.wrong)
    return right and found.hessian.decided and found.mixed.decided


def _better(coarse: Agreement, fine: Agreement, *, widest: bool) -> Agreement:
    """The one to believe: right and sharp, if either is; then wrong and sharp; else the less doubt.

    At the widest step (`widest`: it is `coarse`) many kinks can be crossed, which together look
    like curvature that the product does not have: what is wrong there alone is not believed.
    """
    for one in (coarse, fine):
        if one.sharp and not one.wrong:
            return one
    if coarse.wrong != fine.wrong:
        wrong, open_ = (coarse, fine) if coarse.wrong else (fine, coarse)
        return wrong if wrong.sharp and not (widest and wrong is coarse) else open_
    return min(coarse, fine, key=lambda one: one.doubt)


def _at_step(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    products: tuple[Vector, Vector],
    gradient: Vector,
    direction: Direction,
    step: float,
) -> Compared:
    whole, half = (
        [problem.inner_gradients(omega + side * width * direction.v, alpha) for side in (1, -1)]
        for width in (step, step / 2)
    )
    eps = torch.finfo(omega.dtype).eps

    def agreement(product: Vector, part: int, sizes: tuple[float, ...]) -> Agreement:
        sides: list[Vector] = [found[part] for found in (*whole, *half)]  # type: ignore[misc]
        largest = max(sized_norm(side, sizes) for side in sides)
        return _agreement(
            product,
            (sides[0] - sides[1]) / (2 * step),
            (sides[2] - sides[3]) / step,
            sizes,
            floor=10 * eps * largest / step,
        )

    return Compared(
        agreement(products[0], 1, direction.sizes),
        agreement(products[1], 2, direction.sizes_alpha),
        gradient_agreement(
            [found[0] for found in (*whole, *half)],
            float(gradient.dot(direction.v)),
            sized_norm(gradient, direction.sizes),
            step,
            eps,
        ),
    )


def gradient_agreement(
    values: list[float],
    derivative: float,
    scale: float,
    step: float,
    eps: float,
    share: float = 1e-3,
) -> Agreement:
    """A derivative along a line against values of the loss, at step, −step, step/2 and −step/2.

    Args:
        share: of `scale` that an error may be in any case.
    """
    whole, half = (values[0] - values[1]) / (2 * step), (values[2] - values[3]) / step
    level = max(abs(value) for value in values)
    doubt = MARGIN * abs(whole - half) + 100 * eps * level / step + share * scale
    return Agreement((abs(derivative - (4 * half - whole) / 3),), scale, doubt)


def _agreement(
    product: Vector, whole: Vector, half: Vector, sizes: tuple[float, ...], floor: float
) -> Agreement:
    """The product against the extrapolation of two steps, with their disagreement as its doubt."""
    best = (4 * half - whole) / 3
    size = sized_norm(best, sizes)
    eps = torch.finfo(best.dtype).eps
    rounding = 1e4 * eps * max(size, sized_norm(product, sizes))
    doubt = MARGIN * sized_norm(whole - half, sizes) + floor + rounding
    # with float32's seven digits no difference of gradients is good to three
    return Agreement(_norms(product - best, sizes), size, doubt, 1e-3 if eps < 1e-10 else 0.1)


def _norms(x: Vector, sizes: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(
        size * float(torch.linalg.vector_norm(leaf))
        for leaf, size in zip(x.leaves, sizes, strict=True)
    )


def sized_norm(x: Vector, sizes: tuple[float, ...]) -> float:
    """The norm of a gradient or product whose leaves are multiplied by the sizes of a point's."""
    return math.hypot(*_norms(x, sizes))


def _sizes(x: Vector) -> tuple[float, ...]:
    """The root mean square of each leaf; of all of x for one that is zero; 1 if all are."""
    whole = float(x.norm()) / math.sqrt(x.numel)
    own = (
        float(torch.linalg.vector_norm(leaf)) / math.sqrt(max(leaf.numel(), 1)) for leaf in x.leaves
    )
    return tuple(size or whole or 1.0 for size in own)

"""The estimator whose angle to g₂ is guaranteed: MINRES until the certificate of T6 holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.arguments import check_count, check_not_negative, check_positive
from bilevel.derivatives import Curvature
from bilevel.estimators.alerts import NotCertified
from bilevel.estimators.certificate import NOT_CHECKED, Certificate, certify
from bilevel.estimators.results import Solve, Status
from bilevel.estimators.solving import SolvingEstimator
from bilevel.krylov.lanczos import Tridiagonal, lanczos_steps
from bilevel.krylov.minres import Iterate, minres
from bilevel.krylov.norm_bound import NormBound, norm_bound
from bilevel.linear import LinearOperator
from bilevel.vector import Vector

LARGER = 1000
"""Times the largest |λ| met that ‖H‖ may be, where no random vector has looked for a larger one."""

_STREAM = 7_346_102_905_000
"""Seeds of a certificate begin here: a problem drawn from seed 0 is not to know its start."""


@dataclass(frozen=True)
class Certified(SolvingEstimator):
    """Estimate g₂ by −B q, and iterate until cos∠(estimate, g₂) ≥ `cosine` is certain (T6).

    With r = ∇_ω L_val − Hq and |λ(H)| ≥ μ, the error of q is at most ‖r‖/μ, and `certify` bounds
    the angle. MINRES serves SPD and indefinite H, and has the smallest ‖r‖ that a product buys.
    r is computed afresh before anything is certified, with 10 eps(‖∇_ω L_val‖ + ‖H‖‖q‖) added for
    rounding, and 10 eps ‖B‖‖q‖ to the error of Bq. ‖H‖ is there the largest |λ| met. Where μ is
    given no random vector looks for a larger one: a thousand times as much is added, or `assumes`
    says that it was not.

    ‖B‖ is bounded from above: through BBᵀ for up to 64 hyperparameters (one transposed product
    each), by random probes for more. A power iteration, which gives a lower bound, would not do.

    `hypergradient.certificate.assumes` lists the assumptions. One is that products are right,
    unless `derivatives` are those of a report of `bilevel.check`. The others depend on μ:

    - Given: none. A μ that a product contradicts is refused.
    - From damping: H ⪰ 0. The angle is that to the damped g₂, −B(H + ρI)⁻¹∇_ω L_val.
    - Left out: a bound from Lanczos on a random vector holds, which it does not with probability
      at most `failure_probability` (`Tridiagonal.gap_around_zero`). In float32 this bound is 0
      from some 10⁶ parameters on, and nothing is certified: give μ or damping there.
    - Left out, with failure_probability None: |λ(H)| is at least `safety` times the smallest
      singular value seen by the iteration and by as many Lanczos products (at least ten). This
      guess is cheaper, and too large where few eigenvalues are small.

    Cost: the products of MINRES, one or two more with H, m or 40 with Bᵀ and B, and one with B
    each time that the bound is looked at. Without μ those of Lanczos, see
    `Tridiagonal.gap_around_zero`: on *logreg* 68 in all and not 32, on *mlp_clean* 534 and not 451.

    Args:
        cosine: cosine of the largest angle that is tolerated, in (0, 1).
        relative_error: largest ‖estimate − g₂‖/‖g₂‖ that is tolerated. With one hyperparameter the
            angle is 0 or 180 degrees, and only the sign is certified without this.
        mu: a lower bound on |λ(H + damping·I)|: strong convexity, or weight decay where the rest
            of the inner loss is convex.
        products: the most Hessian products to spend.
        damping: ρ ≥ 0.
        failure_probability: probability, over the random start of Lanczos, that the bound μ is
            wrong where it is not given. None: estimate μ with no bound.
        seed: seed of the random start of Lanczos and of the probes of ‖B‖, which draw from a
            stream of their own. `solve` counts it up from step to step, so that the starts are
            independent.
        safety: Lanczos stops when the bound is this share of the smallest singular value seen;
            without a bound μ is this share itself.

    Of g₁ + g₂ nothing follows from the angle: where they nearly cancel, the sum can point the other
    way. It is right where `certificate.error` is below the length of `total` (T14).

    When the products are spent, it returns status UNCERTIFIED, the best bound and a
    `NotCertified`; with `strict=True` it raises that.

    Raises:
        ValueError: cosine, mu, safety or the probability out of range, or mu contradicted by a
            product with H.
    """

    cosine: float = 0.99
    mu: float | None = None
    products: int = 1000
    damping: float = 0.0
    relative_error: float = field(default=math.inf, kw_only=True)
    failure_probability: float | None = field(default=1e-3, kw_only=True)
    safety: float = field(default=0.5, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.cosine < 1:
            raise ValueError(
                f"Certified(cosine={self.cosine}): must lie between 0 and 1. A cosine of 1 would "
                "be the exact solution; 0.99 is an angle of 8.1 degrees."
            )
        check_count(self, products=self.products)
        check_positive(self, safety=self.safety)
        if not self.relative_error > 0:
            raise ValueError(
                f"Certified(relative_error={self.relative_error}): must be positive. Leave it out "
                "where the direction is what matters."
            )
        if self.safety >= 1:
            raise ValueError(
                f"Certified(safety={self.safety}): must be below 1: the smallest value seen is "
                "above the smallest there is."
            )
        if self.failure_probability is not None and not 0 < self.failure_probability < 1:
            raise ValueError(
                f"Certified(failure_probability={self.failure_probability}): must lie between 0 "
                "and 1. None takes an estimate of mu without a bound, which is cheaper."
            )
        check_not_negative(self, damping=self.damping)
        if self.mu is not None:
            check_positive(self, mu=self.mu)

    @property
    def asked_degrees(self) -> float:
        return math.degrees(math.acos(self.cosine))

    def redrawn(self, step: int) -> Certified:
        """This estimator for a step of an alternation, with random draws of its own."""
        return replace(self, seed=self.seed + step)

    def checked_solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        found = super().checked_solve(curvature, outer_gradient)
        if found.certificate is not None:
            return found
        exact = Certificate(  # ∇_ω L_val is 0, and so is g₂
            0.0, 0.0, 0.0, self.asked_degrees, self.relative_error, self.mu or 0.0, (), zero=True
        )
        return replace(found, certificate=exact)

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        search = _Search(
            self,
            curvature.hessian.shifted(self.damping),
            curvature.mixed,
            norm_bound(curvature.mixed, seed=_STREAM + self.seed),
            outer_gradient.flat(),
            _believed_of(curvature),
        )
        start = self.starting_point(outer_gradient)
        q, remainder, certificate = search.run(None if start is None else start.flat())
        length = float(outer_gradient.norm())
        if not certificate.holds and search.seen and search.highest == 0:
            self.alert(
                NotCertified,
                f"H is 0 for all that {search.products} products showed, so that Hq = ∇_ω L_val "
                "has no solution and g₂ is not defined at this ω. Add weight decay to the inner "
                "loss, or begin where the inner loss has curvature.",
            )
        elif not certificate.holds:
            self.alert(
                NotCertified,
                f"the angle to g₂ is at most {certificate.angle_degrees:.3g}° and the relative "
                f"error at most {certificate.relative_error:.3g}; asked for were "
                f"{self.asked_degrees:.3g}° and {self.relative_error:.3g}. "
                f"{search.products} products took the relative residual to "
                f"{float(remainder.norm()) / length:.3g}; μ = {certificate.mu:.3g}. Allow more "
                "products, give a larger mu if one is known, add damping, or ask for a smaller "
                "cosine.",
            )
        if self.damping:
            remainder = remainder.add(q, alpha=self.damping)
        lowest = search.lowest - self.damping
        return Solve(
            outer_gradient.like(q),
            search.products,
            Status.CONVERGED if certificate.holds else Status.UNCERTIFIED,
            residual=float(remainder.norm()) / length,
            curvature=None if lowest == math.inf else lowest,
            note=f"{search.mixed_products} products with B or its transpose",
            certificate=certificate,
        )


class _Search:
    """One search for a certificate: what has been spent, and what has been seen of H."""

    def __init__(
        self,
        asked: Certified,
        system: LinearOperator,
        mixed: LinearOperator,
        norm: NormBound,
        v: Float[Tensor, " n"],
        believed: tuple[str, ...],
    ) -> None:
        self.asked, self.system, self.mixed, self.norm = asked, system, mixed, norm
        self.v, self.believed = v, believed
        self.products, self.mixed_products = 0, norm.products
        self.singular, self.lowest, self.highest = math.inf, math.inf, 0.0
        self.probed = self.seen = False
        self.gap: float | None = None
        self.probes = 0

    def run(
        self, q: Float[Tensor, " n"] | None
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Certificate]:
        """q, its computed remainder ∇_ω L_val − Hq, and what they certify."""
        previous = math.inf
        while True:
            start, steps = q, minres(self.system.on_flat, self.v, q)
            latest = self._until_promising(steps, next(steps))
            q = latest.value
            self.products += latest.products
            self._see(latest.sketch)
            if self.asked.mu is None and not self.probed:
                # ∇_ω L_val may see little of the smallest eigenvalues; a random vector sees all
                self.probed = True
                self._probe(self.asked.products - self.products - 1)
            remainder = self.v - self.system.on_flat(q)
            self.products += 1
            residual = float(remainder.norm())
            rounding = 10 * _eps(q) * (float(self.v.norm()) + self.highest * float(q.norm()))
            wide = 1 if self.probed else LARGER
            image = 10 * _eps(q) * self.norm.value * float(q.norm())
            certificate = self._bound(q, residual + wide * rounding, rounding=image)
            if not certificate.holds and not self.probed:
                met = (self._largest_met(),)
                certificate = self._bound(q, residual + rounding, met, rounding=image)
            stuck = q is start or not residual < 0.9 * previous
            if certificate.holds or stuck or self.products + 2 > self.asked.products:
                return q, remainder, certificate
            previous = residual

    def _until_promising(self, steps: Iterator[Iterate], latest: Iterate) -> Iterate:
        """Iterate until the recurred residual would certify, or all but one product is spent.

        Each look costs a product with B, so the next is when the residual may have come down far
        enough: in proportion to the tangent of the angle.
        """
        target = 0.5 * latest.residual
        budget = self.asked.products - self.products - 1
        self.seen = self.seen or latest.products < budget
        while latest.products < budget and (following := next(steps, None)) is not None:
            latest = following
            if latest.residual > target:
                continue
            self._see(latest.sketch)
            bound = self._bound(latest.value, latest.residual)
            if bound.holds:
                break
            target = _needed(bound) * latest.residual
        return latest

    def _probe(self, allowed: int) -> None:
        """Lanczos from a random vector: as many products as MINRES took, or until μ is bounded."""
        failure, steps = self.asked.failure_probability, max(10, self.products)
        if failure is not None:
            self.gap = 0.0
        if allowed < 1:
            return
        most = max(1, min(steps, allowed) if failure is None else 2 * allowed // 3)
        look = 10
        for taken, sketch in enumerate(
            lanczos_steps(self.system, seed=_STREAM + self.asked.seed), start=1
        ):
            self.products += 1
            if taken == most:
                break
            if failure is not None and taken >= look:
                look = math.ceil(1.2 * taken)
                self._see(sketch)
                if self._gap(sketch, failure) >= self.asked.safety * self.singular:
                    break
        self._see(sketch)
        if failure is not None:
            self.gap = self._gap(sketch, failure)
            self.probes = len(sketch.diagonal)

    def _gap(self, sketch: Tridiagonal, failure: float) -> float:
        return sketch.gap_around_zero(len(self.v), failure, _eps(self.v))

    def _see(self, sketch: Tridiagonal | None) -> None:
        if sketch is None:
            return
        values = sketch.ritz_values()
        self.singular = min(self.singular, sketch.smallest_singular_value())
        self.lowest = min(self.lowest, float(values[0]))
        self.highest = max(self.highest, float(abs(values).max()))

    def _largest_met(self) -> str:
        return f"rounding is that of ‖H‖ ≤ {self.highest:.3g}, the largest |λ| met"

    def _bound(
        self,
        q: Float[Tensor, " n"],
        residual: float,
        also: tuple[str, ...] = (),
        *,
        rounding: float = 0.0,
    ) -> Certificate:
        mu, assumes = self._mu()
        self.mixed_products += 1
        return certify(
            self.mixed @ self.mixed.domain.like(q),
            residual / mu if mu > 0 else math.inf,
            self.norm,
            rounding=rounding,
            mu=mu,
            asked_degrees=self.asked.asked_degrees,
            asked_error=self.asked.relative_error,
            assumes=assumes + also + self.believed,
        )

    def _mu(self) -> tuple[float, tuple[str, ...]]:
        """The lower bound on |λ| to use, and what it assumes."""
        slack = 1e-6 * self.highest * (1 if _eps(self.v) < 1e-10 else 1e3)
        if self.asked.mu is not None:
            if self.singular < self.asked.mu - slack:
                raise ValueError(
                    f"Certified(mu={self.asked.mu}): a direction x with ‖Hx‖ = "
                    f"{self.singular:.4g} ‖x‖ was met, so |λ| ≥ mu is not true. Give a smaller "
                    "mu, add damping, or leave mu out to have it estimated."
                )
            return self.asked.mu, ()
        damping = self.asked.damping
        if damping > 0 and self.singular >= damping - slack and self.lowest >= damping - slack:
            return damping, (f"H ⪰ 0, so that μ = damping = {damping:.4g}",)
        if self.gap is not None:
            how = f"{self.probes} Lanczos products from a random vector, wrong with probability"
            mu = min(self.gap, self.singular)
            return mu, (f"|λ(H)| ≥ {mu:.4g}, by {how} {self.asked.failure_probability:g}",)
        mu = self.asked.safety * self.singular
        return mu, (f"|λ(H)| ≥ {mu:.4g}, {self.asked.safety:g} of the least that Lanczos saw",)


def _believed_of(curvature: Curvature) -> tuple[str, ...]:
    """The assumptions about products."""
    exact = () if curvature.exact else ("products by central differences are exact",)
    return exact if curvature.checked else (*exact, NOT_CHECKED)


def _needed(bound: Certificate) -> float:
    """By how much the residual must about fall for the bound to hold, within [0.1, 0.9]."""
    if not bound.relative_error < math.inf:
        return 0.5
    asked, found = (
        math.tan(math.radians(min(x, 89))) for x in (bound.asked_degrees, bound.angle_degrees)
    )
    ratio = min(asked / max(found, 1e-300), bound.asked_error / bound.relative_error)
    return min(0.9, max(0.1, ratio))


def _eps(v: Tensor) -> float:
    return float(torch.finfo(v.dtype).eps)

"""Advice on the estimator to use at a point of a user's own problem, with reasons in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import torch

from bilevel.arguments import check_count
from bilevel.derivatives import Autograd
from bilevel.diagnostics.check_report import CheckReport
from bilevel.diagnostics.checking import check
from bilevel.diagnostics.comparison import Comparison, Row, compare, name_of
from bilevel.diagnostics.spectrum import stationarity
from bilevel.estimators import Estimator
from bilevel.estimators.amended import Amended
from bilevel.estimators.certified import Certified
from bilevel.estimators.conjugate_gradient import ConjugateGradient
from bilevel.estimators.first_order import FirstOrder
from bilevel.estimators.identity import Identity
from bilevel.estimators.minres import Minres
from bilevel.estimators.neumann import Neumann
from bilevel.krylov.lanczos import lanczos
from bilevel.point import point_of
from bilevel.problem import BilevelProblem, squared_curvature
from bilevel.vector import Tree, Vector

LANCZOS_PRODUCTS = 60
STATIONARY = 0.01


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of H as Lanczos sees it: λ_min(H) ≤ `lowest` and λ_max(H) ≥ `highest`."""

    lowest: float
    highest: float
    smallest_magnitude: float
    products: int

    @property
    def definite(self) -> bool:
        """No direction of curvature ≤ 0 was seen."""
        return self.lowest > 0

    @property
    def condition(self) -> float:
        """max |λ| over min |λ| of what was seen: the condition number is at least about this."""
        top = max(abs(self.lowest), abs(self.highest))
        return top / self.smallest_magnitude if self.smallest_magnitude > 0 else float("inf")


@dataclass(frozen=True, repr=False)
class Recommendation:
    """An estimator and the reasons for it; `print(recommendation)`.

    Attributes:
        estimator: the one to use.
        reasons: sentences on the point, the spectrum, the measured errors of the candidates, the
            guarantee, and the changes that would alter the advice.
        comparison: the candidates' table.
        gradient_ratio: ‖∇_ω L_train‖ / ‖∇_ω L_val‖; None where L_val is flat.
        spectrum: the spectrum of H as Lanczos sees it.
        check: the report of `bilevel.check`. A fault that it finds is the first reason.
    """

    estimator: Estimator
    reasons: tuple[str, ...]
    comparison: Comparison
    gradient_ratio: float | None
    spectrum: Spectrum
    check: CheckReport

    def __str__(self) -> str:
        return "\n".join(
            [f"Use {name_of(self.estimator)}.", *(f"- {text}" for text in self.reasons)]
        )

    def __repr__(self) -> str:
        return f"Recommendation(use {name_of(self.estimator)}; print it for the reasons)"

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{escape(text)}</li>" for text in self.reasons)
        return (
            f"<p>Use <code>{escape(name_of(self.estimator))}</code>.</p><ul>{reasons}</ul>"
            f"{self.comparison._repr_html_()}"
        )


@torch.inference_mode(False)
def recommend(
    problem: BilevelProblem,
    params: Tree,
    hyperparams: Tree,
    *,
    budget: int = 100,
    cosine: float = 0.99,
) -> Recommendation:
    """Measure candidates at (ω, α) and choose the one to rely on within `budget` products.

    It prefers a certificate of the angle to everything else, then the smallest measured error of
    g₂ among those that point the right way, the cheaper one where errors are within 10 %. Both are
    about g₂. Where it nearly cancels g₁, so that the sum points the wrong way with the one chosen,
    a reason says so. The advice holds where it was measured: ask again as ω and α move.

    Cost: `bilevel.check`, 60 Lanczos products, the reference of `compare`, and each candidate once.

    Args:
        params: ω, best near ω*(α).
        budget: largest number of Hessian products of an estimate.
        cosine: cosine of the angle to certify.

    Raises:
        ValueError: budget is no whole number of at least 1, or cosine is not between 0 and 1.
    """
    check_count("recommend", budget=budget)
    certified = Certified(cosine=cosine, products=budget)
    omega, alpha = point_of(params, hyperparams)
    params, hyperparams = omega.tree(), alpha.tree()
    ratio = _gradient_ratio(problem, omega, alpha)
    report = check(problem, params, hyperparams)
    report.warn_if_wrong()
    spectrum = _spectrum(problem, omega, alpha)
    candidates = _candidates(spectrum, certified, report)
    table = compare(problem, params, hyperparams, candidates, repetitions=0, checked=report)
    guarantee = _certificate(table["certified"])
    chosen = "certified" if guarantee else _best(table)
    reasons: tuple[str, ...] = (
        _about_the_point(ratio),
        _about_the_spectrum(spectrum),
        _about_the_candidates(table),
        guarantee or _no_guarantee(table[chosen], cosine, budget),
        *_about_the_sum(table[chosen]),
        _what_would_change(spectrum, guarantee is not None, budget),
    )
    if not report.ok:
        reasons = (f"NOTHING below is to be relied on: {report}", *reasons)
    return Recommendation(candidates[chosen], reasons, table, ratio, spectrum, report)


def _gradient_ratio(problem: BilevelProblem, omega: Vector, alpha: Vector) -> float | None:
    found = stationarity(problem, omega, alpha)
    return found.ratio if found.outer_gradient_norm > 0 else None


def _spectrum(problem: BilevelProblem, omega: Vector, alpha: Vector) -> Spectrum:
    hessian = Autograd()(problem, omega, alpha).hessian
    sketch = lanczos(hessian, LANCZOS_PRODUCTS, seed=0)
    values = sketch.ritz_values()
    return Spectrum(
        float(values[0]),
        float(values[-1]),
        sketch.smallest_singular_value(),
        len(sketch.diagonal),
    )


def _candidates(
    spectrum: Spectrum, certified: Certified, report: CheckReport
) -> dict[str, Estimator]:
    budget = certified.products
    top = max(abs(spectrum.lowest), abs(spectrum.highest))
    candidates: dict[str, Estimator] = {"first order": FirstOrder()}
    if top > 0:
        candidates |= {
            "identity": Identity(1 / top),
            "amended": Amended(1 / squared_curvature(top)),
        }
    if spectrum.definite:
        candidates |= {
            "neumann": Neumann(max(budget - 1, 0), 1 / top, tolerance=None),
            "cg": ConjugateGradient(budget),
        }
    candidates["minres"] = Minres(budget)
    taken = report.derivatives if report.ok else Autograd()
    candidates["certified"] = replace(certified, derivatives=taken)
    return candidates


def _certificate(row: Row) -> str | None:
    """What `Certified` guarantees, in words; None if it does not get there."""
    certificate = row.certificate
    if certificate is None or not certificate.holds:
        return None
    if certificate.zero:
        return "Guaranteed: g₂ is 0, as B or ∇_ω L_val is, so that g₁ is the whole hypergradient."
    on = "; ".join(certificate.assumes)
    return (
        f"Guaranteed: the angle to g₂ is at most {certificate.angle_degrees:.2g}°, after "
        f"{_products(row)} products{', if ' + on if on else ''}. The report that its derivatives "
        "come from is bilevel.check(problem, params, hyperparams), and the check of this advice."
    )


def _best(table: Comparison) -> str:
    usable = [row for row in table.rows if row.failure is None and row.error_total is not None]
    right = [row for row in usable if row.sign == 1 and _errs(row) < 1]
    if not right:
        return "first order"
    least = min(_errs(row) for row in right)
    near = [row for row in right if _errs(row) <= 1.1 * least + 1e-12]
    return min(near, key=_products).estimator


def _errs(row: Row) -> float:
    return float("inf") if row.error_implicit is None else row.error_implicit


def _products(row: Row) -> int:
    return 0 if row.count is None else row.count.hessian_products


def _about_the_point(ratio: float | None) -> str:
    if ratio is None:
        return "∇_ω L_val is 0 here: g₂ is 0, and any estimator will do."
    if ratio <= STATIONARY:
        return f"ω is close to the inner minimum: ‖∇_ω L_train‖ is {ratio:.2g} ‖∇_ω L_val‖."
    return (
        f"ω is NOT at the inner minimum: ‖∇_ω L_train‖ is {ratio:.2g} ‖∇_ω L_val‖ (above "
        f"{STATIONARY}). g₂ is dΦ/dα only there, so no estimator below is better than that; take "
        "more inner steps first."
    )


def _about_the_spectrum(spectrum: Spectrum) -> str:
    if spectrum.definite:
        return (
            f"No curvature ≤ 0 was seen in {spectrum.products} Lanczos products: H has "
            f"eigenvalues in about [{spectrum.lowest:.2g}, {spectrum.highest:.2g}], condition "
            f"number at least about {spectrum.condition:.2g}."
        )
    if spectrum.lowest == spectrum.highest == 0:
        return (
            f"H is 0 as far as {spectrum.products} Lanczos products showed: Hq = ∇_ω L_val has no "
            "solution, and g₂ is not defined. Add weight decay to the inner loss, or begin where "
            "it has curvature."
        )
    return (
        f"H is indefinite: it has an eigenvalue ≤ {spectrum.lowest:.2g} (and one ≥ "
        f"{spectrum.highest:.2g}). This ω is no inner minimum; CG, Neumann and the identity have "
        "no ground there. Weight decay above that eigenvalue's size would make it definite."
    )


def _about_the_candidates(table: Comparison) -> str:
    parts = []
    for row in table.rows:
        if row.failure is not None:
            parts.append(f"{row.estimator}: raised")
            continue
        error = "" if row.error_implicit is None else f"{row.error_implicit:.2g}"
        wrong = ", points the WRONG way" if row.sign == -1 else ""
        parts.append(f"{row.estimator} {error} ({_products(row)} products{wrong})")
    return f"Relative error of g₂ against {table.reference.description}: " + "; ".join(parts) + "."


def _about_the_sum(row: Row) -> tuple[str, ...]:
    """Whether g₁ + g₂ was measured to point the wrong way, whatever is known of g₂."""
    if row.angle_total_degrees is None or row.angle_total_degrees < 90:
        return ()
    if not row.error_total or row.error_implicit is None:
        return ()
    return (
        f"But g₁ + g₂ points the WRONG way with it ({row.angle_total_degrees:.3g}°): the two "
        f"nearly cancel, and the error is {row.error_total:.2g} times what is left. An error of "
        f"g₂ well below {row.error_implicit / row.error_total:.1g} would do, as by "
        "Certified(relative_error=...) or a small tolerance of CG.",
    )


def _no_guarantee(row: Row, cosine: float, budget: int) -> str:
    return (
        f"Nothing is guaranteed: {budget} products did not certify a cosine of {cosine}. "
        f"{row.estimator} is what measured best here, at this point only."
    )


def _what_would_change(spectrum: Spectrum, certified: bool, budget: int) -> str:
    if certified and spectrum.definite:
        return (
            "This would change it: a problem where products are dear and an angle without a "
            "guarantee will do (CG with few iterations); or negative curvature later on."
        )
    if certified:
        return "This would change it: an ω at a true minimum, where CG takes fewer products."
    if not spectrum.condition < float("inf"):
        return "This would change it: curvature along ∇_ω L_val, from weight decay or another ω."
    need = round(2.3 * spectrum.condition**0.5)
    return (
        f"This would change it: more products (CG gains a digit in about √κ·1.2, here {need // 2} "
        f"or more; the budget is {budget}), damping, or a lower bound on the curvature, known "
        "from weight decay, passed as Certified(mu=...)."
    )

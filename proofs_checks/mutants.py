"""Planted errors: each puts one wrong formula in place of a right one, and must be noticed.

A check that cannot fail is a defect. `hunt` builds the ledger on a `Formulas` with one error in it
and says which claims no longer verify; the test suite wants at least one for every mutant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import perm
from typing import Any

import numpy as np

from bilevel import CentralDifference, Curvature
from bilevel.estimators import Amended, DartsSecondOrder, Exact, Identity, Landweber, Neumann, Solve
from bilevel.vector import Vector
from proofs_checks import definitions as right
from proofs_checks.catalogue import all_claims
from proofs_checks.definitions import FORMULAS, Formulas, Gradient, traced
from proofs_checks.evidence import (
    Enclosure,
    Evidence,
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    PropertyTest,
    SmtProof,
)
from proofs_checks.gaussian_form import form_eigenvalues, negative_probability
from proofs_checks.ledger import Verified
from proofs_checks.measurement import Measurement, Recorded
from proofs_checks.network_formulas import lowest_curvature
from proofs_checks.rational import Matrix, Scalar, identity, root

# the kinds that are not statistical, in the order in which they are tried: cheap and telling first
HUNTERS = (
    ExactIdentity,
    ExactExample,
    ExactCounterexample,
    Enclosure,
    PropertyTest,
    SmtProof,
    Measurement,
    Recorded,  # for what is repeated of it
)


@dataclass(frozen=True)
class Mutant:
    """One planted error.

    Attributes:
        formula: the field of `Formulas` that it replaces.
        error: what is wrong, in words.
        planted: the wrong formula.
    """

    formula: str
    error: str
    planted: Callable[..., Any]

    @property
    def name(self) -> str:
        return f"{self.formula}: {self.error}"

    def formulas(self) -> Formulas:
        return replace(FORMULAS, **{self.formula: self.planted})


def turned(m: Matrix) -> Matrix:
    """Transposed where the shape allows it: the error that no shape check sees."""
    return m.T if m.shape[0] == m.shape[1] else m


class WrongSign(Amended):
    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        found = super().solve(curvature, outer_gradient)
        return replace(found, value=-found.value)


class HessianTwice(Amended):
    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        found = super().solve(curvature, outer_gradient)
        return replace(found, value=curvature.hessian @ found.value)


class NoInverse(Exact):
    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        found = super().solve(curvature, outer_gradient)
        return replace(found, value=curvature.hessian @ outer_gradient)


class UndividedMixed(CentralDifference):
    """B's difference divided by ε where 2ε is right."""

    def __call__(self, problem: Any, omega: Vector, alpha: Vector) -> Curvature:
        found = super().__call__(problem, omega, alpha)
        return Curvature(found.hessian, 2.0 * found.mixed)


class Turned(CentralDifference):
    """H's difference with the minus sign on the wrong side."""

    def __call__(self, problem: Any, omega: Vector, alpha: Vector) -> Curvature:
        found = super().__call__(problem, omega, alpha)
        return Curvature(-1.0 * found.hessian, found.mixed)


def _amended_with_bad_differences(eta: float, **options: Any) -> Amended:
    if isinstance(options.get("derivatives"), CentralDifference):
        options["derivatives"] = UndividedMixed()
    return Amended(eta, **options)


def _neumann_plus(hessian: Matrix, slope: Matrix, gamma: Scalar, steps: int) -> Matrix:
    expansion = identity(hessian.shape[0]) + gamma * hessian
    term: Matrix = gamma * slope
    total = term
    for _ in range(steps):
        term = expansion @ term
        total = total + term
    return total


def _landweber_ascent(hessian: Matrix, slope: Matrix, eta: Scalar, steps: int) -> Matrix:
    q: Matrix = 0 * slope
    for _ in range(steps):
        q = q + eta * (hessian @ (slope + hessian @ q))
    return q


def _richardson(hessian: Matrix, slope: Matrix, eta: Scalar, steps: int) -> Matrix:
    q: Matrix = 0 * slope
    for _ in range(steps):
        q = q + eta * (slope - hessian @ q)
    return q


def _one_order(hessian: Matrix, mixed: Matrix) -> Matrix:
    gram = mixed.T @ mixed
    form: Matrix = hessian @ gram + gram @ hessian
    return form


def _commutator(hessian: Matrix, mixed: Matrix) -> Matrix:
    gram, squared = mixed.T @ mixed, hessian @ hessian
    form: Matrix = squared @ gram - gram @ squared
    return form


def _multiplied(gradient: Gradient, omega: Matrix, direction: Matrix, step: Scalar) -> Matrix:
    rise = gradient(omega + step * direction) - gradient(omega - step * direction)
    return rise.map(lambda x: x * 2 * step)


def _undivided(gradient: Gradient, omega: Matrix, direction: Matrix, step: Scalar) -> Matrix:
    rise = gradient(omega + step * direction) - gradient(omega - step * direction)
    return rise.map(lambda x: x / step)


def _one_sided(gradient: Gradient, omega: Matrix, direction: Matrix, step: Scalar) -> Matrix:
    rise = gradient(omega + step * direction) - gradient(omega)
    return rise.map(lambda x: x / step)


def _largest(hessian: Any, start: Any) -> float:
    return -lowest_curvature(-hessian, start)


def _ordered_pairs(nodes: int, operations: int, kept: int = 2) -> int:
    count = 1
    for j in range(nodes):
        count *= perm(j + 2, kept) * operations**kept
    return count


MUTANTS: tuple[Mutant, ...] = (
    Mutant("implicit", "sign", lambda h, b, v: b @ h.inverse() @ v),
    Mutant("implicit", "H for H⁻¹", lambda h, b, v: -(b @ h @ v)),
    Mutant(
        "implicit", "B transposed where square", lambda h, b, v: right.implicit(h, turned(b), v)
    ),
    Mutant("response", "sign", lambda h, b: -right.response(h, b)),
    Mutant("response", "B transposed where square", lambda h, b: right.response(h, turned(b))),
    Mutant("chain", "Jacobian not transposed", lambda g, j, v: g + turned(j.T) @ v),
    Mutant("chain", "minus for plus", lambda g, j, v: g - j.T @ v),
    Mutant("amended", "sign", lambda h, b, v, eta: -right.amended(h, b, v, eta)),
    Mutant("amended", "H⁻¹ for H", lambda h, b, v, eta: -eta * (b @ h.inverse() @ v)),
    Mutant("amended", "η² for η", lambda h, b, v, eta: right.amended(h, b, v, eta * eta)),
    Mutant("amended", "H² for H", lambda h, b, v, eta: right.amended(h @ h, b, v, eta)),
    Mutant("amended", "H dropped", lambda h, b, v, eta: -eta * (b @ v)),
    Mutant(
        "amended",
        "B transposed where square",
        lambda h, b, v, eta: right.amended(h, turned(b), v, eta),
    ),
    Mutant("darts", "sign", lambda b, v, xi: xi * (b @ v)),
    Mutant("darts", "ξ² for ξ", lambda b, v, xi: -xi * xi * (b @ v)),
    Mutant("neumann", "I + γH for I − γH", _neumann_plus),
    Mutant("neumann", "one term too many", lambda h, v, g, k: right.neumann(h, v, g, k + 1)),
    Mutant("neumann", "leading γ dropped", lambda h, v, g, k: (1 / g) * right.neumann(h, v, g, k)),
    Mutant("landweber", "residual v + Hq", _landweber_ascent),
    Mutant("landweber", "H in front dropped", _richardson),
    Mutant("angle_form", "HA + AH for H²A + AH²", _one_order),
    Mutant("angle_form", "minus for plus", _commutator),
    Mutant(
        "mean_amended_over_slopes", "σ⁴ for σ²", lambda b, eta, s: s * s * eta * (b.T @ b).trace()
    ),
    Mutant(
        "mean_amended_over_slopes", "factor 2", lambda b, eta, s: 2 * eta * s * (b.T @ b).trace()
    ),
    Mutant(
        "mean_darts_over_slopes", "H for H⁻¹", lambda h, b, xi, s: xi * s * (b @ h @ b.T).trace()
    ),
    Mutant("mean_amended_over_mixed", "m dropped", lambda v, m, eta: eta * (v.T @ v)[0, 0]),
    Mutant("wrong_sign_share", "½ dropped", lambda c, m: 2 * right.wrong_sign_share(c, m)),
    Mutant("wrong_sign_share", "m + 2 for m", lambda c, m: right.wrong_sign_share(c, m + 2)),
    Mutant("wrong_sign_share", "cos² for cos", lambda c, m: right.wrong_sign_share(c * c, m)),
    Mutant(
        "wrong_sign_share",
        "two rows fewer for odd m ≥ 7",
        lambda c, m: right.wrong_sign_share(c, m - 2 if m % 2 and m >= 7 else m),
    ),
    Mutant("wrong_sign_floor", "2β for β", lambda c, s, b: right.wrong_sign_floor(c, s, 2 * b)),
    Mutant(
        "wrong_sign_floor",
        "false where β = π, m = 1",
        lambda c, s, b: right.wrong_sign_floor(c, s, b * (1.01 if b > 3 else 1)),
    ),
    Mutant("wrong_sign_tail", "m dropped", lambda s, m, b: s**m / b),
    Mutant(
        "wrong_sign_tail",
        "false at m = 1",
        lambda s, m, b: right.wrong_sign_tail(s, m, b) * (1.1 if m == 1 else 1),
    ),
    Mutant("log_convexity", "m₋₁m₂² for m₋₁²m₂", lambda a, b, c: a * c**2 - b**3),
    Mutant("log_convexity", "m₀² for m₀³", lambda a, b, c: a**2 * c - b**2),
    Mutant("darts_cosine_floor", "κ for √κ", lambda k: 2 * k / (k**2 + 1)),
    Mutant("darts_cosine_floor", "2 dropped", lambda k: root(k) / (k + 1)),
    Mutant("amended_cosine_floor", "√κ for κ", lambda k: 2 * root(k) / (k + 1)),
    Mutant("amended_cosine_floor", "κ² for κ² + 1", lambda k: 2 * k / k**2),
    Mutant("gustafson_slack", "κ_H for κ_H²", lambda a, k: 2 * k / (k + 1) - (a - 1) / (a + 1)),
    Mutant("gustafson_slack", "sign", lambda a, k: -right.gustafson_slack(a, k)),
    Mutant("certificate_radius_squared", "μ for μ²", lambda n, r, mu: n * r / mu),
    Mutant("certificate_radius_squared", "times μ²", lambda n, r, mu: n * r * mu**2),
    Mutant("certificate_radius_squared", "‖B‖ dropped", lambda n, r, mu: r / mu**2),
    Mutant("certified_error", "plus for minus", lambda n, d: d / (n + d)),
    Mutant("certified_error", "δ/‖Bq‖", lambda n, d: d / n),
    Mutant("own_share", "(c − 1)/2c", lambda c: (c - 1) / (2 * c)),
    Mutant("own_share", "inverted", lambda c: (c + 1) / (c - 1)),
    Mutant("slope_share", "that of m = 1", lambda k: right.own_share(k)),
    Mutant("slope_share", "factor 2 for 4", lambda k: right.slope_share(k) / 2),
    Mutant(
        "slope_share",
        "valid up to κ = 49",
        lambda k: (
            4 * root(root(k)) * (root(k) - 1) / (root(k) + 1) ** 2
            if k < 49
            else right.slope_share(k)
        ),
    ),
    Mutant("one_row_share", "5 % lower", lambda k: Fraction(19, 20) * right.own_share(k)),
    Mutant("best_share", "T_{K+1} for T_K", lambda k, d: right.best_share(k, d + 1)),
    Mutant("best_share", "κ² for κ", lambda k, d: right.best_share(k * k, d)),
    Mutant("landweber_share", "κ for κ²", lambda k, s: right.own_share(k) ** s),
    Mutant(
        "landweber_share",
        "min for max of the residual",
        lambda k, s: right.landweber_share(k, s + 1),
    ),
    Mutant(
        "landweber_share",
        "odd K ≥ 3 treated as even",
        lambda k, s: (
            right.landweber_share(k, s)
            if s < 3
            else right.own_share(k**2) ** s / (2 - right.own_share(k**2) ** s)
        ),
    ),
    Mutant("energy_bound", "1.7 for 2", lambda k, s: Fraction(17, 20) * right.energy_bound(k, s)),
    Mutant("energy_bound", "K + 1 for K", lambda k, s: right.energy_bound(k, s + 1)),
    Mutant(
        "euclidean_bound",
        "1.1 for √κ",
        lambda k, s: Fraction(11, 10) * right.energy_bound(k, s),
    ),
    Mutant("alternating_limit", "2 dropped", lambda x: 4 / x),
    Mutant("alternating_limit", "half", lambda x: (4 / x - 2) / 2),
    Mutant("form_eigenvalues", "X for Y", lambda x, y: form_eigenvalues(x, x)),
    Mutant("form_eigenvalues", "half of them", lambda x, y: form_eigenvalues(x, y)[::2]),
    Mutant(
        "negative_probability",
        "two degrees of freedom for one",
        lambda values: negative_probability(np.repeat(values, 2)),
    ),
    Mutant("negative_probability", "tail", lambda values: 1 - negative_probability(values)),
    Mutant("hessian_difference", "times ε for divided by ε", _multiplied),
    Mutant("hessian_difference", "2 of 2ε dropped", _undivided),
    Mutant("hessian_difference", "one-sided", _one_sided),
    Mutant("mixed_difference", "times ε for divided by ε", _multiplied),
    Mutant("mixed_difference", "2 of 2ε dropped", _undivided),
    Mutant("mixed_difference", "one-sided", _one_sided),
    Mutant("cell_choices", "ordered pairs", _ordered_pairs),
    Mutant(
        "cell_choices",
        "8 operations, none included",
        lambda nodes, operations: right.cell_choices(nodes, operations + 1),
    ),
    Mutant("exact_estimator", "H for H⁻¹", NoInverse),
    Mutant("amended_estimator", "sign", WrongSign),
    Mutant("amended_estimator", "H² for H", HessianTwice),
    Mutant("amended_estimator", "η² for η", lambda eta, **o: Amended(eta * eta, **o)),
    Mutant("amended_estimator", "a difference without its 2", _amended_with_bad_differences),
    Mutant("identity_estimator", "η² for η", lambda eta: Identity(eta * eta)),
    Mutant("darts_estimator", "factor 2", lambda xi: DartsSecondOrder(2 * xi)),
    Mutant("neumann_estimator", "one term less", lambda terms, step: Neumann(terms - 1, step)),
    Mutant("landweber_estimator", "one step less", lambda terms, step: Landweber(terms - 1, step)),
    Mutant("network_difference", "2 of 2ε dropped in B", UndividedMixed),
    Mutant("network_difference", "sign of H", Turned),
    Mutant("network_difference", "step 10r for r", lambda step: CentralDifference(step=10 * step)),
    Mutant("network_term", "sign", lambda dense: -dense.implicit()),
    Mutant("network_term", "H for H⁻¹", lambda dense: -dense.mixed @ dense.hessian @ dense.slope),
    Mutant("network_term", "damped by λ = 0.01", lambda dense: dense.implicit(0.01)),
    Mutant("lowest_curvature", "largest eigenvalue", _largest),
    Mutant("lowest_curvature", "smallest of −H", lambda h, start: lowest_curvature(-h, start)),
)


Users = dict[str, set[tuple[str, str]]]  # formula -> (claim id, evidence label) that use it


def verify_and_trace() -> tuple[tuple[Verified, ...], Users]:
    """The ledger verified with everything right, and who used which formula meanwhile."""
    called: set[str] = set()
    users: Users = {}
    results = []
    for claim in all_claims(traced(FORMULAS, called)):
        outcomes = []
        for evidence in claim.evidence:
            called.clear()
            outcomes.append(evidence.verify())
            for name in called:
                users.setdefault(name, set()).add((claim.id, evidence.label))
        results.append(Verified(claim, tuple(outcomes)))
    return tuple(results), users


@dataclass(frozen=True)
class Catch:
    """A claim that noticed a mutant, and the evidence that did."""

    claim: str
    evidence: str
    kind: str


def hunt(mutant: Mutant, used_by: Users, *, enough: int = 3) -> tuple[Catch, ...]:
    """The first `enough` claims that notice the mutant; a solver that gave up has not."""
    catches: list[Catch] = []
    at = used_by.get(mutant.formula, set())
    for claim in all_claims(mutant.formulas()):
        for evidence in _in_order(claim.evidence):
            if (claim.id, evidence.label) in at:
                outcome = evidence.verify()
                if not outcome.passed and not outcome.undecided:
                    catches.append(Catch(claim.id, evidence.label, evidence.kind))
                    break
        if len(catches) == enough:
            break
    return tuple(catches)


def _in_order(evidence: Sequence[Evidence]) -> list[Evidence]:
    hunters = [piece for piece in evidence if isinstance(piece, HUNTERS)]
    return sorted(hunters, key=lambda piece: HUNTERS.index(type(piece)))


def hunt_all(used_by: Users) -> dict[Mutant, tuple[Catch, ...]]:
    return {mutant: hunt(mutant, used_by) for mutant in MUTANTS}


def mutant_table(catches: dict[Mutant, tuple[Catch, ...]]) -> str:
    """The appendix of docs/LEDGER.md."""
    lines = [
        "## Planted errors",
        "",
        f"Each of these {len(catches)} errors was put in place of one formula. The last column has",
        "the first three claims that then failed to verify, and the evidence that broke.",
        "",
        "| formula | planted error | caught by |",
        "|---|---|---|",
    ]
    for mutant, found in catches.items():
        by = "; ".join(f"{c.claim} ({c.evidence})" for c in found) or "**not caught**"
        by = by.replace("|", "\\|")
        lines.append(f"| `{mutant.formula}` | {mutant.error} | {by} |")
    return "\n".join(lines) + "\n"

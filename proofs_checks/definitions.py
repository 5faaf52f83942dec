"""The formulas under test, in one place, so that a planted error can stand in for any of them.

Every claim is built from a `Formulas` value, `claims(formulas)`, and takes its formulas from
there and nowhere else. `mutants.py` swaps one of them for a wrong one and expects some evidence
to fail.
All are exact: they take `rational.Matrix` over fractions, SymPy expressions or z3 reals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import wraps
from math import acos, comb, pi, sqrt
from typing import Any

from torch import Tensor

from bilevel.derivatives import CentralDifference
from bilevel.estimators import (
    Amended,
    DartsSecondOrder,
    Estimator,
    Exact,
    Identity,
    Landweber,
    Neumann,
)
from proofs_checks.dense_terms import DenseTerms
from proofs_checks.gaussian_form import form_eigenvalues, negative_probability
from proofs_checks.network_formulas import lowest_curvature, network_term
from proofs_checks.rational import Matrix, Scalar, identity, root

Gradient = Callable[[Matrix], Matrix]  # a gradient of L_train as a function of ω, α held fixed


def implicit(hessian: Matrix, mixed: Matrix, slope: Matrix) -> Matrix:
    """g₂ = −B H⁻¹ v (Eq. 5)."""
    return -(mixed @ hessian.inverse() @ slope)


def response(hessian: Matrix, mixed: Matrix) -> Matrix:
    """∂ω*/∂α = −H⁻¹ Bᵀ, an n×m matrix (the implicit function theorem, Eq. 4)."""
    return -(hessian.inverse() @ mixed.T)


def chain(direct: Matrix, jacobian: Matrix, slope: Matrix) -> Matrix:
    """∇Φ = ∇_α L_val + (∂ω*/∂α)ᵀ ∇_ω L_val (Eq. 2)."""
    return direct + jacobian.T @ slope


def amended(hessian: Matrix, mixed: Matrix, slope: Matrix, eta: Scalar) -> Matrix:
    """g₂′ = −η B H v (Eq. 6)."""
    estimate: Matrix = -eta * (mixed @ hessian @ slope)
    return estimate


def darts(mixed: Matrix, slope: Matrix, xi: Scalar) -> Matrix:
    """DARTS second order, idealised: −ξ B v."""
    estimate: Matrix = -xi * (mixed @ slope)
    return estimate


def neumann(hessian: Matrix, slope: Matrix, gamma: Scalar, steps: int) -> Matrix:
    """q = γ Σ_{j≤K} (I − γH)ʲ v: K Richardson steps after the start γv."""
    contraction = identity(hessian.shape[0]) - gamma * hessian
    term: Matrix = gamma * slope
    total = term
    for _ in range(steps):
        term = contraction @ term
        total = total + term
    return total


def landweber(hessian: Matrix, slope: Matrix, eta: Scalar, steps: int) -> Matrix:
    """K steps q ← q + ηH(v − Hq) from q = 0; the first is the amended ηHv."""
    q: Matrix = 0 * slope
    for _ in range(steps):
        q = q + eta * (hessian @ (slope - hessian @ q))
    return q


def angle_form(hessian: Matrix, mixed: Matrix) -> Matrix:
    """S = H²A + AH², A = BᵀB (T1): ⟨g₂′, g₂⟩ = (η/2) uᵀSu at v = Hu."""
    gram = mixed.T @ mixed
    squared = hessian @ hessian
    return squared @ gram + gram @ squared


def mean_amended_over_slopes(mixed: Matrix, eta: Scalar, variance: Scalar) -> Scalar:
    """E⟨g₂′, g₂⟩ = ησ²‖B‖_F² over v with E[vvᵀ] = σ²I (T3a)."""
    return eta * variance * (mixed.T @ mixed).trace()


def mean_darts_over_slopes(hessian: Matrix, mixed: Matrix, xi: Scalar, variance: Scalar) -> Scalar:
    """E⟨ξBv, BH⁻¹v⟩ = ξσ² tr(BH⁻¹Bᵀ) over v with E[vvᵀ] = σ²I (T3a)."""
    return xi * variance * (mixed @ hessian.inverse() @ mixed.T).trace()


def mean_amended_over_mixed(slope: Matrix, rows: int, eta: Scalar) -> Scalar:
    """E⟨g₂′, g₂⟩ = ηm‖v‖² over B with independent N(0, 1) entries (T3b)."""
    return eta * rows * (slope.T @ slope)[0, 0]


def wrong_sign_share(cosine: Scalar, rows: int) -> Scalar:
    """P(⟨Bx, By⟩ < 0) = ½ I_{sin²θ}(m/2, ½) for B with m rows of N(0, 1) entries (T3d).

    θ = ∠(x, y). It is P(T_m > √m cot θ) with Student's T of m degrees of freedom; θ/π for m = 1.
    By I_x(a + 1, ½) = I_x(a, ½) − xᵃ√(1 − x)/(a B(a, ½)): rational for even m and rational cos θ.
    """
    sine_squared = 1 - cosine**2
    if rows % 2 == 0:
        start: tuple[Scalar, ...] = (Fraction(1), Fraction(2), sine_squared, 1 - cosine)
    else:
        start = (Fraction(1, 2), pi, sqrt(sine_squared), 2 * acos(cosine) / pi)
    a, beta, power, value = start
    while 2 * a < rows:
        value -= power * cosine / (a * beta)
        a, beta, power = a + 1, beta * a / (a + Fraction(1, 2)), power * sine_squared
    return value / 2


def wrong_sign_floor(cosine: Scalar, sine: Scalar, beta: Scalar) -> Scalar:
    """½ − cot θ/β, β = B(m/2, ½): `wrong_sign_share` is no smaller (T3d)."""
    return Fraction(1, 2) - cosine / sine / beta


def wrong_sign_tail(sine: Scalar, rows: int, beta: Scalar) -> Scalar:
    """sinᵐθ/(mβ): `wrong_sign_share` lies between this and this over cos θ (T3d)."""
    return sine**rows / (rows * beta)


def log_convexity(minus_one: Scalar, zero: Scalar, two: Scalar) -> Scalar:
    """m₋₁² m₂ − m₀³ ≥ 0 for the moments m_k = vᵀHᵏv of H ≻ 0 (T4)."""
    return minus_one**2 * two - zero**3


def darts_cosine_floor(condition: Fraction) -> Fraction:
    """2√κ/(κ + 1): the least cos∠(v, H⁻¹v) (Kantorovich, T4)."""
    return 2 * root(condition) / (condition + 1)


def amended_cosine_floor(condition: Fraction) -> Fraction:
    """2κ/(κ² + 1): the least cos∠(Hv, H⁻¹v) (T4)."""
    return 2 * condition / (condition**2 + 1)


def gustafson_slack(gram_condition: Scalar, condition: Scalar) -> Scalar:
    """2κ_H/(κ_H² + 1) − (κ_A − 1)/(κ_A + 1): Eq. 7 holds where this is ≥ 0 (T2e)."""
    return 2 * condition / (condition**2 + 1) - (gram_condition - 1) / (gram_condition + 1)


def certificate_radius_squared(
    mixed_norm_squared: Scalar, residual_squared: Scalar, lowest: Scalar
) -> Scalar:
    """δ² with δ = ‖B‖‖r‖/μ: no further than δ is Bq from BH⁻¹v (T6)."""
    return mixed_norm_squared * residual_squared / lowest**2


def certified_error(norm: Scalar, radius: Scalar) -> Scalar:
    """δ/(‖Bq‖ − δ): the relative error of g₂ that T6 certifies."""
    return radius / (norm - radius)


def own_share(condition: Scalar) -> Scalar:
    """(c − 1)/(c + 1): ‖Bx‖ above this share of ‖B‖‖x‖ gives ⟨Bx, BMx⟩ > 0, cond M = c (T10a)."""
    return (condition - 1) / (condition + 1)


def slope_share(condition: Fraction) -> Fraction:
    """4κ^¼(√κ − 1)/(√κ + 1)²: ‖Bv‖ above this share of ‖B‖‖v‖ gives ⟨BHv, BH⁻¹v⟩ > 0 (T10c).

    It reaches 1 at κ = (3 + 2√2)²; from there on no share is enough, and 1 is returned.
    """
    half = root(condition)
    if 2 * (half - 1) ** 2 >= (half + 1) ** 2:
        return Fraction(1)
    return 4 * root(half) * (half - 1) / (half + 1) ** 2


def one_row_share(condition: Scalar) -> Scalar:
    """(κ − 1)/(κ + 1): what `slope_share` is for m = 1 (T10c)."""
    return own_share(condition)


def best_share(condition: Scalar, degree: int) -> Scalar:
    """1/T_K((κ + 1)/(κ − 1)): the least share any q = p(H)v, deg p < K, can be safe for (T11)."""
    x = (condition + 1) / (condition - 1)
    before, now = Fraction(1), x
    for _ in range(degree - 1):
        before, now = now, 2 * x * now - before
    return 1 / now


def landweber_share(condition: Scalar, steps: int) -> Scalar:
    """The share that K Landweber steps at η = 2/(μ² + L²) need, ρ = (κ² − 1)/(κ² + 1) (T11).

    ρᴷ/(2 − ρᴷ) for even K, where the residual polynomial is ≥ 0, and ρᴷ for odd K.
    """
    left = own_share(condition**2) ** steps
    return left / (2 - left) if steps % 2 == 0 else left


def energy_bound(root: Scalar, steps: int) -> Scalar:
    """2((√κ − 1)/(√κ + 1))ᴷ: of CG's relative error in the energy norm, given √κ (T8c)."""
    return 2 * ((root - 1) / (root + 1)) ** steps


def euclidean_bound(root: Scalar, steps: int) -> Scalar:
    """2√κ((√κ − 1)/(√κ + 1))ᴷ: of CG's relative error in the Euclidean norm (T8c)."""
    return root * energy_bound(root, steps)


def alternating_limit(scaled_step: Scalar) -> Scalar:
    """4/(sL) − 2: alternating steps converge while tη‖B‖² is below it (T15a)."""
    return 4 / scaled_step - 2


def hessian_difference(
    gradient: Gradient, omega: Matrix, direction: Matrix, step: Scalar
) -> Matrix:
    """(∇_ωF(ω + εv) − ∇_ωF(ω − εv))/2ε ≈ Hv (A.2)."""
    rise = gradient(omega + step * direction) - gradient(omega - step * direction)
    return rise.map(lambda x: x / (2 * step))


def mixed_difference(gradient: Gradient, omega: Matrix, direction: Matrix, step: Scalar) -> Matrix:
    """(∇_αF(ω + εu) − ∇_αF(ω − εu))/2ε ≈ Bu (A.2): the gradient is that of L_train."""
    rise = gradient(omega + step * direction) - gradient(omega - step * direction)
    return rise.map(lambda x: x / (2 * step))


def cell_choices(nodes: int, operations: int, kept: int = 2) -> int:
    """Π over nodes j of C(j + 2, kept) · operations^kept: the cells of one kind (§4.1.3)."""
    count = 1
    for j in range(nodes):
        count *= comb(j + 2, kept) * operations**kept
    return count


@dataclass(frozen=True)
class Formulas:
    """Every formula a claim may use. `FORMULAS` has them right; a mutant has one wrong.

    The last nine are the code's own: what `bilevel` computes is a formula under test as well, and
    so is what the checks on networks repeat each time.
    """

    implicit: Callable[..., Matrix] = implicit
    response: Callable[..., Matrix] = response
    chain: Callable[..., Matrix] = chain
    amended: Callable[..., Matrix] = amended
    darts: Callable[..., Matrix] = darts
    neumann: Callable[..., Matrix] = neumann
    landweber: Callable[..., Matrix] = landweber
    angle_form: Callable[..., Matrix] = angle_form
    mean_amended_over_slopes: Callable[..., Scalar] = mean_amended_over_slopes
    mean_darts_over_slopes: Callable[..., Scalar] = mean_darts_over_slopes
    mean_amended_over_mixed: Callable[..., Scalar] = mean_amended_over_mixed
    wrong_sign_share: Callable[..., Scalar] = wrong_sign_share
    wrong_sign_floor: Callable[..., Scalar] = wrong_sign_floor
    wrong_sign_tail: Callable[..., Scalar] = wrong_sign_tail
    log_convexity: Callable[..., Scalar] = log_convexity
    darts_cosine_floor: Callable[..., Scalar] = darts_cosine_floor
    amended_cosine_floor: Callable[..., Scalar] = amended_cosine_floor
    gustafson_slack: Callable[..., Scalar] = gustafson_slack
    certificate_radius_squared: Callable[..., Scalar] = certificate_radius_squared
    certified_error: Callable[..., Scalar] = certified_error
    own_share: Callable[..., Scalar] = own_share
    slope_share: Callable[..., Scalar] = slope_share
    one_row_share: Callable[..., Scalar] = one_row_share
    best_share: Callable[..., Scalar] = best_share
    landweber_share: Callable[..., Scalar] = landweber_share
    energy_bound: Callable[..., Scalar] = energy_bound
    euclidean_bound: Callable[..., Scalar] = euclidean_bound
    alternating_limit: Callable[..., Scalar] = alternating_limit
    hessian_difference: Callable[..., Matrix] = hessian_difference
    mixed_difference: Callable[..., Matrix] = mixed_difference
    cell_choices: Callable[..., int] = cell_choices
    form_eigenvalues: Callable[..., Any] = form_eigenvalues
    negative_probability: Callable[..., float] = negative_probability
    exact_estimator: Callable[[], Estimator] = Exact
    identity_estimator: Callable[[float], Estimator] = Identity
    darts_estimator: Callable[[float], Estimator] = DartsSecondOrder
    amended_estimator: Callable[..., Estimator] = Amended
    neumann_estimator: Callable[..., Estimator] = Neumann
    landweber_estimator: Callable[..., Estimator] = Landweber
    network_difference: Callable[..., CentralDifference] = CentralDifference
    network_term: Callable[[DenseTerms], Tensor] = network_term
    lowest_curvature: Callable[..., float] = lowest_curvature


FORMULAS = Formulas()


def traced(formulas: Formulas, called: set[str]) -> Formulas:
    """The same formulas, each of which adds its name to `called` when it is used."""

    def watch(name: str, formula: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(formula)
        def watched(*args: Any, **kwargs: Any) -> Any:
            called.add(name)
            return formula(*args, **kwargs)

        return watched

    return replace(
        formulas, **{f.name: watch(f.name, getattr(formulas, f.name)) for f in fields(formulas)}
    )

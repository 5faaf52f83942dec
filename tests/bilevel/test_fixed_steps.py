"""Series and unrolled loops: which are one another, at what rate they fall, what they say."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bilevel import CentralDifference, Vector, relative_error
from bilevel.estimators import (
    Amended,
    DartsSecondOrder,
    Exact,
    Identity,
    Landweber,
    Neumann,
    NotConverged,
    NotPositiveDefinite,
    Penalty,
    Status,
    Unrolled,
)
from tests.quadratics import (
    QuadraticCase,
    nested,
    quadratic,
    random_quadratic,
    scalar,
    spectrum,
    with_spectrum,
)

seeds = st.integers(0, 2**31 - 1)
every_case = pytest.mark.parametrize("make", [nested, scalar, random_quadratic])
f64 = torch.float64


def error_of_q(estimator: Any, case: QuadraticCase) -> float:
    truth = torch.linalg.solve(case.hessian, case.outer_gradient)
    return relative_error(estimator(case.problem, *case.point).solve.value.flat(), truth)


@every_case
@pytest.mark.parametrize("derivatives", [None, CentralDifference()], ids=["exact", "difference"])
@given(seed=seeds, eta=st.floats(1e-3, 10.0))
def test_amended_is_landweber_with_one_term_bit_for_bit(
    make: Any, derivatives: Any, seed: int, eta: float
) -> None:
    case, options = make(seed), {} if derivatives is None else {"derivatives": derivatives}
    amended = Amended(eta, **options)(case.problem, *case.point)
    landweber = Landweber(1, eta, stationary=None, **options)(case.problem, *case.point)
    assert landweber.solve is not None
    assert (landweber.solve.products, landweber.solve.status) == (1, Status.TRUNCATED)
    for term in ("direct", "implicit"):
        pair = (Vector.of(getattr(h, term)).flat() for h in (amended, landweber))
        assert torch.equal(*pair)


@every_case
@given(seed=seeds, eta=st.floats(1e-3, 10.0))
def test_identity_is_the_neumann_series_without_powers_bit_for_bit(
    make: Any, seed: int, eta: float
) -> None:
    case = make(seed)
    identity = Identity(eta)(case.problem, *case.point).implicit
    neumann = Neumann(0, eta, stationary=None)(case.problem, *case.point)
    assert torch.equal(Vector.of(identity).flat(), Vector.of(neumann.implicit).flat())
    assert neumann.solve is not None
    assert neumann.solve.products == 0


@every_case
@given(seed=seeds, xi=st.floats(1e-3, 0.3))
def test_darts_is_one_unrolled_step(make: Any, seed: int, xi: float) -> None:
    case = make(seed)
    darts = DartsSecondOrder(xi)(case.problem, *case.point).total
    unrolled = Unrolled(1, xi)(case.problem, *case.point).total
    assert relative_error(unrolled, darts) < 1e-12


@given(seed=seeds, steps=st.integers(1, 12), strength=st.floats(0.1, 1e4))
def test_unrolling_at_the_minimum_and_the_penalty_are_the_neumann_series(
    seed: int, steps: int, strength: float
) -> None:
    """For a quadratic at its minimum and a linear outer loss: T steps are T terms."""
    case = random_quadratic(seed)
    neumann = Neumann(steps - 1, 0.1)(case.problem, *case.point).implicit
    unrolled = Unrolled(steps, 0.1)(case.problem, *case.point).implicit
    penalty = Penalty(strength, steps, 0.1)(case.problem, *case.point).implicit
    assert relative_error(unrolled, neumann) < 1e-11
    assert relative_error(penalty, neumann) < 1e-9


def test_truncated_unrolling_at_the_minimum_is_the_shorter_series() -> None:
    case = random_quadratic(4)
    truncated = Unrolled(9, 0.1, last=3)(case.problem, *case.point).implicit
    neumann = Neumann(2, 0.1)(case.problem, *case.point).implicit
    assert relative_error(truncated, neumann) < 1e-12


def test_penalty_error_falls_in_proportion_to_its_strength() -> None:
    """F²SA: a bias of O(1/λ), here with a curved outer loss and an inner problem solved to rest."""
    case = scalar(3)
    omega = case.omega
    for _ in range(200):
        omega = omega - 0.3 * case.problem.inner_gradient(Vector.of(omega), Vector.of(case.alpha))[
            1
        ].flat().reshape(())
    truth = Exact()(case.problem, omega, case.alpha).total
    errors = [
        relative_error(Penalty(strength, 200, 0.3)(case.problem, omega, case.alpha).total, truth)
        for strength in (100.0, 200.0, 400.0)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("kappa", [3.0, 30.0, 300.0])
def test_neumann_error_falls_by_one_minus_step_times_mu(kappa: float) -> None:
    """T8: at most (1 − γμ)^(K+1) with γ = 1/L, and exactly that in the slowest direction."""
    case = with_spectrum(1, torch.linspace(1, kappa, 3))
    for terms in (1, 10, 100):
        bound = (1 - 1 / kappa) ** (terms + 1)
        assert error_of_q(Neumann(terms, 1 / kappa), case) <= bound * (1 + 1e-9) + 1e-13
    late = [error_of_q(Neumann(k, 1 / kappa), case) for k in (int(5 * kappa), int(5 * kappa) + 1)]
    assert late[1] / late[0] == pytest.approx(1 - 1 / kappa, rel=1e-3)


@pytest.mark.parametrize("signs", ["definite", "indefinite"])
@pytest.mark.parametrize("kappa", [2.0, 8.0])
def test_landweber_error_falls_by_one_minus_step_times_mu_squared(kappa: float, signs: str) -> None:
    """T8: at most (1 − ημ²)^K with η = 1/L², whatever the signs of the eigenvalues."""
    eigenvalues = torch.linspace(1, kappa, 3)
    if signs == "indefinite":
        eigenvalues[::2] *= -1
    case = with_spectrum(2, eigenvalues)
    for terms in (1, 10, 50):
        bound = (1 - 1 / kappa**2) ** terms
        assert error_of_q(Landweber(terms, 1 / kappa**2), case) <= bound * (1 + 1e-9) + 1e-13
    k = int(5 * kappa**2)
    late = [error_of_q(Landweber(terms, 1 / kappa**2), case) for terms in (k, k + 1)]
    assert late[1] / late[0] == pytest.approx(1 - 1 / kappa**2, rel=1e-3)


@pytest.mark.parametrize("method", [Neumann, Landweber])
@given(seed=seeds, kappa=st.sampled_from([2.0, 10.0, 1e3]))
def test_an_estimated_step_is_said_and_never_too_long(method: Any, seed: int, kappa: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    n = int(torch.randint(1, 40, (), generator=generator))
    case = with_spectrum(seed, spectrum(n, kappa, generator))
    solve = method(20)(case.problem, *case.point).solve
    largest = float(torch.linalg.eigvalsh(case.hessian)[-1])
    assert solve.status in (Status.TRUNCATED, Status.CONVERGED)  # converged where n = 1
    assert f"estimated by {min(n, 10)} products" in solve.note
    step = float(solve.note.split()[1])
    length = step if method is Neumann else step**0.5
    # no longer than 2/L, and no shorter than a third of 1/L
    assert 0.33 / largest < length < 2 / largest
    if n > 1:
        assert solve.products == min(n, 10) + (20 if method is Neumann else 39)


@pytest.mark.parametrize(("method", "limit"), [(Neumann, 2 / 9), (Landweber, 2 / 81)])
def test_a_step_that_is_too_long_is_reported_with_its_limit(method: Any, limit: float) -> None:
    case = with_spectrum(3, [1.0, 3.0, 9.0])
    with pytest.warns(NotConverged, match=f"{method.__name__}: the residual grew.*too long"):
        solve = method(30, 1.5 * limit)(case.problem, *case.point).solve
    assert solve.status is Status.DIVERGED
    with pytest.raises(NotConverged):
        method(30, 1.5 * limit, strict=True)(case.problem, *case.point)
    solve = method(30, 0.9 * limit)(case.problem, *case.point).solve
    assert solve.status is Status.TRUNCATED


def test_a_series_that_runs_away_stops_before_it_overflows() -> None:
    case = with_spectrum(3, [1.0, 3.0, 9.0])
    with pytest.warns(NotConverged):
        result = Neumann(10_000, 100.0)(case.problem, *case.point)
    assert result.solve is not None
    assert result.solve.products < 20
    assert torch.isfinite(result.implicit).all()


def test_neumann_says_that_the_hessian_is_not_positive_definite() -> None:
    case = with_spectrum(3, [-1.0, 3.0, 9.0])
    with pytest.warns(NotPositiveDefinite, match="curvature pᵀHp/pᵀp = -"):
        solve = Neumann(200, 0.1)(case.problem, *case.point).solve
    assert solve is not None
    assert solve.status is Status.NEGATIVE_CURVATURE
    # Landweber does not mind
    assert Landweber(200, 0.01)(case.problem, *case.point).solve.status is Status.TRUNCATED  # type: ignore[union-attr]


@pytest.mark.parametrize("method", [Neumann, Landweber])
def test_with_a_tolerance_the_residual_is_that_of_the_value(method: Any) -> None:
    case = with_spectrum(5, [1.0, 2.0, 4.0])
    solve = method(2000, tolerance=1e-8)(case.problem, *case.point).solve
    remainder = case.outer_gradient - case.hessian @ solve.value.flat()
    assert solve.status is Status.CONVERGED
    assert float(remainder.norm() / case.outer_gradient.norm()) == pytest.approx(
        solve.residual, rel=1e-4
    )
    assert solve.residual <= 1e-8
    with pytest.warns(NotConverged, match=r"residual .* after \d products"):
        short = method(3, tolerance=1e-8)(case.problem, *case.point).solve
    remainder = case.outer_gradient - case.hessian @ short.value.flat()
    assert short.residual == pytest.approx(float(remainder.norm() / case.outer_gradient.norm()))


@pytest.mark.parametrize(("method", "step"), [(Neumann, 0.2), (Landweber, 0.05)])
def test_two_short_runs_with_a_warm_start_are_one_long_run(method: Any, step: float) -> None:
    case = with_spectrum(6, [1.0, 2.0, 4.0])
    extra = 1 if method is Neumann else 0  # K terms of the series are K + 1 steps
    first = method(4 - extra, step)(case.problem, *case.point).solve.value
    second = method(5 - extra, step, start=first.tree())(case.problem, *case.point).solve
    whole = method(9 - extra, step)(case.problem, *case.point).solve
    assert relative_error(second.value, whole.value) < 1e-12
    with pytest.raises(ValueError, match="start has structure"):
        method(4, step, start={"a": first.flat()})(case.problem, *case.point)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Neumann(-1),
        lambda: Neumann(3, 0.0),
        lambda: Landweber(0),
        lambda: Landweber(3, float("nan")),
        lambda: Neumann(3, tolerance=1.5),
        lambda: Unrolled(0, 0.1),
        lambda: Unrolled(3, -0.1),
        lambda: Unrolled(3, 0.1, last=4),
        lambda: Unrolled(3, 0.1, momentum=-1.0),
        lambda: Penalty(0.0, 3, 0.1),
        lambda: Penalty(1.0, 3, float("inf")),
    ],
)
def test_refuses_parameters_out_of_range(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must|differentiate through|between"):
        make()


def test_the_products_that_the_docstrings_say_make_a_digit_do() -> None:
    """κ = 10, ∇_ω L_val along the smallest eigenvalue: the slowest there is."""
    kappa = 10.0
    case = with_spectrum(0, [1.0, 4.0, kappa])
    slowest = torch.linalg.eigh(case.hessian)[1][:, 0]
    case = quadratic(case.hessian, case.mixed, slowest)
    landweber, neumann = (" ".join(str(kind.__doc__).split()) for kind in (Landweber, Neumann))
    said = re.search(
        r"([\d.]+) κ² products a digit at η = 2/\(μ² \+ L²\), and ([\d.]+) κ² at 1/L²", landweber
    )
    assert said
    for figure, step in zip(said.groups(), (2 / (1 + kappa**2), 1 / kappa**2), strict=True):
        terms = round((float(figure) * kappa**2 + 1) / 2)  # 2K − 1 products
        assert error_of_q(Landweber(terms, step), case) == pytest.approx(0.1, rel=0.03)
    said = re.search(r"([\d.]+) κ products a digit at γ = 2/\(μ \+ L\)", neumann)
    assert said
    digits = 5
    terms = round(digits * float(said[1]) * kappa)
    left = error_of_q(Neumann(terms, 2 / (1 + kappa)), case)
    assert -math.log10(left) / digits == pytest.approx(1, rel=0.08)

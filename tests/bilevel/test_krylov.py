"""CG and MINRES: the right iterate, honest residuals, the known rates, alerts that do not fail."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bilevel import Autograd, BilevelProblem, NonFiniteError, Vector, relative_error
from bilevel.estimators import (
    ConjugateGradient,
    DiagonalPreconditioner,
    HypergradientWarning,
    Minres,
    NotConverged,
    NotPositiveDefinite,
    Nystrom,
    NystromPreconditioner,
    Solve,
    Status,
)
from tests.quadratics import QuadraticCase, quadratic, roundoff, spectrum, with_spectrum

seeds = st.integers(0, 2**31 - 1)
kappas = st.sampled_from([1.0, 10.0, 1e3, 1e5, 1e8])
both = pytest.mark.parametrize("method", [ConjugateGradient, Minres])
f64 = torch.float64


def drawn(seed: int, kappa: float, *, signs: bool = False, largest: int = 12) -> QuadraticCase:
    """H with log-uniform |λ| in [1, κ], both ends included; with `signs`, not all positive."""
    generator = torch.Generator().manual_seed(seed)
    n = int(torch.randint(2, largest + 1, (), generator=generator))
    values = spectrum(n, kappa, generator)
    values[0], values[-1] = 1.0, kappa
    if signs:
        flipped = torch.rand(n, generator=generator) < 0.5
        flipped[int(torch.randint(n, (), generator=generator))] = True
        values = torch.where(flipped, -values, values)
    return with_spectrum(seed + 1, values)


def solve_of(estimator: Any, case: QuadraticCase) -> Solve:
    found = estimator(case.problem, *case.point).solve
    assert found is not None
    return found


def true_residual(case: QuadraticCase, q: Tensor) -> float:
    remainder = case.outer_gradient.double() - case.hessian.double() @ q.double()
    return float(remainder.norm() / case.outer_gradient.double().norm())


def assert_solved(case: QuadraticCase, solve: Solve, tolerance: float) -> None:
    """The residual is as reported and asked for, and the error is what it allows: ‖r‖/μ."""
    q = solve.value.flat()
    truth = torch.linalg.solve(case.hessian, case.outer_gradient)
    mu = float(torch.linalg.eigvalsh(case.hessian).abs().min())
    scale = float(case.outer_gradient.norm() / truth.norm()) / mu
    floor = roundoff(case.hessian)
    assert solve.status is Status.CONVERGED
    assert solve.residual is not None
    assert solve.residual <= tolerance
    assert true_residual(case, q) <= 1.1 * tolerance
    assert relative_error(q, truth) <= solve.residual * scale + 10 * floor


@given(seeds, kappas)
def test_cg_solves_positive_definite_systems_of_any_conditioning(seed: int, kappa: float) -> None:
    case = drawn(seed, kappa)
    # the residual cannot fall below eps·‖H‖‖q‖ ≤ eps·κ·‖v‖ = 2e-8 for κ = 1e8
    tolerance = max(1e-10, 100 * torch.finfo(f64).eps * kappa)
    assert_solved(case, solve_of(ConjugateGradient(1000, tolerance=tolerance), case), tolerance)


@given(seeds, kappas, st.booleans())
def test_minres_solves_systems_of_any_signature_and_conditioning(
    seed: int, kappa: float, signs: bool
) -> None:
    case = drawn(seed, kappa, signs=signs)
    tolerance = max(1e-10, 1000 * torch.finfo(f64).eps * kappa)
    assert_solved(case, solve_of(Minres(1000, tolerance=tolerance), case), tolerance)


@both
@given(seed=seeds, kappa=st.sampled_from([10.0, 1e3]))
def test_returns_the_iterate_that_converged_and_not_the_one_before(
    method: Any, seed: int, kappa: float
) -> None:
    case = drawn(seed, kappa)
    solve = solve_of(method(tolerance=1e-6), case)
    checks = 1 if method is Minres else 0
    taken = solve.products - checks
    assert true_residual(case, solve.value.flat()) <= 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        if taken > 1:
            before = solve_of(method(taken - 1, tolerance=1e-6), case)
            assert true_residual(case, before.value.flat()) > 1e-6
        same = solve_of(method(taken, tolerance=1e-6), case)
    assert torch.equal(same.value.flat(), solve.value.flat())


@both
def test_one_product_solves_the_toy_example(method: Any) -> None:
    """A.1, on which a loop that returns the iterate before the last gives the wrong sign."""
    problem = BilevelProblem(lambda w, a: (w - a) ** 2, lambda w, a: (2 * w - a) ** 2)
    one = torch.tensor(1.0, dtype=f64)
    result = method()(problem, one, one)
    assert (result.direct.item(), result.implicit.item()) == pytest.approx((-2.0, 4.0))


@pytest.mark.parametrize("kappa", [4.0, 100.0, 1e4])
def test_cg_error_falls_at_least_as_fast_as_chebyshev(kappa: float) -> None:
    """T8: ‖q_K − q*‖_H ≤ 2((√κ−1)/(√κ+1))^K ‖q*‖_H; and for a dense spectrum not much faster."""
    n = 400
    grid = torch.arange(n, dtype=f64)
    middle, radius = (kappa + 1) / 2, (kappa - 1) / 2
    case = with_spectrum(3, middle - radius * torch.cos(torch.pi * (grid + 0.5) / n))
    truth = torch.linalg.solve(case.hessian, case.outer_gradient)
    rate = (kappa**0.5 - 1) / (kappa**0.5 + 1)

    def energy(x: Tensor) -> float:
        return float((x @ case.hessian @ x).sqrt())

    for k in (2, 5, 10, 20, 40):
        q = solve_of(ConjugateGradient(k, tolerance=None), case).value.flat()
        assert energy(q - truth) <= 2 * rate**k * energy(truth) + 1e-12 * energy(truth)
        if rate**k > 1e-10:
            assert energy(q - truth) >= 0.01 * rate**k * energy(truth)


@given(seeds, st.sampled_from([10.0, 1e3]))
def test_minres_residual_never_grows_and_is_never_above_that_of_cg(seed: int, kappa: float) -> None:
    case = drawn(seed, kappa, largest=30)
    last = 1.0
    for k in range(1, len(case.outer_gradient) // 2 + 1):  # later, rounding decides
        minres = solve_of(Minres(k, tolerance=None), case)
        cg = solve_of(ConjugateGradient(k, tolerance=None), case)
        assert minres.residual is not None
        assert cg.residual is not None
        assert minres.residual <= min(last, cg.residual) * (1 + 1e-9) + 1e-14
        last = minres.residual


@given(seeds, kappas)
def test_cg_warns_of_every_indefinite_hessian(seed: int, kappa: float) -> None:
    case = drawn(seed, kappa, signs=True)
    with pytest.warns(HypergradientWarning) as caught:
        solve = solve_of(ConjugateGradient(1000), case)
    assert {w.category for w in caught} <= {NotPositiveDefinite, NotConverged}
    assert solve.status is not Status.CONVERGED
    if kappa <= 1e5:
        assert solve.status is Status.NEGATIVE_CURVATURE
        assert solve.curvature is not None
        assert float(torch.linalg.eigvalsh(case.hessian)[0]) * (1 + 1e-6) <= solve.curvature <= 0


def test_on_negative_curvature_cg_returns_the_iterate_from_before_it() -> None:
    """H = diag(4, −1), v = (1, 1): p₁ = v has curvature 3/2, the next one is negative."""
    case = quadratic([[4, 0], [0, -1]], [[1, 1]], [1, 1])
    with pytest.warns(NotPositiveDefinite):
        solve = solve_of(ConjugateGradient(), case)
    assert solve.products == 2
    assert torch.allclose(solve.value.flat(), torch.full((2,), 2 / 3, dtype=f64))  # ⟨v,v⟩/⟨v,Hv⟩ v
    assert solve.residual == pytest.approx(true_residual(case, solve.value.flat()))
    with pytest.warns(NotPositiveDefinite):
        at_once = solve_of(ConjugateGradient(), quadratic([[-1]], [[1]], [1]))
    assert at_once.value.flat().item() == 0


def test_cg_warns_in_all_of_a_thousand_indefinite_cases() -> None:
    """n up to 40, as few as one negative eigenvalue, down to −1 beside 10⁴."""
    missed = 0
    for seed in range(1000):
        case = drawn(seed, 1e4, signs=True, largest=40)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            solve_of(ConjugateGradient(2000), case)
        missed += not any(w.category is NotPositiveDefinite for w in caught)
    assert missed == 0


def test_cg_that_converges_leaves_less_than_its_tolerance_on_negative_curvature() -> None:
    """The residual polynomial has positive roots and is 1 at 0, hence > 1 on λ < 0."""
    values = torch.tensor([-1.0, 1.0, 2.0, 5.0], dtype=f64)
    for share, seen in ((1e-3, True), (1e-12, False)):
        case = quadratic(torch.diag(values), torch.ones(1, 4), [share, 1.0, 1.0, 1.0])
        if seen:
            with pytest.warns(NotPositiveDefinite):
                solve_of(ConjugateGradient(tolerance=1e-6), case)
        else:
            assert solve_of(ConjugateGradient(tolerance=1e-6), case).status is Status.CONVERGED


@both
@given(seed=seeds)
def test_a_singular_hessian_is_solved_where_it_can_be_and_reported_where_not(
    method: Any, seed: int
) -> None:
    case = with_spectrum(seed, [0.0, 1.0, 2.0, 4.0])  # v has a part in the null space
    with pytest.warns(HypergradientWarning):
        solve = solve_of(method(), case)
    assert solve.status is not Status.CONVERGED
    assert torch.isfinite(solve.value.flat()).all()
    inside = quadratic(case.hessian, case.mixed, case.hessian @ case.outer_gradient)
    solve = solve_of(method(), inside)
    assert solve.status is Status.CONVERGED
    assert true_residual(inside, solve.value.flat()) <= 1e-6


@both
@given(seed=seeds, damping=st.floats(0.01, 10.0))
def test_damping_solves_the_damped_system_and_reports_the_residual_of_the_other(
    method: Any, seed: int, damping: float
) -> None:
    case = drawn(seed, 100.0)
    solve = solve_of(method(tolerance=1e-10, damping=damping), case)
    shifted = case.hessian + damping * torch.eye(len(case.hessian), dtype=f64)
    assert (
        relative_error(solve.value.flat(), torch.linalg.solve(shifted, case.outer_gradient)) < 1e-7
    )
    assert solve.status is Status.CONVERGED
    assert solve.residual == pytest.approx(true_residual(case, solve.value.flat()), rel=1e-6)


@both
@given(seed=seeds, kappa=st.sampled_from([10.0, 1e3]))
def test_a_warm_start_saves_products_and_gives_the_same_answer(
    method: Any, seed: int, kappa: float
) -> None:
    case = drawn(seed, kappa, largest=30)
    cold = solve_of(method(tolerance=1e-8), case)
    again = solve_of(method(tolerance=1e-7, start=cold.value), case)
    assert (again.products, again.status) == (1 + (method is Minres), Status.CONVERGED)
    near = cold.value.flat() * (1 + 1e-4)
    warm = solve_of(method(tolerance=1e-8, start=near), case)
    assert warm.products <= cold.products + 1
    assert_solved(case, warm, 1e-8)


@both
@pytest.mark.parametrize("kappa", [10.0, 1e3, 1e5])
def test_in_float32_it_converges_truly_or_says_that_it_did_not(method: Any, kappa: float) -> None:
    outcomes = []
    for seed in range(30):
        double = drawn(seed, kappa)
        case = quadratic(double.hessian, double.mixed, double.outer_gradient, dtype=torch.float32)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            solve = solve_of(method(200, tolerance=1e-5), case)
        converged = solve.status is Status.CONVERGED
        assert converged == (not caught)
        if converged:  # rounding of the check itself: a few eps·κ
            assert true_residual(case, solve.value.flat()) <= 1e-5 + 1e-6 * kappa**0.5
        outcomes.append(converged)
    assert all(outcomes) or kappa > 10  # eps·κ = 1e-4 and more is above the tolerance


def test_a_diagonal_preconditioner_is_exact_for_a_diagonal_hessian() -> None:
    values = torch.logspace(0, 6, 30, dtype=f64)
    case = quadratic(torch.diag(values), torch.ones(2, 30), torch.ones(30))
    hessian = Autograd()(case.problem, Vector.of(case.omega), Vector.of(case.alpha)).hessian
    apply, spent = DiagonalPreconditioner(probes=1)(hessian)
    assert spent == 1
    assert torch.allclose(apply(case.outer_gradient), case.outer_gradient / values, rtol=1e-12)
    plain = solve_of(ConjugateGradient(1000), case)
    solve = solve_of(ConjugateGradient(preconditioner=DiagonalPreconditioner(probes=1)), case)
    assert solve.products <= 3  # one probe, one iteration, perhaps a check
    assert plain.products > 50
    assert_solved(case, solve, 1e-6)


@given(seeds)
def test_a_nystrom_preconditioner_removes_the_largest_eigenvalues(seed: int) -> None:
    """Ten eigenvalues of 10⁴ to 10⁶ above ninety in [1, 2]: κ of the rest decides."""
    values = torch.cat([torch.logspace(4, 6, 10, dtype=f64), torch.linspace(1, 2, 90, dtype=f64)])
    case = with_spectrum(seed, values)
    preconditioner = NystromPreconditioner(rank=15, damping=1.0, seed=seed)
    # at κ = 10⁶ rounding alone can leave more than the default tolerance
    preconditioned = solve_of(
        ConjugateGradient(tolerance=1e-6, preconditioner=preconditioner), case
    )
    plain = solve_of(ConjugateGradient(1000, tolerance=1e-6), case)
    assert preconditioned.products - 15 < 0.6 * plain.products
    assert_solved(case, preconditioned, 1e-6)


@given(seeds)
def test_nystrom_of_full_rank_is_the_damped_inverse(seed: int) -> None:
    case = drawn(seed, 100.0)
    n = len(case.outer_gradient)
    damping = 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        solve = solve_of(Nystrom(n, damping), case)
    shifted = case.hessian + damping * torch.eye(n, dtype=f64)
    assert (
        relative_error(solve.value.flat(), torch.linalg.solve(shifted, case.outer_gradient)) < 1e-8
    )
    assert solve.residual == pytest.approx(true_residual(case, solve.value.flat()), abs=1e-8)


def test_nystrom_warns_where_its_bias_flips_the_sign() -> None:
    """H = diag(100, 10, 10), B = (1 −.05 0), v = (1 1 0): BH⁻¹v = .005 > 0. With rank 1 and ρ = 1,
    1 stands for 1/10 on what is left out, and the estimate is negative."""
    case = quadratic(torch.diag(torch.tensor([100.0, 10.0, 10.0])), [[1, -0.05, 0]], [1, 1, 0])
    truth = float(case.mixed @ torch.linalg.solve(case.hessian, case.outer_gradient))
    with pytest.warns(NotConverged, match=r"Nystrom: the residual .* is .*wrong sign"):
        result = Nystrom(1, 1.0)(case.problem, *case.point)
    assert -truth * result.implicit.item() < 0
    near = Nystrom(1, 10.0, tolerance=0.5)(case.problem, *case.point)
    assert -truth * near.implicit.item() > 0


@both
def test_a_product_that_is_not_finite_is_an_error(method: Any) -> None:
    problem = BilevelProblem(lambda w, a: (w.abs() ** 1.5).sum() * a, lambda w, a: w.sum())
    with pytest.raises(NonFiniteError, match="second derivative"):
        method()(problem, torch.zeros(3, dtype=f64), torch.tensor(1.0, dtype=f64))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConjugateGradient(0),
        lambda: ConjugateGradient(damping=-1.0),
        lambda: ConjugateGradient(tolerance=0.0),
        lambda: Minres(0),
        lambda: Minres(damping=float("nan")),
        lambda: Nystrom(0, 1.0),
        lambda: Nystrom(3, 0.0),
        lambda: NystromPreconditioner(0),
        lambda: DiagonalPreconditioner(0),
    ],
)
def test_refuses_parameters_out_of_range(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must|between"):
        make()

"""Default tolerances follow the dtype, bounds hold where rounding or a start would break them."""

from __future__ import annotations

import math
import warnings
from itertools import islice
from typing import Any
from unittest import mock

import pytest
import torch

from bilevel import (
    Autograd,
    BilevelProblem,
    LinearOperator,
    Vector,
    recommend,
    relative_error,
    solve,
)
from bilevel.diagnostics import certificate
from bilevel.estimators import (
    Certified,
    ConjugateGradient,
    Exact,
    Minres,
    NotConverged,
    NystromPreconditioner,
    Status,
)
from bilevel.estimators.certificate import certify
from bilevel.krylov.lanczos import lanczos, lanczos_steps, largest_curvature
from bilevel.krylov.norm_bound import NormBound
from bilevel.problems import quadratic as ready_quadratic
from tests.quadratics import quadratic, with_spectrum

f32, f64 = torch.float32, torch.float64
# min(1e-6, eps^⅔): 2^-23 to the power ⅔ is above 1e-6, 2^-52 gives 2^(-104/3)
TOLERANCES = {f32: 1e-6, f64: 2 ** (-104 / 3)}


@pytest.mark.parametrize("method", [ConjugateGradient, Minres])
@pytest.mark.parametrize("dtype", [f32, f64], ids=str)
def test_the_default_tolerance_is_that_of_the_dtype(method: Any, dtype: torch.dtype) -> None:
    """At κ = 5 both can be reached: rounding leaves a residual of some κ·eps."""
    case = with_spectrum(3, torch.linspace(1, 5, 30))
    problem = quadratic(case.hessian, case.mixed, case.outer_gradient, dtype=dtype)
    found = method()(problem.problem, *problem.point).solve
    named = method(tolerance=TOLERANCES[dtype])(problem.problem, *problem.point).solve
    assert found.status is Status.CONVERGED
    assert found.products == named.products
    assert torch.equal(Vector.of(found.value).flat(), Vector.of(named.value).flat())
    before = method(found.products - 2)
    with pytest.warns(match=f"above the tolerance {TOLERANCES[dtype]:.3g}"):
        assert before(problem.problem, *problem.point).solve.status is Status.TRUNCATED


@pytest.mark.parametrize("method", [ConjugateGradient, Minres])
def test_in_float64_the_default_error_is_below_a_billionth(method: Any) -> None:
    """κ = 20: the error of q is at most κ times the residual, 20 · 3.7e-11 < 1e-9."""
    case = with_spectrum(5, torch.logspace(0, math.log10(20), 40, dtype=f64))
    truth = torch.linalg.solve(case.hessian, case.outer_gradient)
    found = method()(case.problem, *case.point)
    assert relative_error(found.solve.value, truth) < 1e-9


def test_a_tolerance_of_other_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tolerance=exact\): .* between 0 and 1"):
        ConjugateGradient(tolerance="exact")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e3, 1e5])
def test_a_certificate_allows_for_the_rounding_of_a_product_that_cancels(scale: float) -> None:
    """v is chosen as the computed Hq: the residual is 0 as computed, and not in truth.

    q lies along the smallest eigenvalue, so that ‖Hq‖ is ‖H‖‖q‖/κ while what is summed up to it,
    and rounded, is of the size of ‖H‖‖q‖.
    """
    generator = torch.Generator().manual_seed(0)
    n = 80
    basis = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=f64))[0]
    hessian = (basis * torch.logspace(0, math.log10(scale), n, dtype=f64)) @ basis.T
    hessian = ((hessian + hessian.T) / 2).to(f32)  # as float32 has it, exactly symmetric
    q = basis[:, 0].to(f32)
    at, alpha = torch.zeros(n), torch.zeros(2)
    mixed = torch.randn(2, n, generator=generator)

    def inner(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return 0.5 * w @ (hessian @ w) + a @ (mixed @ w)

    computed = Autograd()(BilevelProblem(inner, inner), Vector.of(at), Vector.of(alpha))
    outer_gradient = (computed.hessian @ Vector.of(q)).flat()
    problem = BilevelProblem(inner, lambda w, a: outer_gradient @ w + 0 * a.sum())
    exact = hessian.double()
    mu = float(torch.linalg.eigvalsh(exact)[0]) * (1 - 1e-6)
    assert mu > 0
    wrong = float(
        (mixed.double() @ (torch.linalg.solve(exact, outer_gradient.double()) - q)).norm()
    )
    bound = certificate(problem, at, alpha, q, mu=mu)
    assert wrong <= bound.error
    # what it rests on is said: n is too large for HHᵀ
    assert any("‖H‖" in text for text in bound.assumes)
    by_image = 100 * torch.finfo(f32).eps * 2 * float(outer_gradient.norm()) / mu
    norm = float(torch.linalg.matrix_norm(mixed.double(), 2))
    if scale == 1e5:
        assert wrong > by_image * norm  # ‖Hq‖ for ‖H‖‖q‖ would have certified what is false


def test_starts_of_certificates_are_their_own_and_new_in_every_step() -> None:
    """A problem drawn from seed 0 does not know the start; each step of a solve has another."""
    case = ready_quadratic(12, 3, condition=10.0, seed=0)
    seen: list[int] = []

    def watched(operator: LinearOperator, seed: int) -> Any:
        seen.append(seed)
        return lanczos_steps(operator, seed)

    with mock.patch("bilevel.estimators.certified.lanczos_steps", watched):
        solve(
            *(case.problem, Certified(stationary=None, seed=5), case.params, case.hyperparams),
            inner=lambda ps: torch.optim.SGD(ps, lr=0.01),
            outer=lambda ps: torch.optim.SGD(ps, lr=0.01),
            steps=3,
        )
        Certified(stationary=None)(*case.point)
    assert [seed - seen[-1] for seed in seen] == [5, 6, 7, 0]
    assert seen[-1] > 2**40


NOTHING: dict[str, Any] = {"mu": 0.0, "asked_degrees": 8.0, "asked_error": math.inf}


def test_without_a_mixed_derivative_g2_is_zero_whatever_bounds_q() -> None:
    """B = 0 with μ = 0, where the error of q is unbounded: not NaN."""
    zero = certify(
        Vector.of(torch.zeros(2, dtype=f64)), math.inf, NormBound(0.0, None, 0), **NOTHING
    )
    assert (zero.angle_degrees, zero.error, zero.relative_error) == (0.0, 0.0, 0.0)
    assert zero.zero
    assert zero.holds
    assert not zero.sign  # there is none to be right: 0 is not above 0


def test_where_l_val_is_flat_in_omega_no_sign_is_claimed() -> None:
    case = with_spectrum(1, [1.0, 2.0])
    flat = BilevelProblem(case.problem.inner, lambda w, a: (a**2).sum() + 0 * w.sum())
    found = Certified()(flat, *case.point).certificate
    assert found is not None
    assert (found.holds, found.sign, found.zero) == (True, False, True)


def test_recommend_runs_the_certified_candidate_once() -> None:
    case = ready_quadratic(12, 3, condition=10.0)
    runs = []
    original = Certified.solve

    def watched(self: Certified, *arguments: Any) -> Any:
        runs.append(self)
        return original(self, *arguments)

    with mock.patch.object(Certified, "solve", watched):
        advice = recommend(*case.point, budget=60)
    assert len(runs) == 1
    assert isinstance(advice.estimator, Certified)
    assert advice.comparison["certified"].certificate is not None
    assert "Guaranteed" in str(advice)


def test_damping_keeps_products_in_batches() -> None:
    case = with_spectrum(2, torch.linspace(1, 4, 10))
    hessian = Autograd(chunk=4)(case.problem, *map(Vector.of, case.point)).hessian
    system = hessian.shifted(0.5)
    rows = torch.randn(7, 10, generator=torch.Generator().manual_seed(0), dtype=f64)
    with mock.patch("torch.autograd.grad", wraps=torch.autograd.grad) as grad:
        images = system.many(rows)
    assert grad.call_count == 2  # 4 and 3 at once
    assert torch.allclose(images, rows @ (case.hessian + 0.5 * torch.eye(10, dtype=f64)).T)
    plain = Autograd()(case.problem, *map(Vector.of, case.point)).hessian.shifted(0.5)
    assert plain.at_once == 1
    many, one = (
        ConjugateGradient(damping=0.5, preconditioner=NystromPreconditioner(3), derivatives=d)
        for d in (Autograd(chunk=4), Autograd())
    )
    found, expected = (each(case.problem, *case.point).implicit for each in (many, one))
    assert relative_error(found, expected) < 1e-9


def diagonal(values: torch.Tensor) -> LinearOperator:
    at = Vector.of(values)
    return LinearOperator(at, at, lambda v: at.like(values * v.flat()))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_bound_on_the_largest_curvature_is_one_where_the_residual_is_not(sign: float) -> None:
    """One eigenvalue above 20,000 others: three products see little of it.

    200 starts; wrong at most once in a thousand, so that two would be chance at 2 %.
    """
    values = torch.linspace(0, 1, 20_000, dtype=f64)
    values[-1] = 1.3
    values = sign * values
    wrong_residual = wrong = 0
    for seed in range(200):
        sketch = lanczos(diagonal(values), 3, seed)
        residual = float(abs(sketch.ritz_values()).max()) + sketch.below[-1]
        wrong_residual += residual < 1.3
        wrong += largest_curvature(diagonal(values), 3, seed)[0] < 1.3
    assert wrong_residual > 100
    assert wrong <= 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_bound_on_the_largest_curvature_closes_in(sign: float) -> None:
    """After ten products at most what Chebyshev's polynomial of degree 10 allows, and then less."""
    n = 1000
    values = sign * torch.linspace(0.1, 1, n, dtype=f64)
    chance = 5e-4 * math.sqrt(math.pi / (2 * n))
    found = [
        sketch.ends(n, 5e-4, torch.finfo(f64).eps)
        for sketch in islice(lanczos_steps(diagonal(values), 0), 60)
    ]
    assert all(bound >= 1 for bound in found)
    # T_k(x) ≤ 2/chance at the bound, x in units of the half-width 0.45 about 0.55
    for k in (10, 20, 40):
        assert found[k - 1] <= 0.55 + 0.45 * math.cosh(math.acosh(2 / chance) / k)
    assert found[59] < 1.01
    assert lanczos(diagonal(torch.zeros(5, dtype=f64)), 3, 0).ends(5, 1e-3, 1e-16) == 0


@pytest.mark.parametrize(("dtype", "spoilt"), [(f32, True), (f64, False)])
def test_exact_says_where_rounding_spoils_its_solve(dtype: torch.dtype, spoilt: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(8, 8, dtype=f64, generator=generator))[0]
    hessian = (basis * torch.logspace(0, -7.3, 8, dtype=f64) @ basis.T).to(dtype)
    aim = torch.randn(8, dtype=dtype, generator=generator)
    problem = BilevelProblem(
        lambda w, a: 0.5 * w @ (hessian @ w) - a @ w, lambda w, a: 0.5 * (w - aim).square().sum()
    )
    point = torch.ones(8, dtype=dtype), torch.ones(8, dtype=dtype)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        solve = Exact()(problem, *point).solve
    assert (solve.residual > 0.01) == spoilt
    assert [one.category for one in said] == [NotConverged] * spoilt
    assert all("take float64" in str(one.message) for one in said)


def test_exact_warns_in_float32_where_its_docstring_says() -> None:
    """Of 30 problems of each condition number; unwarned, some are off by a few per cent."""
    told, worst = dict.fromkeys((1e5, 1e6, 1e7), 0), 0.0
    for kappa in told:
        for seed in range(30):
            case = with_spectrum(seed, torch.logspace(-math.log10(kappa), 0, 30))
            truth = -case.mixed @ torch.linalg.solve(case.hessian, case.outer_gradient)
            problem = quadratic(case.hessian, case.mixed, case.outer_gradient, dtype=f32).problem
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                found = Exact()(problem, *(part.float() for part in case.point))
            told[kappa] += len(said)
            if not said:
                worst = max(worst, relative_error(found.implicit.to(f64), truth))
    assert told[1e5] == 0
    assert told[1e7] == 30
    assert 0.01 < worst < 0.1

"""Certified: what it certifies is true, however the problem is drawn, and it says on what terms."""

from __future__ import annotations

import math
import re
import warnings
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.certified import draw, planted, table, trials
from bilevel import (
    BilevelProblem,
    CentralDifference,
    LinearOperator,
    Vector,
    angle,
    check,
    relative_error,
)
from bilevel.diagnostics import certificate, spectrum_ends, stationarity
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    Exact,
    NotCertified,
    Status,
)
from bilevel.estimators.certificate import NOT_CHECKED, certify
from bilevel.krylov.lanczos import lanczos_steps
from bilevel.krylov.norm_bound import NormBound, norm_bound
from tests.quadratics import nested, quadratic, random_quadratic, with_spectrum

seeds = st.integers(0, 2**31 - 1)
f64 = torch.float64


def assert_never_wrong(problems: int) -> None:
    found = [trial for seed in range(problems) for trial in trials(seed)]
    given_mu = [t for t in found if t.asked != "bounded"]
    assert not [t for t in given_mu if t.wrong or t.exceeded]
    assert all(t.certified for t in given_mu)
    # a bound on |λ| from a random start may be wrong once in a thousand times
    assert sum(t.wrong or t.exceeded for t in found) <= problems / 1000
    assert sum(t.certified for t in found if t.asked == "bounded") >= 0.99 * problems
    assert {row["asked"] for row in table(found)} == {"sign", "angle", "bounded"}


def test_never_certifies_a_wrong_sign() -> None:
    assert_never_wrong(150)


@pytest.mark.slow
def test_never_certifies_a_wrong_sign_in_ten_thousand_problems() -> None:
    assert_never_wrong(10_000)


@given(seeds, st.floats(1e-4, 0.9), st.floats(0.01, 2.0))
def test_the_bound_holds_for_the_worst_error_of_the_allowed_size(
    seed: int, size: float, spread: float
) -> None:
    """q is moved by e of ‖e‖ ≤ ε in the direction that turns or shortens Bq most."""
    generator = torch.Generator().manual_seed(seed)
    m, n = int(torch.randint(1, 6, (), generator=generator)), 8
    scales = torch.exp(spread * torch.randn(m, 1, generator=generator, dtype=f64))
    mixed = scales * torch.randn(m, n, generator=generator, dtype=f64)
    q = torch.randn(n, generator=generator, dtype=f64)
    u = mixed @ q
    epsilon = size * float(u.norm() / torch.linalg.matrix_norm(mixed, 2))
    domain, codomain = Vector.of(q), Vector.of(u)
    operator = LinearOperator(
        domain,
        codomain,
        lambda v: codomain.like(mixed @ v.flat()),
        lambda v: domain.like(mixed.T @ v.flat()),
    )
    norm = norm_bound(operator)
    options: dict[str, Any] = {"mu": 1.0, "asked_degrees": 80.0, "asked_error": float("inf")}
    sharp = certify(codomain, epsilon, norm, **options)
    plain = certify(codomain, epsilon, NormBound(norm.value, None, 0), **options)
    assert sharp.angle_degrees <= plain.angle_degrees
    directions = torch.cat(
        [mixed, -mixed, torch.randn(200, m, generator=generator).to(f64) @ mixed]
    )
    if m > 1:
        across = mixed - torch.outer(u, u @ mixed) / u.dot(u)
        directions = torch.cat([directions, across, -across])
        for tilt in torch.linspace(-1, 1, 21).tolist():
            directions = torch.cat([directions, across + tilt * u @ mixed])
    for direction in directions:
        if float(direction.norm()) == 0:
            continue
        truth = u + mixed @ (epsilon * direction / direction.norm())
        assert angle(truth, u) <= sharp.angle_degrees + 1e-5
        assert float((truth - u).norm()) <= sharp.error * (1 + 1e-9)
        assert relative_error(u, truth) <= sharp.relative_error * (1 + 1e-9)


@given(seeds, st.sampled_from([1, 5, 64, 65, 200]))
def test_the_norm_bound_is_a_bound(seed: int, m: int) -> None:
    """Exact through BBᵀ; by random probes for more rows, never below and within 5 times."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(m, 30, generator=generator, dtype=f64)
    mixed[: m // 2] *= 1e-3
    domain, codomain = Vector.of(mixed[0]), Vector.of(mixed[:, 0])
    operator = LinearOperator(
        domain,
        codomain,
        lambda v: codomain.like(mixed @ v.flat()),
        lambda v: domain.like(mixed.T @ v.flat()),
    )
    bound, truth = norm_bound(operator), float(torch.linalg.matrix_norm(mixed, 2))
    assert truth <= bound.value <= truth * (1 + 2e-6 if m <= 64 else 5)
    assert bool(bound.assumes) == (m > 64)


def test_a_power_iteration_would_certify_what_is_false() -> None:
    """‖B‖ from below, as a few power steps give it, is not a bound: here it hides an error."""
    u = Vector.of(torch.tensor([1.0, 0.0], dtype=f64))
    truth, below = 2.0, 0.9
    options: dict[str, Any] = {"mu": 1.0, "asked_degrees": 80.0, "asked_error": float("inf")}
    assert not certify(u, 1.0, NormBound(truth, None, 0), **options).sign
    assert certify(u, 1.0, NormBound(below, None, 0), **options).sign


def test_a_mu_that_a_product_contradicts_is_refused() -> None:
    case = with_spectrum(1, [1.0, 2.0, 5.0, 10.0])
    with pytest.raises(ValueError, match=r"mu=1\.5.*was met, so .* is not true"):
        Certified(0.999999, mu=1.5)(case.problem, *case.point)
    assert Certified(0.999999, mu=0.999)(case.problem, *case.point).certificate.holds  # type: ignore[union-attr]


def test_the_certificate_says_what_it_rests_on() -> None:
    case = with_spectrum(2, torch.logspace(0, 2, 20))
    known = Certified(mu=0.99)(case.problem, *case.point).certificate
    guessed = Certified(failure_probability=None)(case.problem, *case.point).certificate
    bounded = Certified()(case.problem, *case.point).certificate
    damped = Certified(damping=0.5)(case.problem, *case.point)
    rough = Certified(mu=0.99, derivatives=CentralDifference())(case.problem, *case.point)
    assert known is not None
    assert (known.assumes, known.mu) == ((NOT_CHECKED,), 0.99)
    checked = check(case.problem, *case.point).derivatives
    proved = Certified(mu=0.99, derivatives=checked)(case.problem, *case.point).certificate
    assert proved is not None
    assert not proved.conditional
    assert guessed is not None
    assert "Lanczos saw" in guessed.assumes[0]
    assert guessed.mu < 1  # half of what was seen, and that was close to 1
    assert bounded is not None
    assert re.match(r".*random vector, wrong with probability 0\.001$", bounded.assumes[0])
    assert 0.5 <= bounded.mu <= 1
    assert damped.certificate is not None
    assert "H ⪰ 0" in damped.certificate.assumes[0]
    shifted = case.hessian + 0.5 * torch.eye(20, dtype=f64)
    truth = -case.mixed @ torch.linalg.solve(shifted, case.outer_gradient)
    assert angle(damped.implicit, truth) <= damped.certificate.angle_degrees
    assert rough.certificate is not None
    assert "differences" in rough.certificate.assumes[0]


def test_a_budget_too_small_to_see_h_is_not_taken_for_an_h_that_is_0() -> None:
    case = with_spectrum(2, torch.logspace(0, 2, 20))
    with pytest.warns(NotCertified, match=r"at most 180.*1 products.*Allow more products") as told:
        Certified(products=1)(case.problem, *case.point)
    assert not any("H is 0" in str(warning.message) for warning in told)


def diagonal(values: torch.Tensor) -> LinearOperator:
    at = Vector.of(values)
    return LinearOperator(at, at, lambda v: at.like(values * v.flat()))


@pytest.mark.parametrize("indefinite", [False, True])
def test_the_bound_on_the_spectrum_is_wrong_no_more_often_than_it_says(indefinite: bool) -> None:
    """n = 2000, few small eigenvalues, 150 random starts, asked for 5 % of failures.

    Up to 15 wrong ones would be chance (the 98.5 % quantile of a binomial); the bound is not tight.
    """
    values = torch.logspace(0, 1, 2000, dtype=f64)
    values[:3] = torch.tensor([0.1, 0.101, 0.11], dtype=f64)
    if indefinite:  # the negative one is next to 0
        values[0] *= -1
        values[1:3] *= 2
        values[3:100:2] *= -1
    wrong, useful = 0, 0
    for seed in range(150):
        for sketch in islice(lanczos_steps(diagonal(values), seed), 20, 60, 13):
            found = sketch.gap_around_zero(2000, 0.05, torch.finfo(f64).eps)
            wrong += found > 0.1
            useful += found > 0.05
    assert wrong <= 15
    assert useful >= 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("failure", [0.1, 1e-3])
def test_the_bound_is_half_the_smallest_eigenvalue_when_theory_says(
    dtype: torch.dtype, failure: float
) -> None:
    """Kuczyński & Woźniakowski 1992: ε = (log(1.648 √n / failure) / (2k − 1))² of the spread."""
    n, kappa, eps = 500, 100, torch.finfo(dtype).eps
    values = torch.logspace(-1, 1, n, dtype=dtype)
    products = math.ceil(math.sqrt(kappa / 2) * math.log(1.648 * math.sqrt(n) / failure))
    (sketch,) = islice(lanczos_steps(diagonal(values), 0), products, products + 1)
    assert 0.05 <= sketch.gap_around_zero(n, failure, eps) <= 0.1
    (early,) = islice(lanczos_steps(diagonal(values), 0), 4, 5)
    assert early.gap_around_zero(n, failure, eps) == 0
    assert sketch.gap_around_zero(10**9, 1e-3, 1e-7) == 0  # components are lost in rounding


def test_a_guessed_mu_can_be_too_large_and_the_bound_is_not() -> None:
    found = [trial for seed in range(20) for trial in planted(seed)]
    too_large = {
        failure: sum(t.mu > t.lowest for t in found if t.failure_probability == failure)
        for failure in (None, 1e-3)
    }
    assert too_large[None] >= 2
    assert too_large[1e-3] == 0
    assert not [t for t in found if t.failure_probability and (t.wrong or t.exceeded)]
    assert sum(t.certified for t in found if t.failure_probability) >= 18


def test_without_products_for_a_bound_nothing_is_certified() -> None:
    case = with_spectrum(3, torch.logspace(0, 4, 50))
    with pytest.warns(NotCertified, match=r"at most 180°.*μ = 0\."):
        result = Certified(products=30)(case.problem, *case.point)
    assert result.solve is not None
    assert (result.solve.status, result.solve.products) == (Status.UNCERTIFIED, 30)


def test_without_enough_products_it_returns_the_best_bound_or_raises() -> None:
    case = with_spectrum(3, torch.logspace(0, 4, 50))
    with pytest.warns(NotCertified, match=r"angle to g₂ is at most 180°.*asked for were 8\.11°"):
        result = Certified(mu=1.0 - 1e-9, products=10)(case.problem, *case.point)
    assert result.solve is not None
    assert (result.solve.status, result.solve.products) == (Status.UNCERTIFIED, 10)
    assert result.certificate is not None
    assert not result.certificate.sign
    truth = Exact()(case.problem, *case.point).implicit
    assert float((result.implicit - truth).norm()) <= result.certificate.error
    with pytest.raises(NotCertified):
        Certified(mu=0.99, products=10, strict=True)(case.problem, *case.point)


def test_rounding_is_allowed_for() -> None:
    """At cond(H) = 2²⁴ a float32 residual proves nothing, not even one that comes out as 0."""
    case = quadratic([[1, 0], [0, 2**24]], [[1, 1], [1, 2]], [1, 2**24], dtype=torch.float32)
    exact = torch.ones(2)
    with pytest.warns(NotCertified):
        result = Certified(mu=0.99, start=exact)(case.problem, *case.point)
    assert result.solve is not None
    assert result.solve.residual == 0
    assert result.certificate is not None
    assert not result.certificate.sign


@pytest.mark.parametrize("share", [1e-4, 1e-5, 5e-6])
def test_rounding_of_what_b_sees_is_allowed_for(share: float) -> None:
    """float32, H = I, and rows of B alike but for the order of their sums: Bq all but cancels."""
    n, order = 2000, torch.randperm(2000, generator=torch.Generator().manual_seed(0))
    certified = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        row, v = (torch.randn(n, generator=generator) for _ in range(2))
        b, slope = row.double(), v.double()
        slope = slope - slope.dot(b) / b.dot(b) * b
        v = (slope + share * slope.norm() / b.norm() * b).float()
        other = row[order]
        problem = BilevelProblem(
            lambda w, a, row=row, other=other: (
                w.square().sum() / 2 + a[0] * (row * w).sum() + a[1] * (other * w[order]).sum()
            ),
            lambda w, a, v=v: (v * w).sum(),
        )
        point = problem, torch.zeros(n), torch.zeros(2)
        truth = -torch.full((2,), float(b @ v.double()), dtype=f64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotCertified)
            found = Certified(0.9999, mu=1.0)(*point)
        assert found.solve is not None
        assert found.certificate is not None
        bounds = (found.certificate, certificate(*point, found.solve.value.tree(), mu=1.0))
        for bound in bounds:
            assert angle(found.implicit.double(), truth) <= bound.angle_degrees
            assert float((found.implicit.double() - truth).norm()) <= bound.error
        certified += found.certificate.holds
    assert (certified > 0) == (share > 5e-5)


def test_with_one_hyperparameter_only_the_error_says_more_than_the_sign() -> None:
    case = with_spectrum(4, torch.logspace(0, 2, 30), m=1)
    truth = Exact()(case.problem, *case.point).implicit
    sign = Certified(mu=0.99)(case.problem, *case.point)
    near = Certified(mu=0.99, relative_error=1e-3)(case.problem, *case.point)
    assert sign.certificate is not None
    assert sign.certificate.angle_degrees == 0
    assert sign.implicit @ truth > 0
    assert relative_error(near.implicit, truth) <= 1e-3 < relative_error(sign.implicit, truth)


@given(seeds, st.booleans())
def test_the_sum_is_right_where_the_error_is_below_its_length(seed: int, cancels: bool) -> None:
    """g₁ halfway between −g₂ and −estimate turns the sum round, however well g₂ is certified."""
    case: Any = random_quadratic(seed)
    truth = Exact()(case.problem, *case.point).implicit
    found = Certified(mu=0.99 * float(torch.linalg.eigvalsh(case.hessian)[0]))(
        case.problem, *case.point
    )
    assert found.certificate is not None
    assert found.certificate.holds
    direct = -(found.implicit + truth) / 2
    if not cancels:
        generator = torch.Generator().manual_seed(seed)
        beside = torch.randn(len(truth), generator=generator, dtype=f64)
        direct = direct + 3 * found.certificate.error * beside
    total, wanted = direct + found.implicit, direct + truth
    if cancels:
        assert float(total @ wanted) <= 0
    if float(total @ wanted) <= 0:
        assert found.certificate.error >= float(total.norm()) * (1 - 1e-9)


@given(seeds)
def test_any_q_can_be_certified_or_not(seed: int) -> None:
    case = random_quadratic(seed)
    mu = float(
        torch.linalg.eigvalsh(
            torch.func.hessian(lambda w: case.problem.inner(w, case.alpha))(case.omega)
        )[0]
    )
    truth = Exact()(case.problem, *case.point).implicit
    for estimator in (ConjugateGradient(), Amended(0.1)):
        result = estimator(case.problem, *case.point)
        bound = certificate(case.problem, *case.point, result.solve.value, mu=0.999 * mu)
        assert float((result.implicit - truth).norm()) <= bound.error * (1 + 1e-9)
        if bound.sign and len(truth) > 1:
            assert angle(result.implicit, truth) <= bound.angle_degrees + 1e-5
    assert certificate(case.problem, *case.point, case.omega, mu=mu).angle_degrees == 180


@pytest.mark.parametrize(
    "make",
    [
        lambda: Certified(1.0),
        lambda: Certified(0.0),
        lambda: Certified(mu=0.0),
        lambda: Certified(products=0),
        lambda: Certified(relative_error=0.0),
        lambda: Certified(damping=-1.0),
        lambda: Certified(safety=1.0),
        lambda: Certified(failure_probability=0.0),
        lambda: Certified(failure_probability=1.0),
    ],
)
def test_refuses_parameters_out_of_range(make: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        make()


@pytest.mark.parametrize("n", [2, 20, 60])
def test_spectrum_ends_are_the_extreme_eigenvalues(n: int) -> None:
    values = torch.linspace(-2, 30, n)
    case = with_spectrum(5, values)
    ends = spectrum_ends(case.problem, *case.point)
    assert ends.lowest == pytest.approx(-2, rel=1e-5)
    assert ends.highest == pytest.approx(30, rel=1e-5)
    assert (ends.positive_definite, ends.condition) == (False, float("inf"))
    assert spectrum_ends(*_shifted(case)).condition == pytest.approx(33, rel=1e-4)


def _shifted(case: Any) -> tuple[Any, Any, Any]:
    n = len(case.hessian)
    shifted = quadratic(case.hessian + 3 * torch.eye(n, dtype=f64), case.mixed, case.outer_gradient)
    return shifted.problem, shifted.omega, shifted.alpha


def test_stationarity_is_the_ratio_of_the_two_gradients() -> None:
    case = nested(1)
    found = stationarity(case.problem, *case.point)
    omega, alpha = map(Vector.of, case.point)
    assert found.ratio == pytest.approx(
        float(case.problem.inner_gradient(omega, alpha)[1].norm())
        / float(case.problem.outer_gradients(omega, alpha)[1].norm())
    )
    still = random_quadratic(1)
    assert stationarity(still.problem, *still.point).ratio == 0


def test_the_drawn_problems_are_hard() -> None:
    """Some are indefinite, and on some the amended term has the wrong sign."""
    wrong = indefinite = 0
    for seed in range(100):
        case, _, flag = draw(seed)
        truth = -case.mixed @ torch.linalg.solve(case.hessian, case.outer_gradient)
        wrong += float(Amended(1.0)(case.problem, *case.point).implicit @ truth) < 0
        indefinite += flag
    assert wrong > 20
    assert indefinite > 20


@pytest.mark.parametrize(("dtype", "assumed"), [(torch.float64, False), (torch.float32, True)])
def test_rounding_of_a_norm_that_was_not_met_is_allowed_for_or_assumed(dtype, assumed) -> None:
    """The outer gradient lies in the part of H with |λ| ≤ 2, and ‖H‖ is 200 times that."""
    scale = torch.tensor([1.0, 2.0, 400.0], dtype=dtype)
    target = torch.tensor([1.0, 1.0, 0.0], dtype=dtype)
    problem = BilevelProblem(
        lambda w, a: (scale * w * w).sum() / 2 - (a * w[:2].sum()).sum(),
        lambda w, a: ((w - target) ** 2).sum() / 2,
    )
    estimator = Certified(mu=1.0, relative_error=1e-4)
    point = torch.zeros(3, dtype=dtype)
    found = estimator(problem, point, torch.zeros(2, dtype=dtype)).certificate
    assert found.holds
    assert any("the largest |λ| met" in text for text in found.assumes) == assumed

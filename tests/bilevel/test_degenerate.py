"""Where H, B or ∇_ω L_val is 0, NaN or of a strange type, every estimator says so in words."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector, compare, recommend
from bilevel.diagnostics import spectrum_ends
from bilevel.estimators import (
    Certified,
    ConjugateGradient,
    DiagonalPreconditioner,
    Estimator,
    Exact,
    HypergradientWarning,
    Landweber,
    Minres,
    Neumann,
    NotCertified,
    Nystrom,
    NystromPreconditioner,
    SingularHessian,
)
from bilevel.problem import NonFiniteError
from tests.estimators import ESTIMATORS, ETA

f64 = torch.float64
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
ONES = torch.ones(3, dtype=f64)
X = torch.randn(9, 3, dtype=f64, generator=torch.Generator().manual_seed(1))
INTERNALS = ("lapack", "cholesky_", "geqrf", "not implemented for", "math domain", "division by")


def ridge(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return (X @ w - 1).square().mean() + (a.exp() * w**2).sum()


def linear(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return (X @ w + 1).square().mean()


def no_curvature(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Weights of examples that start at zero, as in learning to reweight."""
    return (a @ (X[:3] @ w - 1).square()) + 0 * w.sum()


def kinked(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Gradient 0 at ω = 0, and no second derivative there."""
    return (a.exp() * w.abs() ** 1.5).sum()


def split(w: Any, a: torch.Tensor) -> torch.Tensor:
    return ridge(w["x"], a) + w["none"].sum()


# losses, ω and α, of which the implicit term is 0 exactly; None: it is not, or there is none
DEGENERATE: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any, Any]] = {
    "H = 0": (no_curvature, linear, ONES, 0 * ONES),
    "NaN curvature": (kinked, linear, 0 * ONES, ONES),
    "B = 0": (
        lambda w, a: ridge(w, 0 * ONES),
        lambda w, a: linear(w, a) + a.square().sum(),
        ONES,
        ONES,
    ),
    "outer gradient = 0": (ridge, lambda w, a: (w - 1).square().sum() + a.sum(), ONES, 0 * ONES),
    "an empty leaf": (
        split,
        lambda w, a: linear(w["x"], a),
        {"x": ONES, "none": torch.ones(0, 4, dtype=f64)},
        0 * ONES,
    ),
    "an empty leaf of α": (
        lambda w, a: ridge(w, a["x"]),
        lambda w, a: linear(w, a),
        ONES,
        {"x": 0 * ONES, "none": torch.ones(0, dtype=f64)},
    ),
    "one parameter": (
        lambda w, a: (w - a).square(),
        lambda w, a: (3 * w - a).square(),
        torch.tensor(1.0, dtype=f64),
        torch.tensor(2.0, dtype=f64),
    ),
    "no coordinates": (ridge, linear, torch.ones(0, dtype=f64), ONES),
    "complex": (
        lambda w, a: (w.abs() ** 2).sum() * a.sum(),
        lambda w, a: w.real.sum(),
        torch.ones(3, dtype=torch.complex128),
        ONES,
    ),
    "float16": (lambda w, a: (a * w**2).sum(), lambda w, a: w.sum(), ONES.half(), ONES.half()),
    "bfloat16": (
        lambda w, a: (a * w**2).sum(),
        lambda w, a: w.sum(),
        ONES.bfloat16(),
        ONES.bfloat16(),
    ),
}


def sentence(message: object) -> None:
    text = str(message)
    assert 40 < len(text) < 700, text
    assert text.strip()[-1] in ".)", text
    assert not any(word in text.lower() for word in INTERNALS), text


@every_estimator
@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("derivatives", [Autograd(), CentralDifference()], ids=repr)
def test_every_estimator_answers_in_numbers_or_in_a_sentence(
    name: str, kind: str, derivatives: Any
) -> None:
    inner, outer, omega, alpha = DEGENERATE[kind]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = ESTIMATORS[name].make(ETA, derivatives)(
                BilevelProblem(inner, outer), omega, alpha
            )
        except (ValueError, TypeError, HypergradientWarning) as error:
            sentence(error)
            return
    assert all(isinstance(w.message, HypergradientWarning) for w in caught)
    for warning in caught:
        sentence(warning.message)
    assert math.isfinite(float(Vector.of(found.total).norm()))
    solve = found.solve
    if solve is None:
        return
    assert solve.residual is None or math.isfinite(solve.residual)
    if not Vector.of(found.implicit).norm() > 0:
        assert solve.note or caught, "a zero without a word"


REFUSED = {
    "NaN curvature": (NonFiniteError, "curvature|implicit term has norm"),
    "no coordinates": (ValueError, "ω has no coordinates: all of its 1 leaves are empty"),
    "complex": (TypeError, r"complex128; points are real\. Pass torch\.view_as_real"),
    "float16": (TypeError, r"ω and α are torch\.float16, with a relative precision of 1e-03"),
    "bfloat16": (TypeError, r"ω and α are torch\.bfloat16, with a relative precision of 8e-03"),
}
# they take no second derivative, or none where it is not finite
BLIND = {"FirstOrder", "Penalty", "Identity", "DartsSecondOrder"}


@every_estimator
@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_answer_is_refused_by_all(name: str, kind: str) -> None:
    inner, outer, omega, alpha = DEGENERATE[kind]
    if kind == "NaN curvature" and name in BLIND:
        return
    error, message = REFUSED[kind]
    with pytest.raises(error, match=message):
        ESTIMATORS[name].make(ETA, Autograd())(BilevelProblem(inner, outer), omega, alpha)


@every_estimator
@pytest.mark.parametrize("kind", ["an empty leaf", "an empty leaf of α"])
def test_an_empty_leaf_changes_no_number(name: str, kind: str) -> None:
    inner, outer, omega, alpha = DEGENERATE[kind]

    def total(*arguments: Any) -> torch.Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Vector.of(ESTIMATORS[name].make(ETA, Autograd())(*arguments).total).flat()

    whole = total(BilevelProblem(inner, outer), omega, alpha)
    plain = total(BilevelProblem(ridge, linear), ONES, 0 * ONES)
    torch.testing.assert_close(whole, plain, rtol=1e-12, atol=1e-12)


def test_without_curvature_each_solver_names_it_and_gives_no_guarantee() -> None:
    problem = BilevelProblem(no_curvature, linear)
    for estimator in (
        ConjugateGradient(),
        Neumann(),
        Neumann(3, 0.1),
        Landweber(),
        Landweber(3, 0.1),
        Minres(),
        Minres(tolerance=None),
    ):
        with pytest.warns(SingularHessian, match="H is 0 along ∇_ω L_val"):
            found = estimator(problem, ONES, 0 * ONES)
        assert found.solve is not None
        assert found.solve.status.name == "NEGATIVE_CURVATURE"
        assert found.solve.residual in (None, pytest.approx(1))  # None: not computed
    with pytest.warns(NotCertified, match="H is 0 for all that"):
        certified = Certified(stationary=None)(problem, ONES, 0 * ONES)
    assert certified.certificate is not None
    assert not certified.certificate.sign
    with pytest.raises(ValueError, match="H is 0 here: add weight decay"):
        Exact()(problem, ONES, 0 * ONES)
    with pytest.warns(HypergradientWarning, match="residual"):
        Nystrom(2, 0.5)(problem, ONES, 0 * ONES)


@pytest.mark.parametrize("kind", [k for k in DEGENERATE if k not in REFUSED])
def test_compare_and_recommend_answer_in_words(kind: str) -> None:
    inner, outer, omega, alpha = DEGENERATE[kind]
    problem = BilevelProblem(inner, outer)
    table = compare(
        problem, omega, alpha, [ConjugateGradient(), Neumann(), Certified()], repetitions=0
    )
    for row in table.rows:
        for text in (*row.warnings, *filter(None, [row.failure])):
            sentence(text)
        assert row.residual is None or math.isfinite(row.residual)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypergradientWarning)
        advice = str(recommend(problem, omega, alpha))
    assert "nan" not in advice.lower()
    assert ", if ." not in advice
    if kind == "H = 0":
        assert "Guaranteed" not in advice
        assert "H is 0" in advice
    if kind in ("B = 0", "outer gradient = 0"):
        assert "g₂ is 0" in advice


@pytest.mark.parametrize("kind", REFUSED)
def test_compare_and_recommend_refuse_in_a_sentence(kind: str) -> None:
    inner, outer, omega, alpha = DEGENERATE[kind]
    for ask in (
        lambda problem: compare(problem, omega, alpha, [ConjugateGradient()]),
        lambda problem: recommend(problem, omega, alpha),
        lambda problem: spectrum_ends(problem, omega, alpha),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypergradientWarning)  # the check says it first
            with pytest.raises((TypeError, ValueError)) as refusal:
                ask(BilevelProblem(inner, outer))
        sentence(refusal.value)


@pytest.mark.parametrize("n", [3, 30])
def test_the_spectrum_of_no_curvature_is_zero(n: int) -> None:
    problem = BilevelProblem(lambda w, a: (a * w**2).sum(), lambda w, a: w.sum())
    zero = torch.zeros(n, dtype=f64)
    ends = spectrum_ends(problem, torch.ones(n, dtype=f64), zero)
    assert (ends.lowest, ends.highest) == (0, 0)


def of_size(size: float) -> BilevelProblem:
    return BilevelProblem(
        lambda w, a: size * w.square().sum() + (a * w).sum(), lambda w, a: (w - 1).square().sum()
    )


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_a_curvature_whose_square_is_no_number_is_told_with_what_to_do(size: float) -> None:
    for ask in (
        lambda: Landweber()(of_size(size), 2 * ONES, ONES),
        lambda: recommend(of_size(size), 2 * ONES, ONES),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypergradientWarning)
            with pytest.raises(NonFiniteError, match=r"Multiply the inner loss|norm inf"):
                ask()


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 1e-22), (f64, 1e-200)], ids=str)
@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize(
    "estimator", [Certified(relative_error=1e-2), Minres(9)], ids=["certified", "minres"]
)
def test_lengths_that_underflow_give_no_bound(
    estimator: Any, dtype: torch.dtype, size: float
) -> None:
    """A certificate held with a bound of 0.0 where g₂ was 38 % off."""
    x, decay = X.to(dtype), torch.zeros((), dtype=dtype)
    problem = BilevelProblem(
        lambda w, a: size * ((x @ w - 1).square().mean() + a.exp() * w.square().sum()),
        lambda w, a: (w - 1).square().sum(),
    )
    with pytest.raises(NonFiniteError, match=r"squares of such numbers.*Multiply the inner loss"):
        estimator(problem, ONES.to(dtype) / 2, decay)
    beside = BilevelProblem(lambda w, a: problem.inner(w, a) / size, problem.outer)
    assert math.isfinite(float(estimator(beside, ONES.to(dtype) / 2, decay).total))


@pytest.mark.parametrize("estimator", [Certified(), Minres(), Minres(tolerance=None)], ids=repr)
def test_lengths_that_overflow_are_no_missing_curvature(estimator: Any) -> None:
    """q was 0 there, "no curvature was met", and MINRES called H singular or indefinite."""
    weights = torch.tensor([1.0, 2.0, 3.0])
    problem = BilevelProblem(
        lambda w, a: 1e20 * ((weights * w.square()).sum() + a * w.sum()),
        lambda w, a: (w - 1).square().sum(),
    )
    with pytest.raises(NonFiniteError, match=r"squares.*too large.*Multiply the inner loss"):
        estimator(problem, -0.5 / weights, torch.tensor(1.0))


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize("size", [1e-22, 1e-18, 1e25])
@pytest.mark.parametrize(
    "estimator",
    [Certified(mu=0.9), ConjugateGradient(), Minres(), Neumann(9), Landweber(9), Nystrom(2, 1e-3)],
    ids=repr,
)
def test_an_outer_gradient_whose_squares_lose_digits_gives_no_residual(
    estimator: Any, size: float
) -> None:
    """In float32 residuals of 0 and certified errors were below the true ones."""
    problem = BilevelProblem(
        lambda w, a: (X.float() @ w - 1).square().sum() + a.exp() * w.square().sum(),
        lambda w, a: size * (w - 1).square().sum(),
    )
    with pytest.raises(NonFiniteError, match=r"squares.*torch.float32.*Multiply the outer loss"):
        estimator(problem, torch.full((3,), 0.5), torch.tensor(0.0))


def test_a_step_that_its_dtype_cannot_hold_is_told_with_what_to_do() -> None:
    problem = BilevelProblem(
        lambda w, a: 1e-44 * (a * w.square()).sum(), lambda w, a: (w - 1).square().sum()
    )
    with pytest.raises(NonFiniteError, match=r"a step of conjugate.*Multiply the inner loss"):
        ConjugateGradient()(problem, torch.full((3,), 0.5), torch.tensor(1.0))


def test_an_outer_gradient_that_underflows_is_not_zero() -> None:
    tiny = BilevelProblem(ridge, lambda w, a: 1e-250 * (w - 1).square().sum())
    for estimator in (ConjugateGradient(), Certified(), Minres()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypergradientWarning)
            with pytest.raises(NonFiniteError, match="Multiply the outer loss"):
                estimator(tiny, 2 * ONES, ONES)


@pytest.mark.parametrize("rows", [3, 70])
def test_a_mixed_derivative_that_is_nan_is_told_by_the_certificate(rows: int) -> None:
    """70: beyond the rows for which BBᵀ is formed, where the bound comes from probes."""
    alpha = torch.zeros(rows, dtype=f64)
    problem = BilevelProblem(
        lambda w, a: (X @ w - 1).square().mean() + w.square().sum() + (a.abs().sqrt() * w[0]).sum(),
        lambda w, a: (w - 1).square().sum(),
    )
    with pytest.raises(NonFiniteError, match=r"a product with B has norm (nan|inf)"):
        Certified(stationary=None)(problem, 2 * ONES, alpha)


@pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        Exact(),
        ConjugateGradient(),
        ConjugateGradient(preconditioner=NystromPreconditioner(2)),
        ConjugateGradient(preconditioner=DiagonalPreconditioner()),
        Neumann(100),
    ],
    ids=repr,
)
def test_a_solution_that_underflows_is_not_zero(estimator: Estimator) -> None:
    """q is 1e-48 and no number of float32, and g₂ = −Bq would be one."""
    weights = torch.tensor([1.0, 2.0, 3.0])
    problem = BilevelProblem(
        lambda w, a: 1e33 * ((weights * w.square()).sum() + a * w.sum()),
        lambda w, a: 1e-15 * (w - weights).square().sum(),
    )
    with pytest.raises(NonFiniteError, match=r"too (small or too )?large.*Multiply the inner loss"):
        estimator(problem, -0.5 / weights, torch.tensor(1.0))

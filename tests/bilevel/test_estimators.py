"""Every estimator against dense algebra, for purity, cost, scaling and dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector
from bilevel.estimators import (
    Amended,
    ConjugateGradient,
    DartsSecondOrder,
    Exact,
    FirstOrder,
    Identity,
    Status,
)
from tests.dense import dense, ravel
from tests.estimators import ESTIMATORS, ETA
from tests.quadratics import Case, nested, quadratic, random_quadratic, roundoff, scalar

# where H is indefinite, or a step too long for it, the values are still to be right
pytestmark = pytest.mark.filterwarnings("ignore::bilevel.estimators.HypergradientWarning")

CASES = {"quadratic": random_quadratic, "nested": nested, "scalar": scalar}
seeds = st.integers(0, 2**31 - 1)
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_case = pytest.mark.parametrize("kind", CASES)


def close(actual: Any, expected: torch.Tensor, relative: float) -> bool:
    flat, _ = ravel(actual)
    return bool((flat - expected).norm() <= relative * (1 + expected.norm()))


def at(case: Case) -> Any:
    return dense(case.problem.inner, case.problem.outer, *case.point)


@every_estimator
@every_case
@given(seed=seeds)
def test_equals_the_dense_oracle(name: str, kind: str, seed: int) -> None:
    row, case = ESTIMATORS[name], CASES[kind](seed)
    oracle = at(case)
    expected = row.oracle(oracle, ETA)
    if expected is None:
        assert row.refusal is not None
        with pytest.raises(row.refusal[0], match=row.refusal[1]):
            row.make(ETA, Autograd())(case.problem, *case.point)
        return
    result = row.make(ETA, Autograd())(case.problem, *case.point)
    direct, implicit = expected
    tolerance = row.tolerance(oracle)
    assert close(result.direct, direct, tolerance)
    assert close(result.implicit, implicit, tolerance)
    assert close(result.total, direct + implicit, tolerance)


@every_estimator
@every_case
def test_equals_the_dense_oracle_in_float32(name: str, kind: str) -> None:
    row, case = ESTIMATORS[name], CASES[kind](7, dtype=torch.float32)
    result = row.make(ETA, Autograd())(case.problem, *case.point)
    oracle = at(case)
    expected = row.oracle(oracle, ETA)
    assert expected is not None
    direct, implicit = expected
    assert Vector.of(result.total).dtype == torch.float32
    # one product loses about n·eps; Exact loses cond(H) times that, see `roundoff`
    tolerance = max(10 * roundoff(oracle.hessian), row.tolerance(oracle))
    assert close(result.total, direct + implicit, tolerance)


@every_estimator
@every_case
def test_returns_the_structure_of_alpha(name: str, kind: str) -> None:
    case = CASES[kind](3)
    result = ESTIMATORS[name].make(ETA, Autograd())(case.problem, *case.point)
    for tree in (result.direct, result.implicit, result.total):
        assert Vector.of(tree).treespec == Vector.of(case.alpha).treespec
        assert [leaf.shape for leaf in Vector.of(tree).leaves] == [
            leaf.shape for leaf in Vector.of(case.alpha).leaves
        ]
        assert not any(leaf.requires_grad for leaf in Vector.of(tree).leaves)


@every_estimator
@pytest.mark.parametrize("derivatives", [Autograd(), CentralDifference()], ids=repr)
def test_writes_nothing(name: str, derivatives: Any) -> None:
    case = nested(5)
    leaves = [*Vector.of(case.omega).leaves, *Vector.of(case.alpha).leaves]
    for leaf in leaves:
        leaf.requires_grad_()
    before = [leaf.detach().clone() for leaf in leaves]
    random_state = torch.get_rng_state()
    ESTIMATORS[name].make(ETA, derivatives)(case.problem, *case.point)
    assert all(torch.equal(a, b) for a, b in zip(leaves, before, strict=True))
    assert all(leaf.grad is None and leaf.requires_grad for leaf in leaves)
    assert torch.equal(random_state, torch.get_rng_state())


class Counted:
    """A problem that counts how often each of its losses is evaluated."""

    def __init__(self, case: Case) -> None:
        self.inner = self.outer = 0

        def inner(omega: Any, alpha: Any) -> torch.Tensor:
            self.inner += 1
            return case.problem.inner(omega, alpha)

        def outer(omega: Any, alpha: Any) -> torch.Tensor:
            self.outer += 1
            return case.problem.outer(omega, alpha)

        self.problem = BilevelProblem(inner, outer)


@every_estimator
def test_costs_the_stated_number_of_gradients_with_central_differences(name: str) -> None:
    row, case = ESTIMATORS[name], nested(2)
    counted = Counted(case)
    row.make(ETA, CentralDifference())(counted.problem, *case.point)
    assert counted.outer == row.outer_gradients
    if row.inner_gradients is not None:
        assert counted.inner == row.inner_gradients(Vector.of(case.omega).numel)


def test_costs_one_four_and_five_gradients_as_the_design_says() -> None:
    totals = {}
    for name in ("FirstOrder", "Identity", "DartsSecondOrder", "Amended"):
        row = ESTIMATORS[name]
        assert row.inner_gradients is not None
        totals[name] = row.outer_gradients + row.inner_gradients(11)
    assert totals == {"FirstOrder": 1, "Identity": 3, "DartsSecondOrder": 4, "Amended": 5}


@every_estimator
def test_evaluates_the_inner_loss_once_for_all_products_with_autograd(name: str) -> None:
    row, case = ESTIMATORS[name], nested(2)
    counted = Counted(case)
    row.make(ETA, Autograd())(counted.problem, *case.point)
    assert (counted.outer, counted.inner) == (row.outer_gradients, row.graphs)


@every_estimator
@given(seed=seeds, c=st.floats(0.1, 10))
def test_coefficient_has_units_of_inverse_curvature(name: str, seed: int, c: float) -> None:
    """c·L_train with η/cᵖ gives what L_train gives with η: p = 1 for Identity, 2 for Amended."""
    row, case = ESTIMATORS[name], random_quadratic(seed)
    scaled = BilevelProblem(lambda w, a: c * case.problem.inner(w, a), case.problem.outer)
    plain = row.make(ETA, Autograd())(case.problem, *case.point)
    units = row.make(ETA / c**row.power, Autograd())(scaled, *case.point)
    assert close(units.implicit, ravel(plain.implicit)[0], row.tolerance(at(case)))


@given(seed=seeds, c=st.floats(0.1, 10))
def test_amended_term_grows_with_the_square_of_the_inner_loss(seed: int, c: float) -> None:
    case = random_quadratic(seed)
    scaled = BilevelProblem(lambda w, a: c * case.problem.inner(w, a), case.problem.outer)
    plain, louder = (Amended(ETA)(p, *case.point).implicit for p in (case.problem, scaled))
    assert close(louder, c**2 * plain, 1e-9)


def test_solves_report_products_status_and_residual() -> None:
    case = nested(4)
    n = Vector.of(case.omega).numel
    assert FirstOrder()(case.problem, *case.point).solve is None
    amended = Amended(ETA)(case.problem, *case.point).solve
    assert amended is not None
    assert (amended.products, amended.status) == (1, Status.TRUNCATED)
    exact = Exact()(case.problem, *case.point).solve
    assert exact is not None
    assert (exact.products, exact.status) == (n, Status.CONVERGED)
    assert exact.residual is not None
    assert exact.residual < 1e-12


def test_darts_differentiates_one_momentum_step() -> None:
    """Liu et al. 2019, Eq. 7: the estimate is d/dα L_val(ω − ξ(μ·velocity + ∇L_train + λω), α)."""
    case = nested(8)
    velocity = nested(9).omega
    w0, omega_of = ravel(case.omega)
    a0, alpha_of = ravel(case.alpha)
    v0, _ = ravel(velocity)
    xi, momentum, decay = 0.2, 0.9, 0.03

    def unrolled(a: torch.Tensor) -> torch.Tensor:
        def train(w: torch.Tensor) -> torch.Tensor:
            return case.problem.inner(omega_of(w), alpha_of(a))

        step = momentum * v0 + torch.func.grad(train)(w0) + decay * w0
        return case.problem.outer(omega_of(w0 - xi * step), alpha_of(a))

    estimator = DartsSecondOrder(xi, momentum=momentum, weight_decay=decay, velocity=velocity)
    result = estimator(case.problem, *case.point)
    assert close(result.total, torch.func.grad(unrolled)(a0), 1e-12)


@pytest.mark.parametrize("eta", [0.0, -0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("make", [Amended, Identity, DartsSecondOrder])
def test_refuses_a_coefficient_that_is_not_positive(make: Any, eta: float) -> None:
    with pytest.raises(ValueError, match=f"{eta}.*must be positive"):
        make(eta)


def test_darts_without_xi_says_where_to_get_it() -> None:
    case = nested(1)
    with pytest.raises(ValueError, match="Give xi"):
        DartsSecondOrder()(case.problem, *case.point)


def test_exact_refuses_an_indefinite_hessian_and_states_its_smallest_eigenvalue() -> None:
    case = quadratic([[1, 0], [0, -2]], [[1, 1]], [1, 1])
    with pytest.raises(ValueError, match=r"smallest eigenvalue -2.*weight decay above 2"):
        Exact()(case.problem, *case.point)


def test_exact_refuses_more_parameters_than_allowed() -> None:
    case = random_quadratic(0)
    with pytest.raises(ValueError, match="stops at 0 parameters"):
        Exact(largest=0)(case.problem, *case.point)


@pytest.mark.parametrize("part", [0.0, 1e-9, 1e-4, 0.1, 1.0])
def test_convergence_of_cg_is_evidence_of_a_definite_hessian_only_from_zero(part: float) -> None:
    """`part` of ∇_ω L_val lies along the eigenvector with λ = −2."""
    tolerance = 1e-6
    spectrum = torch.tensor([1.0, 1.5, 3.0, -2.0], dtype=torch.float64)
    slope = torch.tensor([1.0, 1.0, 1.0, part], dtype=torch.float64)
    case = quadratic(torch.diag(spectrum), [[1, 1, 1, 1]], slope)
    estimator = ConjugateGradient(tolerance=tolerance)
    cold = estimator(case.problem, *case.point).solve
    warm = replace(estimator, start=slope / spectrum)(case.problem, *case.point).solve
    assert cold is not None
    converged = cold.status is Status.CONVERGED
    assert not converged or part < tolerance * float(slope.norm())
    assert converged == (part < 1e-8)
    assert warm is not None
    assert warm.status is Status.CONVERGED
    assert "From a `start` it is evidence of the start's residual only" in " ".join(
        str(ConjugateGradient.__doc__).split()
    )

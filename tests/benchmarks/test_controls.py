"""Controls: each keeps g₁ and one property of the amended term, and no other."""

import pytest
import torch

from benchmarks.experiments.controls import AtNormOf, Flipped, RandomDirection, TowardsZero
from bilevel import BilevelProblem, Vector
from bilevel.alternation import outer_step
from bilevel.estimators import Amended, DartsSecondOrder, Identity
from tests.quadratics import quadratic

AMENDED = Amended(eta=0.1)
CASE = quadratic(
    hessian=[[3, 1, 0], [1, 2, -1], [0, -1, 4]], mixed=[[1, 0, 2], [0, 1, 1]], slope=[1, -2, 3]
)
ALPHA = torch.tensor([3.0, -4.0], dtype=torch.float64)
CONTROLS = [
    Flipped(AMENDED),
    RandomDirection(AMENDED),
    TowardsZero(AMENDED),
    AtNormOf(AMENDED, Identity(eta=0.7)),
]
EPS = 16 * torch.finfo(torch.float64).eps
"""A handful of roundings of numbers of the size of the result."""


def term(estimator) -> Vector:
    return Vector.of(estimator(CASE.problem, CASE.omega, ALPHA).implicit)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: type(c).__name__)
def test_g1_is_kept_and_g2_has_the_size_it_says(control):
    found, amended = (e(CASE.problem, CASE.omega, ALPHA) for e in (control, AMENDED))
    assert torch.equal(found.direct, amended.direct)
    assert found.outer_loss == amended.outer_loss
    of = control.other if isinstance(control, AtNormOf) else AMENDED
    size = float(term(of).norm())
    assert abs(float(term(control).norm()) - size) <= EPS * size


def test_flipped_is_the_opposite():
    assert torch.equal(term(Flipped(AMENDED)).flat(), -term(AMENDED).flat())


def cosine(first: Vector, second: Vector) -> float:
    return float(first.dot(second)) / float(first.norm() * second.norm())


def test_towards_zero_descends_along_alpha():
    assert cosine(term(TowardsZero(AMENDED)), Vector.of(ALPHA)) == pytest.approx(1, abs=EPS)


def test_at_the_norm_of_another_the_direction_stays():
    found = term(AtNormOf(AMENDED, Identity(eta=0.7)))
    assert cosine(found, term(AMENDED)) == pytest.approx(1, abs=EPS)


def test_a_random_direction_is_a_function_of_the_term_and_differs_between_terms():
    control = RandomDirection(AMENDED)
    assert torch.equal(term(control).flat(), term(control).flat())
    other = RandomDirection(Amended(eta=0.2))
    assert cosine(term(control), term(other)) < 1 - EPS


def test_estimators_within_follow_the_optimiser():
    omega = {"w": torch.zeros(2, requires_grad=True)}
    optimizer = torch.optim.SGD(omega.values(), lr=0.3)
    found = AtNormOf(DartsSecondOrder(), DartsSecondOrder()).following(optimizer, omega, clip=2.0)
    alone = DartsSecondOrder().following(optimizer, omega, clip=2.0)
    assert found.inner == found.other == alone
    assert alone != DartsSecondOrder().following(optimizer, omega)
    (only,) = Flipped(DartsSecondOrder()).following(optimizer, omega, clip=2.0).inner.step.leaves
    assert only.lr == 0.3


def test_a_search_can_take_a_step_with_every_control():
    """As the loop of a search calls it, gradient clipping included."""
    for control in CONTROLS:
        omega, alpha = (
            {"x": torch.ones(n, dtype=torch.float64, requires_grad=True)} for n in (3, 2)
        )
        problem = BilevelProblem(
            lambda w, a: CASE.problem.inner(w["x"], a["x"]) + a["x"].square().sum(),
            lambda w, a: CASE.problem.outer(w["x"], a["x"]) + a["x"].square().sum(),
        )
        outer, inner = (torch.optim.SGD(each.values(), lr=0.1) for each in (alpha, omega))
        outer_step(problem, omega, alpha, estimator=control, outer=outer, inner=inner, clip=5.0)
        assert not torch.equal(alpha["x"], torch.ones(2, dtype=torch.float64))

"""Controls: each keeps one property of the amended term, and no other."""

import copy
import math

import pytest
import torch

from benchmarks.experiments.controls import (
    AtNormOf,
    Control,
    Flipped,
    RandomDirection,
    RandomSign,
    TowardsLessCurvature,
    TowardsZero,
)
from bilevel import BilevelProblem, Vector
from bilevel.alternation import outer_step
from bilevel.estimators import Amended, DartsSecondOrder, Identity
from tests.quadratics import quadratic

AMENDED = Amended(eta=0.1)
CASE = quadratic(
    hessian=[[3, 1, 0], [1, 2, -1], [0, -1, 4]],
    mixed=[[1, 0, 2], [0, 1, 1]],
    outer_gradient=[1, -2, 3],
)
ALPHA = torch.tensor([3.0, -4.0], dtype=torch.float64)
AT_A_NORM = [
    Flipped(AMENDED),
    RandomDirection(AMENDED),
    TowardsZero(AMENDED),
    AtNormOf(AMENDED, Identity(eta=0.7)),
    RandomSign(AMENDED),
]
CONTROLS = [*AT_A_NORM, TowardsLessCurvature(AMENDED)]
EPS = 16 * torch.finfo(torch.float64).eps
"""A handful of roundings of numbers of the size of the result."""


def term(estimator) -> Vector:
    return Vector.of(estimator(CASE.problem, CASE.omega, ALPHA).implicit)


@pytest.mark.parametrize("control", AT_A_NORM, ids=lambda c: type(c).__name__)
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


def test_towards_zero_descends_along_alpha_less_its_mean():
    """Of 3 and −4 that is 3.5 and −3.5."""
    less = Vector.of(torch.tensor([3.5, -3.5], dtype=torch.float64))
    assert cosine(term(TowardsZero(AMENDED)), less) == pytest.approx(1, abs=EPS)


@pytest.mark.parametrize("control", [RandomDirection(AMENDED), TowardsZero(AMENDED)])
def test_nothing_goes_where_no_mixing_weight_moves(control):
    """On two cells of three and one edges, each edge's numbers sum to 0."""
    cells = {
        kind: torch.linspace(-1, 2, edges * 5, dtype=torch.float64).reshape(edges, 5).square()
        for kind, edges in (("normal", 3), ("reduce", 1))
    }
    found = control.in_place_of(
        Vector.of(cells), CASE.problem, Vector.of(CASE.omega), Vector.of(cells)
    )
    for leaf in found.leaves:
        assert bool((leaf.sum(1).abs() <= EPS * leaf.norm()).all())
    assert float(found.norm()) == pytest.approx(float(Vector.of(cells).norm()), rel=EPS)


def test_at_the_norm_of_another_the_direction_stays():
    found = term(AtNormOf(AMENDED, Identity(eta=0.7)))
    assert cosine(found, term(AMENDED)) == pytest.approx(1, abs=EPS)


TERM = torch.tensor([0.3, -2.0, 1.5, 0.25], dtype=torch.float64)
DRAWS = 2000


def in_place_of(control: Control, term: torch.Tensor) -> torch.Tensor:
    return control.in_place_of(
        Vector.of(term), CASE.problem, Vector.of(CASE.omega), Vector.of(ALPHA)
    ).flat()


def test_a_random_direction_is_a_function_of_the_term_and_differs_between_terms():
    control = RandomDirection(AMENDED)
    once, again, other = (in_place_of(control, term) for term in (TERM, TERM, 1.1 * TERM))
    assert torch.equal(once, again)
    assert cosine(Vector.of(once), Vector.of(other)) < 0.99


def many_draws(control: Control) -> torch.Tensor:
    """What stands for the term, at terms that differ by a few roundings alone [draws m]."""
    steps = range(DRAWS)
    return torch.stack([in_place_of(control, TERM * (1 + 1e-15 * k)) for k in steps])


def test_noise_of_the_terms_covariance_has_its_second_moments_and_no_mean():
    found = many_draws(RandomSign(AMENDED))
    moments = found.T @ found / DRAWS
    assert torch.allclose(moments, torch.outer(TERM, TERM), rtol=1e-11, atol=0)
    assert len({tuple(row.sign().tolist()) for row in found}) == 2  # t or −t, never a mixture
    share = float((found[:, 0] > 0).double().mean())
    assert abs(share - 0.5) < FIVE_SIGMA / 2


FIVE_SIGMA = 5 / math.sqrt(DRAWS)
"""Five standard deviations of a mean of draws from {−1, 1}; the draws are fixed."""


def curved() -> BilevelProblem:
    """L_train with H(α) = diag(e^α₀, α₁², α₀α₁) + tilt, and ∇_ω L_val = (1, −2, 2) at ω = 0."""
    tilt = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.float64)

    def inner(omega, alpha):
        diagonal = torch.stack([alpha[0].exp(), alpha[1].square(), alpha[0] * alpha[1]])
        bends = 0.5 * omega @ (diagonal * omega + alpha[0] * (tilt @ omega))
        odd = alpha[0] * omega[0] + alpha[1] * omega[2] + alpha[1] * omega.pow(3).sum()
        return bends + odd + alpha[0] * omega.pow(4).sum()

    slope = torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64)
    return BilevelProblem(inner, lambda omega, alpha: slope @ omega + 0.1 * alpha.square().sum())


@pytest.mark.parametrize("h", [0.3, 0.01])
def test_the_penalty_descends_on_curvature_along_the_outer_slope(h):
    """By hand, at ω = 0: 9c = e^α₀ + 4α₁² + 4α₀α₁ − 4α₀ + 9 · 2h² α₀ Σv⁴, and Σv⁴ = 33/81."""
    first, second = 0.4, -0.7
    alpha = torch.tensor([first, second], dtype=torch.float64)
    omega = torch.zeros(3, dtype=torch.float64)
    by_hand = torch.tensor(
        [math.exp(first) + 4 * second - 4 + 22 / 3 * h**2, 8 * second + 4 * first],
        dtype=torch.float64,
    )
    found, amended = (
        Vector.of(e(curved(), omega, alpha).implicit)
        for e in (TowardsLessCurvature(AMENDED, h=h), AMENDED)
    )
    size = float(amended.norm())
    wanted = by_hand * (size / by_hand.norm())
    error = EPS / h  # of gradients of size h, whose differences have size h²
    assert torch.allclose(found.flat(), wanted, rtol=0, atol=error * size)


def test_the_penalty_is_zero_where_curvature_does_not_depend_on_alpha():
    assert not term(TowardsLessCurvature(AMENDED)).flat().any()


@pytest.mark.parametrize(
    "control", [c for c in CONTROLS if not isinstance(c, AtNormOf)], ids=lambda c: type(c).__name__
)
def test_where_the_term_is_zero_only_first_order_is_left(control):
    none = torch.zeros(2, dtype=torch.float64)
    assert not in_place_of(control, none).any()


@pytest.mark.parametrize("control", [RandomDirection(AMENDED), RandomSign(AMENDED)])
def test_draws_leave_the_global_generator_and_do_not_depend_on_it(control):
    torch.manual_seed(0)
    before, found = torch.get_rng_state(), in_place_of(control, TERM)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(in_place_of(control, TERM), found)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: type(c).__name__)
def test_a_resumed_search_goes_on_with_the_same_bits(control):
    """Ten steps at once, or five, and five more from what a checkpoint holds."""
    kept: list[dict] = []
    whole = taken(control, {}, 10, kept)
    assert taken(control, kept[4], 5, []) == whole


def taken(control: Control, state: dict, steps: int, kept: list[dict]) -> list[float]:
    """α after so many steps from a state; appends the state after each of them."""
    omega = torch.full((3,), 0.5, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor([0.4, -0.7], dtype=torch.float64, requires_grad=True)
    inner, outer = torch.optim.SGD([omega], lr=0.01), torch.optim.Adam([alpha], lr=5e-3)
    if state:
        with torch.no_grad():
            omega.copy_(state["omega"])
            alpha.copy_(state["alpha"])
        outer.load_state_dict(state["outer"])
    estimator = copy.deepcopy(control)
    for _ in range(steps):
        outer_step(curved(), omega, alpha, estimator=estimator, outer=outer, inner=inner)
        with torch.no_grad():
            omega -= 0.01 * curved().inner_gradient(Vector.of(omega), Vector.of(alpha))[1].flat()
        kept.append(
            copy.deepcopy(
                {"omega": omega.detach(), "alpha": alpha.detach(), "outer": outer.state_dict()}
            )
        )
    return alpha.tolist()


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

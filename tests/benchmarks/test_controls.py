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
    SquaresOf,
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
CONTROLS = [*AT_A_NORM, SquaresOf(AMENDED), TowardsLessCurvature(AMENDED)]
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


TERM = torch.tensor([0.3, -2.0, 1.5, 0.25], dtype=torch.float64)
DIRECT = torch.tensor([-0.1, 0.5, 3.0, -1.0], dtype=torch.float64)
"""g₁, larger than g₁ + the term in the last coordinate alone."""
DRAWS = 2000


def in_place_of(control: Control, term: torch.Tensor, direct: torch.Tensor) -> torch.Tensor:
    return control.in_place_of(
        Vector.of(term), Vector.of(direct), CASE.problem, Vector.of(CASE.omega), Vector.of(ALPHA)
    ).flat()


def many_draws(control: Control) -> torch.Tensor:
    """What stands for the term, at terms that differ by a few roundings alone [draws m]."""
    steps = range(DRAWS)
    return torch.stack([in_place_of(control, TERM * (1 + 1e-15 * k), DIRECT) for k in steps])


def test_noise_of_the_terms_covariance_has_its_second_moments_and_no_mean():
    found = many_draws(RandomSign(AMENDED))
    moments = found.T @ found / DRAWS
    assert torch.allclose(moments, torch.outer(TERM, TERM), rtol=1e-11, atol=0)
    assert len({tuple(row.sign().tolist()) for row in found}) == 2  # t or −t, never a mixture
    share = float((found[:, 0] > 0).double().mean())
    assert abs(share - 0.5) < FIVE_SIGMA / 2


FIVE_SIGMA = 5 / math.sqrt(DRAWS)
"""Five standard deviations of a mean of draws from {−1, 1}; the draws are fixed."""


def test_squares_are_those_of_the_total_and_the_mean_is_g1_as_far_as_they_allow():
    total = DIRECT + many_draws(SquaresOf(AMENDED))
    amended = DIRECT + TERM
    assert torch.allclose(total.abs(), amended.abs().expand_as(total), rtol=1e-11, atol=0)
    size = amended.abs()
    wanted = torch.clamp(DIRECT, -size, size)
    assert wanted.tolist() == [*DIRECT[:3].tolist(), -0.75]
    assert bool(((total.mean(0) - wanted).abs() <= FIVE_SIGMA * size).all())
    signs = total[:, :2].sign()
    together = float((signs[:, 0] * signs[:, 1]).mean() - signs.mean(0).prod())
    assert abs(together) < FIVE_SIGMA  # coordinates are drawn by themselves


def test_adam_divides_by_the_second_moment_of_the_amended_search():
    """Along the same gradients, α's Adam holds the same exp_avg_sq, and another exp_avg."""
    state = []
    for control in (None, SquaresOf(AMENDED)):
        alpha = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        adam = torch.optim.Adam([alpha], lr=5e-3, betas=(0.5, 0.999))
        for k in range(20):
            term, direct = TERM * (1 + 0.1 * k), DIRECT * math.cos(k)
            alpha.grad = direct + (term if control is None else in_place_of(control, term, direct))
            adam.step()
        state.append(adam.state[alpha])
    first, second = state
    assert torch.allclose(first["exp_avg_sq"], second["exp_avg_sq"], rtol=1e-12, atol=0)
    assert not torch.allclose(first["exp_avg"], second["exp_avg"], rtol=0.1)


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
    none = torch.zeros(4 if isinstance(control, SquaresOf) else 2, dtype=torch.float64)
    direct = DIRECT[: len(none)]
    assert not in_place_of(control, none, direct).any()


@pytest.mark.parametrize(
    "control", [RandomDirection(AMENDED), RandomSign(AMENDED), SquaresOf(AMENDED)]
)
def test_draws_leave_the_global_generator_and_do_not_depend_on_it(control):
    torch.manual_seed(0)
    before, found = torch.get_rng_state(), in_place_of(control, TERM, DIRECT)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(in_place_of(control, TERM, DIRECT), found)


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

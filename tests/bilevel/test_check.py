"""`bilevel.check` names planted faults, and is silent about sound problems."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector, check, compare, recommend
from bilevel.connection import DisconnectedError
from bilevel.derivatives import ReverseOverForward
from bilevel.diagnostics import CheckFailedError
from bilevel.diagnostics.culprit import culprits
from bilevel.diagnostics.in_double import doubled, in_double
from bilevel.estimators import Amended
from bilevel.estimators.alerts import CheckFailed
from bilevel.problems import quadratic
from tests import documents
from tests.planted_faults import PLANTED, case, determined, penalised
from tests.sound_problems import SOUND, SUPERNETS, sound_problem


def test_there_are_as_many_faults_and_sound_problems_as_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "CHECK.md").read_text(encoding="utf-8")
    said = re.search(r"(\d+) planted faults,.*?and to (\d+) sound", page, re.DOTALL)
    assert said is not None
    assert (len(PLANTED), len(SOUND)) == tuple(map(int, said.groups()))
    assert len(PLANTED) >= 20
    assert len(SOUND) >= 50


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_named(name: str) -> None:
    planted = PLANTED[name]
    report = check(*planted.make(), derivatives=planted.derivatives)
    assert not report.ok
    assert re.search(planted.words, str(report), re.DOTALL), str(report)
    with pytest.raises(CheckFailedError, match="wrong"):
        report.raise_if_wrong()


@pytest.mark.parametrize("name", [name for name in SOUND if name not in SUPERNETS])
def test_a_sound_problem_raises_no_alarm(name: str) -> None:
    report = check(*sound_problem(name))
    assert report.ok, str(report)
    assert "Nothing wrong was found" in str(report)
    assert 20 < report.cost.in_gradients < 50
    assert f"about {report.cost.in_gradients:.0f} gradients in all" in str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", SUPERNETS)
def test_a_supernet_raises_no_alarm(name: str) -> None:
    report = check(*sound_problem(name))
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cleaning", "mixture", "mlp, ReLU, float64", "loss weights"])
def test_no_alarm_for_other_directions_and_the_other_ways(name: str) -> None:
    for seed in range(5):
        assert check(*sound_problem(name), seed=seed).ok
    if name == "mlp, ReLU, float64":
        assert check(*sound_problem(name), derivatives=ReverseOverForward()).ok


def test_the_same_seed_gives_the_same_report_and_nothing_is_written() -> None:
    problem, omega, alpha = sound_problem("batch norm, float32")
    before = {name: leaf.clone() for name, leaf in omega.items()}
    state = torch.get_rng_state()
    first, second = (str(check(problem, omega, alpha)) for _ in range(2))
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(omega[name], before[name]) for name in omega)
    assert all(leaf.grad is None for leaf in omega.values())


@pytest.mark.parametrize(
    ("tokens", "masked", "said"),
    [([0, 1, 2, 1], False, True), ([0, 1, 2, 1], True, False), ([0, 2, 2, 0], False, False)],
)
def test_rows_of_padding_that_count_are_told_of(
    tokens: list[int], masked: bool, said: bool
) -> None:
    """One that never occurs, or is masked, is a row like others with a gradient of 0."""
    at, kept = torch.tensor(tokens), torch.tensor(tokens)[:, None] != (1 if masked else 7)

    def loss(net: nn.Module, alpha: Tensor) -> Tensor:
        decay = alpha.exp() * net.weight.square().sum()
        return ((net(at) * kept).sum(1) - 1).sin().square().sum() + decay

    torch.manual_seed(0)
    net = nn.Embedding(3, 2, padding_idx=1, dtype=torch.float64)
    alpha = torch.zeros((), dtype=torch.float64)
    report = check(*BilevelProblem.from_module(net, loss, loss, hyperparams=alpha))
    assert report.ok
    assert ("note, ω['weight']: its row 1 is the padding" in str(report)) == said


def test_an_outer_loss_whose_padding_the_inner_one_trains_is_named() -> None:
    at = torch.tensor([0, 1, 2, 1])

    def loss(w: Tensor, padding: int | None) -> Tensor:
        return (F.embedding(at, w, padding_idx=padding) - 1).sin().square().sum()

    report = check(
        BilevelProblem(
            lambda w, a: loss(w, None) + a.exp() * w.square().sum(), lambda w, a: loss(w, 1)
        ),
        torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2),
        torch.zeros((), dtype=torch.float64),
    )
    assert "∇_ω L_val is not the derivative of its values" in str(report)


def test_iterators_are_points_like_lists() -> None:
    x, net = torch.randn(6, 3, dtype=torch.float64), torch.nn.Linear(3, 1, dtype=torch.float64)

    def loss(w: list[Tensor], a: list[Tensor]) -> Tensor:
        return (x @ w[0].T + w[1] - 1).square().mean() + a[0].exp() * w[0].square().sum()

    problem, alpha = BilevelProblem(loss, loss), torch.zeros((), dtype=torch.float64)
    report = check(problem, net.parameters(), iter([alpha]))
    assert report.ok, str(report)
    assert str(report) == str(check(problem, list(net.parameters()), [alpha]))


def test_where_the_gradient_jumps_in_float64_another_point_is_the_remedy() -> None:
    def loss(w: Tensor, a: Tensor) -> Tensor:
        return w.abs().sum() + (1 + a.exp()) * (w - 1).square().sum()

    zero = torch.zeros(4, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    report = str(check(BilevelProblem(loss, loss), *zero))
    assert re.search("differences cannot tell .* H are right.*Check at another point", report)
    assert "float64" not in report


def test_differences_are_judged_by_their_own_standard() -> None:
    report = check(*quadratic().point, derivatives=CentralDifference())
    assert report.ok, str(report)


@pytest.mark.parametrize(
    ("loss", "how", "where", "operation"),
    [
        (penalised, Autograd(), "bilevel.problem", "layer_norm"),
        (determined, ReverseOverForward(), "bilevel.derivatives.reverse_over_forward", "logdet"),
    ],
)
def test_the_operation_at_fault_is_found_without_a_list(
    loss, how, where: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the list of known faults out of the way, each operation is tried alone."""
    monkeypatch.setattr(f"{where}.refuse_wrong", lambda *_: None)
    problem, omega, alpha = case(loss)()
    assert culprits(problem, Vector.of(omega), Vector.of(alpha), how, 0) == [operation]
    report = check(problem, omega, alpha, derivatives=how)
    assert not report.ok
    assert re.search(rf"products with H.*At fault: {operation}\.", str(report))


@pytest.mark.parametrize("seed", [1, 3])
def test_half_precision_that_is_not_evaluated_in_float64_is_told_and_not_compared(
    seed: int,
) -> None:
    """Its values, rounded to bfloat16, are no derivative's: it was called wrong."""
    torch.manual_seed(seed)
    x, net = torch.randn(64, 8), nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))

    def outer(n: Any, a: Tensor) -> Tensor:
        return (checkpoint(n, x, use_reentrant=False) - 1).square().mean().bfloat16()

    def inner(n: Any, a: Tensor) -> Tensor:
        decay = sum(p.square().sum() for p in n.params.values())
        return (outer(n, a).float() + a.exp() * decay).bfloat16()

    case = BilevelProblem.from_module(net, inner, outer, hyperparams=torch.tensor(-3.0))
    report = check(*case)
    assert report.ok, str(report)
    assert "parts of them are in torch.bfloat16" in str(report)
    assert "without torch.autocast" in str(report)
    assert not check(*case, derivatives=ReverseOverForward()).ok  # it cannot pass a checkpoint


def test_a_problem_in_float64_has_the_values_of_one_written_in_float64() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(5, 3), torch.randn(3, 2)

    def loss(w: Tensor, a: Tensor) -> Tensor:
        rows = torch.zeros(5, 2, dtype=x.dtype)
        rows += torch.tanh((x @ w).float())
        return (rows * a).square().mean()

    wide = in_double(BilevelProblem(loss, loss))
    value = wide.inner(w.double(), torch.ones((), dtype=torch.float64))
    assert value.dtype == torch.float64
    expected = torch.tanh(x.double() @ w.double()).square().mean()
    assert torch.isclose(value, expected, rtol=1e-14)
    assert doubled(Vector.of(w)).dtype == torch.float64


def test_a_checked_derivative_is_marked_and_a_wrong_one_is_not_handed_out() -> None:
    problem, omega, alpha = quadratic().point
    marked = check(problem, omega, alpha).derivatives
    assert marked(problem, Vector.of(omega), Vector.of(alpha)).checked
    wrong = PLANTED["α from the closure"]
    with pytest.raises(CheckFailedError, match="no loss uses it"):
        _ = check(*wrong.make()).derivatives


def test_compare_and_recommend_check_once_and_say_what_is_wrong() -> None:
    calls = {"inner": 0}
    problem, omega, alpha = quadratic(10, 2, condition=5.0).point

    def counting(w: Tensor, a: Tensor) -> Tensor:
        calls["inner"] += 1
        return problem.inner(w, a)

    counted = BilevelProblem(counting, problem.outer)
    check(counted, omega, alpha)
    once, calls["inner"] = calls["inner"], 0
    table = compare(counted, omega, alpha, [Amended(0.1)], repetitions=0)
    assert once < calls["inner"] < 2 * once  # the check, the reference's graph and the estimate's
    assert "Nothing wrong was found" in str(table)
    advice = recommend(problem, omega, alpha)
    assert advice.check.ok
    assert advice.comparison.check is advice.check
    found = advice.estimator(problem, omega, alpha).certificate
    assert found is not None
    assert not any("bilevel.check" in text for text in found.assumes)

    faulty = PLANTED["L_val without ω"].make()
    with pytest.warns(CheckFailed, match="it does not depend on ω"):
        assert "it does not depend on ω" in str(compare(*faulty, [Amended(0.1)], repetitions=0))
    with pytest.warns(CheckFailed):
        assert recommend(*faulty).reasons[0].startswith("NOTHING below is to be relied on")


def test_compare_and_recommend_say_what_is_wrong_before_an_estimator_refuses() -> None:
    faulty = PLANTED["α from the closure"].make()
    for ask in (
        lambda: compare(*faulty, [Amended(0.1)], repetitions=0),
        lambda: recommend(*faulty),
    ):
        with (
            pytest.warns(CheckFailed, match="no loss uses it"),
            pytest.raises(DisconnectedError, match="neither loss uses"),
        ):
            ask()


def test_the_report_of_the_documents_example_is_clear() -> None:
    found = documents.run("docs/CHECK.md")
    assert "Nothing wrong was found" in str(found["report"])

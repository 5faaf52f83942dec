"""The scalar example has the closed forms that the paper's appendix states, and our thresholds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bilevel.estimators import Amended, DartsSecondOrder, Exact, FirstOrder, Identity
from toy.scalar import ESTIMATORS, PROBLEM, ClosedForm, main, trajectories


def point(alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.tensor(alpha, dtype=torch.float64)
    return at, at


@pytest.mark.parametrize("alpha", [-2.0, 0.5, 1.0])
def test_estimators_equal_the_closed_forms(alpha: float) -> None:
    truth = ClosedForm()
    exact = Exact()(PROBLEM, *point(alpha))
    assert exact.direct.item() == pytest.approx(truth.direct * alpha)
    assert exact.implicit.item() == pytest.approx(truth.implicit * alpha)
    assert exact.total.item() == pytest.approx(truth.total * alpha)
    assert FirstOrder()(PROBLEM, *point(alpha)).total.item() == pytest.approx(-2 * alpha)
    for eta in (0.1, 0.25, 1.0):
        amended = Amended(eta)(PROBLEM, *point(alpha)).implicit.item()
        assert amended == pytest.approx(truth.amended(eta) * alpha)
        identity = Identity(eta)(PROBLEM, *point(alpha)).implicit.item()
        assert identity == pytest.approx(truth.identity(eta) * alpha)
        # ∇_ω L_train = 0 at ω = ω*: the unrolled point is the point itself
        assert DartsSecondOrder(eta)(PROBLEM, *point(alpha)).implicit.item() == identity


@pytest.mark.parametrize(
    ("eta", "total"), [(0.1, -0.4), (1 / 8, 0.0), (0.126, 0.016), (0.25, 2.0), (1.0, 14.0)]
)
def test_total_with_amended_has_the_right_sign_only_above_one_eighth(
    eta: float, total: float
) -> None:
    assert Amended(eta)(PROBLEM, *point(1.0)).total.item() == pytest.approx(total)


def test_descent_finds_the_minimum_exactly_where_the_total_has_the_right_sign() -> None:
    found = trajectories()
    for name, estimator in ESTIMATORS.items():
        descends = estimator(PROBLEM, *point(1.0)).total.item() > 0
        assert (abs(found[name][-1]) < 0.1) == descends, name
    assert {name for name in found if abs(found[name][-1]) < 0.1} == {
        "exact",
        "amended, η = 0.25",
    }


def test_the_command_draws_the_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(tmp_path)
    assert (tmp_path / "toy_scalar.png").stat().st_size > 10_000
    assert "runs away" in capsys.readouterr().out

"""`compare`: every cell of a row against a value known otherwise."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bilevel import Autograd, CentralDifference, Vector, angle, compare, recommend
from bilevel.diagnostics.cost import Ratio, counted, interleaved_seconds, peak_bytes
from bilevel.diagnostics.reference import reference_for
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    Estimator,
    Exact,
    FirstOrder,
    Hypergradient,
    Identity,
    Landweber,
    Minres,
    Neumann,
    Nystrom,
    Penalty,
    Unrolled,
)
from bilevel.problem import BilevelProblem
from bilevel.problems import logistic_regression, quadratic

f64 = torch.float64
# R1 of the theory: g₂ = +1, amended −η, and DARTS's term exactly 0
R1_H = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=f64)
R1 = BilevelProblem(lambda w, a: 0.5 * w @ R1_H @ w + a * w[0], lambda w, a: w[1] + 3 * a)
R1_POINT = torch.zeros(2, dtype=f64), torch.tensor(0.0, dtype=f64)


@dataclass(frozen=True)
class Doubling(Estimator):
    """Warns twice the same, and gives twice the truth."""

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        for _ in range(2):
            warnings.warn("only a test", UserWarning, stacklevel=1)
        exact = Exact().estimate(problem, omega, alpha)
        return Hypergradient(exact.direct, (2 * Vector.of(exact.implicit)).tree(), 0.0)


def test_accuracy_columns_on_the_counterexample_to_equation_7() -> None:
    """g₁ = 3 and g₂ = 1: amended with η = ½ gives −½, so error 1.5 in g₂ and 1.5/4 in g."""
    table = compare(
        R1, *R1_POINT, [FirstOrder(), Identity(1.0), Amended(0.5), Exact()], repetitions=0
    )
    assert [row.sign for row in table.rows] == [0, 0, -1, 1]
    assert [row.error_implicit for row in table.rows] == pytest.approx([1, 1, 1.5, 0])
    assert [row.error_total for row in table.rows] == pytest.approx([1 / 4, 1 / 4, 1.5 / 4, 0])
    assert [row.angle_implicit_degrees for row in table.rows] == [None, None, 180, 0]
    assert [row.angle_total_degrees for row in table.rows] == [0, 0, 0, 0]
    assert table["Amended(eta=0.5)"].status == "TRUNCATED"


def test_counts_what_each_estimator_asks_for() -> None:
    ready = quadratic(6, 2, seed=2)
    differences = CentralDifference()
    rows = compare(
        *ready.point,
        {
            "first": FirstOrder(),
            "amended": Amended(0.1),
            "amended by differences": Amended(0.1, derivatives=differences),
            "exact": Exact(),
            "exact, four at once": Exact(derivatives=Autograd(chunk=4)),
            "cg": ConjugateGradient(iterations=4, tolerance=None),
        },
        repetitions=0,
    ).rows

    def numbers(row: Any) -> tuple[int, ...]:
        count = row.count
        return (
            count.hessian_products,
            count.mixed_products,
            count.inner_evaluations,
            count.outer_evaluations,
        )

    assert [numbers(row) for row in rows] == [
        (0, 0, 0, 1),
        (1, 1, 1, 1),
        (1, 1, 4, 1),
        (6, 1, 1, 1),
        (6, 1, 1, 1),
        (4, 1, 1, 1),
    ]


def test_a_product_counts_once_however_it_is_taken() -> None:
    """Leaf by leaf, or many at once."""
    ready = quadratic(20, 3, condition=100.0)
    for derivatives in (Autograd(), Autograd(chunk=4)):
        for estimator, products in (
            (ConjugateGradient(5, tolerance=None, derivatives=derivatives), 5),
            (Exact(derivatives=derivatives), 20),
        ):
            watched, problem, count = counted(estimator, ready.problem)
            watched(problem, ready.params, ready.hyperparams)
            assert (count.hessian_products, count.mixed_products) == (products, 1)


def test_an_estimator_that_raises_is_a_row_with_its_message() -> None:
    ready = quadratic(5, 2, negative=1)
    table = compare(*ready.point, [Exact(), Minres(iterations=50)], repetitions=1)
    assert "smallest eigenvalue" in (table.rows[0].failure or "")
    assert table.rows[0].gradients is None
    assert table.rows[1].failure is None
    assert table.rows[1].gradients is not None
    assert "smallest eigenvalue" in str(table)


def test_warnings_are_listed_once_and_do_not_escape() -> None:
    row = compare(R1, *R1_POINT, [Doubling()], repetitions=2).rows[0]
    assert row.warnings == ("UserWarning: only a test",)
    assert row.error_implicit == pytest.approx(1.0)
    assert row.status is None


@pytest.mark.parametrize("negative", [0, 3])
def test_the_default_reference_is_the_truth_whatever_the_signature(negative: int) -> None:
    ready = quadratic(10, 3, condition=1e3, negative=negative)
    table = compare(*ready.point, {"cg": ConjugateGradient(1, tolerance=None)}, repetitions=0)
    truth = ready.hypergradient(ready.hyperparams)
    assert angle(table.reference.total, truth) < 1e-6
    assert ("not positive definite" in table.reference.description) == bool(negative)


def test_reference_may_be_an_estimator_or_a_hypergradient() -> None:
    ready = quadratic(6, 2)
    given = Exact()(*ready.point)
    for reference in (Exact(), given):
        table = compare(*ready.point, [Exact()], reference, repetitions=0)
        assert table.rows[0].error_implicit == 0
    assert table.reference.description.startswith("as given")
    against_itself = compare(*ready.point, [Exact()], Landweber(3), repetitions=0)
    assert (against_itself.rows[0].error_implicit or 0) > 0.01


def test_names_say_what_differs_from_the_defaults() -> None:
    ready = quadratic(6, 2)
    table = compare(*ready.point, [ConjugateGradient(iterations=7), Minres()], repetitions=0)
    assert [row.estimator for row in table.rows] == ["ConjugateGradient(iterations=7)", "Minres()"]
    with pytest.raises(KeyError, match="there are ConjugateGradient"):
        table["Exact()"]
    with pytest.raises(ValueError, match="2 estimators under 1 names"):
        compare(*ready.point, [Exact(), Exact()])
    with pytest.raises(ValueError, match="0 estimators"):
        compare(*ready.point, [])


def test_json_and_plot_hold_every_row(tmp_path: Path) -> None:
    ready = quadratic(6, 2)
    table = compare(*ready.point, [FirstOrder(), Amended(0.1), Exact(largest=2)], repetitions=2)
    saved = json.loads(table.to_json(tmp_path / "table.json"))
    assert saved == json.loads((tmp_path / "table.json").read_text())
    assert [row["estimator"] for row in saved["rows"]] == [r.estimator for r in table.rows]
    assert saved["rows"][1]["hessian_products"] == 1
    assert saved["rows"][1]["time_gradients"] > 0
    assert saved["rows"][2]["error_implicit"] is None
    assert saved["reference"]["residual"] < 1e-10
    assert table.plot(tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_dataframe_has_a_line_an_estimator_or_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = compare(R1, *R1_POINT, [FirstOrder(), Amended(0.5)], repetitions=0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"amended-darts\[tables\]"):
        table.to_dataframe()
    monkeypatch.undo()
    pandas = pytest.importorskip("pandas", reason="the optional extra `tables` is not installed")
    frame = table.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.loc["Amended(eta=0.5)", "sign"] == -1


def test_peak_memory_is_that_of_the_tensors_alive_at_once() -> None:
    def call() -> None:
        first = torch.zeros(1000, 250, dtype=f64)  # 2 MB
        second = first + 1  # 4 MB alive
        del first
        third = second * 2  # 4 MB alive again
        del second, third

    peak = peak_bytes(call, torch.device("cpu"))
    if peak is None:
        pytest.skip("this torch does not give memory records")
    assert peak == pytest.approx(4e6, rel=0.01)


def test_times_are_taken_in_turns_and_compared_within_a_repetition() -> None:
    order: list[str] = []
    calls = [lambda: order.append("a"), lambda: order.append("b")]
    seconds = interleaved_seconds(calls, repetitions=3, device=torch.device("cpu"))
    assert "".join(order) == "ababab"
    assert [len(taken) for taken in seconds] == [3, 3]
    ratio = Ratio.of([2.0, 40.0, 8.0, 6.0, 6.0], [1.0, 10.0, 2.0, 2.0, 2.0])
    assert (ratio.median, ratio.low, ratio.high) == (3.0, 3.0, 4.0)


def test_comparing_writes_nothing() -> None:
    ready = logistic_regression(train=60, val=60)
    omega = ready.params.clone().requires_grad_()
    alpha = ready.hyperparams.clone().requires_grad_()
    before = torch.get_rng_state()
    compare(ready.problem, omega, alpha, [Amended(0.1), Minres(5, tolerance=None)], repetitions=1)
    assert torch.equal(before, torch.get_rng_state())
    assert omega.grad is None
    assert alpha.grad is None
    assert torch.equal(omega.detach(), ready.params)


def test_an_error_that_speaks_of_definiteness_is_not_taken_for_that_of_the_hessian() -> None:
    """Only `Exact`'s own refusal sends the reference to MINRES, whatever words a loss uses."""
    ready, calls = quadratic(6, 2, seed=1), []

    def covariance(w: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        calls.append(None)
        if len(calls) == 1:
            raise ValueError("the covariance must be positive-definite.")
        return ready.problem.inner(w, a)

    problem = BilevelProblem(covariance, ready.problem.outer)
    with pytest.raises(ValueError, match="covariance must be"):
        reference_for(problem, Vector.of(ready.params), Vector.of(ready.hyperparams), None)


def test_what_can_be_no_comparison_is_refused_before_any_work() -> None:
    ready = quadratic(8, 2, condition=5.0)

    def never(*_: Any) -> torch.Tensor:
        raise AssertionError("a loss was evaluated")

    point: Any = (BilevelProblem(never, never), ready.params, ready.hyperparams)
    other = FirstOrder()(*quadratic(8, 3).point)
    for bad in (-1, float("nan"), 1.5):
        with pytest.raises(ValueError, match=rf"compare\(repetitions={bad}\)"):
            compare(*point, [FirstOrder()], repetitions=bad)
    with pytest.raises(TypeError, match=r"compare\(reference=\.\.\.\) is a Tensor"):
        compare(*point, [FirstOrder()], reference=torch.ones(2, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"direct term has <root> of shape \(3,\), and α has"):
        compare(*point, [FirstOrder()], reference=other)
    for bad in (0, 2.5, True):
        with pytest.raises(ValueError, match=rf"recommend\(budget={bad}\)"):
            recommend(*point, budget=bad)
    with pytest.raises(ValueError, match="cosine=1"):
        recommend(*point, cosine=1)


@pytest.mark.parametrize(
    "build",
    [
        lambda n: ConjugateGradient(n),
        lambda n: Minres(n),
        lambda n: Neumann(n),
        lambda n: Landweber(n),
        lambda n: Nystrom(n, 0.1),
        lambda n: Penalty(1.0, n, 0.1),
        lambda n: Unrolled(n, 0.1),
        lambda n: Unrolled(9, 0.1, last=n),
        lambda n: Certified(products=n),
    ],
)
def test_numbers_of_steps_are_whole_numbers(build: Any) -> None:
    for bad in (2.5, float("nan"), -1, True):
        with pytest.raises(ValueError, match=rf"={bad}\): .* must be a whole number, at least"):
            build(bad)
    assert build(3) == build(3)

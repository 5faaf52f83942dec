"""Where estimates point: references, the parts of an error, a measured search, and the rules."""

import math
from dataclasses import replace

import pytest
import torch

from benchmarks.experiments import direction, pointing
from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.direction import (
    COMPARED,
    DIRECTION,
    MEASURED_AFTER,
    SEARCHES,
    MeasuredSearch,
    points,
)
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.pointing import (
    CERTIFIED_ERROR,
    DAMPED,
    REFERENCES,
    TOLERANCE,
    UNDAMPED,
    beside,
    negative_share,
    references_at,
)
from benchmarks.experiments.record import RunRecord, read_records, write_record
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.searched import Searched
from benchmarks.experiments.setting import METHODS
from bilevel import Vector
from bilevel.estimators.alerts import NotPositiveDefinite
from bilevel.estimators.results import Hypergradient
from bilevel.krylov.lanczos import lanczos
from bilevel.linear import LinearOperator
from darts.records.run_folder import RunFolder
from tests.benchmarks.made_records import made_record
from tests.benchmarks.test_experiments import IMAGES, TINY
from tests.quadratics import with_spectrum


@pytest.mark.parametrize("lowest", [-0.5, 0.5])
def test_references_are_the_formula_with_the_damping_they_say(lowest):
    """Six eigenvalues: MINRES ends after six products, whatever their signs."""
    case = with_spectrum(0, [lowest, 1.0, 2.0, 3.0, 4.0, 5.0])
    found, said = references_at(case.problem, case.point, lowest)
    eye = torch.eye(6, dtype=torch.float64)
    for name, damping in ((DAMPED, max(-2 * lowest, 0)), (UNDAMPED, 0.0)):
        assert said[name]["damping"] == damping
        assert said[name]["converged"]
        truth = -case.mixed @ torch.linalg.solve(case.hessian + damping * eye, case.outer_gradient)
        # ‖error of q‖ ≤ ‖r‖/min|λ + damping|, which is 0.5 in all three cases that end by residual
        bound = (
            torch.linalg.matrix_norm(case.mixed, 2) * TOLERANCE * case.outer_gradient.norm() / 0.5
        )
        if said[name]["by"] == "certified":
            bound = CERTIFIED_ERROR * truth.norm()
        assert torch.linalg.vector_norm(found[name].implicit - truth) <= bound
    assert said[UNDAMPED]["by"] == ("MINRES" if lowest < 0 else "certified")


def test_a_damping_that_leaves_negative_curvature_is_doubled():
    case = with_spectrum(0, [-1.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    with pytest.warns(NotPositiveDefinite):
        _, said = references_at(case.problem, case.point, -0.3)
    assert said[DAMPED]["damping"] == 1.2
    assert said[DAMPED]["converged"]


def test_the_negative_share_is_that_of_the_eigenvalues():
    """A quarter of n = 4,000 is −1, the rest 1: over random starts its s.d. is √(2·¼·¾/n)."""
    signs = torch.ones(4000, dtype=torch.float64)
    signs[::4] = -1
    domain = Vector.of(signs)
    operator = LinearOperator(domain, domain, lambda v: v.like(signs * v.flat()))
    found = negative_share(lanczos(operator, 20, seed=0))
    assert abs(found - 0.25) < 4 * math.sqrt(2 * 0.25 * 0.75 / 4000)


def hyper(implicit: list[float], direct: tuple[float, ...] = (1.0, 0.0)) -> Hypergradient:
    tensors = (torch.tensor(x, dtype=torch.float64) for x in (direct, implicit))
    return Hypergradient(*tensors, outer_loss=0.0)


def test_an_error_is_split_into_bias_noise_shift_and_kinks():
    """‖g₂‖ = 2, the estimate 4 along it; batches at (3.5, ±1), and differences at (3.5, ±2)."""
    reference, large = hyper([2.0, 0.0]), hyper([4.0, 0.0])
    exact = [hyper([3.5, 1.0]), hyper([3.5, -1.0])]
    found = beside(large, exact, None, reference)
    assert (found["cosine"], found["error"], found["kink"]) == (1.0, 1.0, None)
    assert found["noise"] == pytest.approx(math.sqrt(2) / 2, abs=1e-6)  # √((1 + 1)/(2 − 1)) / 2
    assert found["shift"] == 0.25
    assert found["batch_cosines"] == [pytest.approx(3.5 / math.sqrt(13.25), abs=1e-6)] * 2
    assert found["total_error"] == pytest.approx(2 / 3, abs=1e-6)
    kinked = beside(large, [hyper([3.5, 2.0]), hyper([3.5, -2.0])], exact, reference)
    assert kinked["kink"] == 0.5
    assert beside(hyper([0.0, 0.0]), exact, None, reference)["cosine"] is None


def test_a_measured_search_is_the_search_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    compared = ("first-order", "amended", "amended-step-0.1")
    monkeypatch.setattr(direction, "COMPARED", compared)
    for name, few in (("BATCHES", 2), ("LANCZOS", 4), ("ITERATIONS", 4)):
        monkeypatch.setattr(pointing, name, few)
    setting = replace(TINY, search=replace(TINY.search, epochs=2))
    run = MeasuredSearch(setting, "amended", 0, METHODS["amended"], after=(0, 1))
    images, journal = IMAGES.load(), tmp_path / "j.jsonl"
    # the first life ends after a step, past the measurement at 0 epochs
    assert carry_out(run, images, tmp_path / "run", journal, deadline=0.0) == "stopped"
    (half,) = fold(journal_lines([journal]), {})
    assert (half.epochs, half.complete) == (1, False)
    write_record(half, tmp_path / "docs")
    assert carry_out(run, images, tmp_path / "run", journal) == "complete"
    (record,) = fold(journal_lines([journal]), {})
    assert [p["after_epochs"] for p in points(record)] == [0, 1]
    assert record.complete
    assert points(half) == points(record)[:1]
    assert write_record(record, tmp_path / "docs") is not None
    assert read_records(tmp_path / "docs") == [record]
    plain = Searched(setting, "amended", 0, METHODS["amended"])
    carry_out(plain, images, tmp_path / "plain", journal)
    mixing = [
        [epoch["mixing"] for epoch in RunFolder.open(tmp_path / name, ()).records("search/epochs")]
        for name in ("run", "plain")
    ]
    assert mixing[0] == mixing[1][:1]  # measuring changes nothing
    for point in points(record):
        assert tuple(point["estimators"]) == compared
        for beside_references in point["estimators"].values():
            assert set(beside_references) == set(REFERENCES)
        amended = point["estimators"]["amended"][DAMPED]
        assert amended["noise"] > 0
        assert amended["kink"] is None
        assert point["estimators"]["amended-step-0.1"][DAMPED]["kink"] > 0
        assert point["estimators"]["first-order"][DAMPED]["cosine"] is None
    assert "| amended | 0 | 1 |" in DIRECTION.report.table([record])


def made(
    search: str,
    seed: int,
    cosine: float,
    after: int = 25,
    gain: float = 0.1,
    beside: tuple[str, ...] = REFERENCES,
) -> RunRecord:
    """A run measured twice: all cosines 0.5 at first, then those given.

    Beside a reference that is not in `beside` the cosine and the gain have the other sign.
    """

    def point(epochs, value):
        estimators = {n: {} for n in COMPARED}
        for reference in REFERENCES:
            sign = 1 if reference in beside or epochs == 0 else -1
            numbers = {"cosine": sign * value, "total_cosine": 0.5, "error": 1.0}
            for each in estimators.values():
                each[reference] = {**numbers, "batch_cosines": [sign * value]}
            total = 0.5 + (1 if reference in beside else -1) * gain + seed / 1000
            estimators["amended"][reference]["total_cosine"] = total
        return {"after_epochs": epochs, "estimators": estimators}

    name, both = DIRECTION.runs[0].setting.name, [point(0, 0.5), point(after, cosine)]
    return made_record(name, search, seed, cells=["333333"] * 2, points=both)


def runs(cosines: tuple[float, float], *, seeds: int = 3, **how):
    return [
        made(search, seed, cosine, **how)
        for search, cosine in zip(SEARCHES, cosines, strict=True)
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("records", "below", "above"),
    [
        ([], NOT_RUN, NOT_RUN),
        (runs((0.01, 0.01)), SUPPORTED, NOT_SUPPORTED),
        (runs((0.01, -0.01)), UNDECIDED, SUPPORTED),  # 9 of 12 points
        (runs((-0.01, -0.01)), NOT_SUPPORTED, SUPPORTED),  # 6 of 12
        (runs((0.01, 0.01), seeds=2), UNDECIDED, UNDECIDED),
        (runs((0.01, 0.01), after=24), UNDECIDED, UNDECIDED),
    ],
)
def test_angles_are_judged_over_all_points_of_three_runs_of_each_search(records, below, above):
    first, _, third = DIRECTION.claims
    assert (first.judge(records)[0], third.judge(records)[0]) == (below, above)


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.01, SUPPORTED), (-0.01, NOT_SUPPORTED), (-0.001, UNDECIDED)]
)
def test_the_whole_gradient_is_nearer_by_the_interval_over_seeds(gain, verdict):
    assert DIRECTION.claims[1].judge(runs((0.5, 0.5), gain=gain))[0] == verdict


@pytest.mark.parametrize("reference", REFERENCES)
def test_nothing_is_decided_where_the_references_disagree(reference):
    for cosine in (0.5, -0.5):
        for claim in DIRECTION.claims:
            records = runs((cosine, cosine), beside=(reference,))
            assert claim.judge(runs((cosine, cosine)))[0] in (SUPPORTED, NOT_SUPPORTED)
            assert claim.judge(records)[0] == UNDECIDED


def test_a_seed_is_one_number_however_many_searches_it_has():
    said = DIRECTION.claims[1].judge(runs((0.5, 0.5)))[1]
    assert said.count("(n = 3)") == 2


def test_runs_end_with_the_last_moment_within_their_epochs():
    for run in DIRECTION.runs:
        assert run.content["measured_after"] == list(MEASURED_AFTER)
        assert max(MEASURED_AFTER) <= run.config.epochs

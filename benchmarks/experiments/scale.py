"""NAS-Bench-201 at its own size: does the collapse, and its prevention, appear there too?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.experiments.definition import NOT_RUN, UNDECIDED, Claim, Experiment
from benchmarks.experiments.ends import accuracy_at
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import Judgement
from benchmarks.experiments.setting import SCALE, planned


def _described(records: Sequence[RunRecord]) -> Judgement:
    """One seed decides nothing: the last cells of both methods, in numbers."""
    if not records:
        return NOT_RUN, "No run has an epoch yet."
    parts = [
        f"{run.method}, seed {run.seed}, after {run.epochs} epochs: cell {run.cells[-1]}, "
        f"{accuracy_at(run, run.epochs):.2f} %"
        for run in records
    ]
    return UNDECIDED, "; ".join(parts) + "."


SCALE_EXPERIMENT = Experiment(
    name="nasbench201-scale",
    title="NAS-Bench-201 at its own size",
    question=(
        "The other experiments have a small supernet of 3 cells and 8 channels. What do first "
        "order and the amended estimate do at the benchmark's own size, on all of CIFAR-10's "
        "training images?"
    ),
    measure=(
        "As in [collapse](collapse.md); the supernet's accuracy is on 2,000 images of α's half."
    ),
    runs=tuple(planned(SCALE, m, seed) for seed in (0, 1) for m in ("first-order", "amended")),
    claims=(
        Claim(
            "§3.2, §4.1.1",
            "First-order DARTS collapses, the amended search does not.",
            "One or two seeds decide nothing: the page states their last cells and accuracies.",
            _described,
        ),
    ),
    rules="Two seeds decide nothing, so the page describes.",
    report=CellCurves(),
    cost=(
        "For a GPU. On one core of a machine that had other work a first-order step took 7.1 "
        "seconds, and a run has 19,500."
    ),
    deviations=(
        "50 epochs, where the paper has 100 to 500: the machine's time allows no more. The sum of "
        "α's learning rates is 5.9, and it is 39 in [collapse](collapse.md) and in the paper's 500 "
        "epochs.",
        "The space is NAS-Bench-201 and not DARTS's.",
        "The amended term is taken by exact products, where the paper takes differences (A.2).",
    ),
)

"""What makes the amended search behave: its direction, its size, or any strong second term?"""

from __future__ import annotations

from benchmarks.experiments.definition import Claim, Experiment
from benchmarks.experiments.ends import accuracy_at, paired
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.rules import above, any_does, has_collapsed
from benchmarks.experiments.setting import SMALL, planned

CONTROLS = {
    "random-direction": "a random direction of the same norm",
    "toward-zero": "a pull of the same norm towards equal weights (an L2 penalty on α)",
    "amended-flipped": "the same term with its sign changed",
    "amended-at-second-order-norm": "the same direction at the norm of DARTS's term",
    "random-sign": "the term times a fair sign drawn at each step (noise with its second moments)",
    "toward-less-curvature": "a pull of the same norm towards less curvature of L_train",
    "amended-squares": (
        "a draw of first order's mean and the amended gradient's squares (Adam's second moment)"
    ),
    "amended-other-batches": "the same term on an independent pair of batches",
}


def _prevents(method: str, words: str) -> Claim:
    return Claim(
        "§3.3, by implication",
        f"Only the amended term itself prevents collapse: with {words} the search collapses.",
        "Supported if the control collapses in any run, not supported if in none of three or more.",
        any_does(has_collapsed, method, "The cell collapsed"),
    )


def _better(method: str, words: str) -> Claim:
    return Claim(
        "§3.3, by implication",
        f"The amended term ends in a better cell than {words}.",
        "Supported if the interval of the paired difference in accuracy at the end lies above 0, "
        "not supported if below.",
        above(
            paired("amended", method, accuracy_at),
            "Difference in percentage points",
        ),
    )


BEHAVIOUR = Experiment(
    name="behaviour",
    title="What prevents the collapse?",
    question=(
        "The amended search adds a second term to first order. If that prevents collapse, is it "
        "because the term points towards the true hypergradient? Or would any second term of its "
        "size do, even its opposite?"
    ),
    measure=(
        "As in [collapse](collapse.md), whose amended and first-order runs are used here too. Each "
        "control keeps one property of the amended term, and g₁ or at least its mean."
    ),
    runs=(
        *(planned(SMALL, method, seed) for seed in (0, 1, 2) for method in CONTROLS),
        *(planned(SMALL, m, seed) for seed in (0, 1, 2) for m in ("first-order", "amended")),
    ),
    claims=(
        *(_prevents(method, words) for method, words in CONTROLS.items()),
        *(_better(method, words) for method, words in CONTROLS.items()),
    ),
    rules="Those of [collapse](collapse.md).",
    report=CellCurves(),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too.",
        "random-sign: the noise has mean zero, and the whole matrix of the amended term's second "
        "moments about zero. That is the term's covariance plus the outer product of its mean with "
        "itself.",
        "toward-less-curvature: the penalty is on the curvature of L_train along the gradient of "
        "L_val in ω, by second differences at a distance of 0.3, not on a trace or a "
        "largest eigenvalue.",
        "amended-squares: Adam has the second moment that the amended gradient would give at the "
        "search's own points. The mean is g₁ only over draws, and only in coordinates where g₁ is "
        "no larger than g₁ plus the amended term. Elsewhere it is g₁ shortened to that size.",
        "amended-other-batches: both batches of the term, that of L_train and that of L_val, are "
        "those which the search would meet 200 epochs later. They are drawn anew, so that images "
        "may be in both pairs by chance. g₁ and the step of ω have the batches of the step.",
    ),
)

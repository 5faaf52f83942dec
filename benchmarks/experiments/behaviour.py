"""What makes the amended search behave: its direction, its size, or any strong second term?"""

from __future__ import annotations

from benchmarks.experiments.definition import Claim, Experiment
from benchmarks.experiments.ends import accuracy_at, paired
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.rules import POINTS, above, all_do, any_does, has_collapsed, none_does
from benchmarks.experiments.setting import SMALL, planned

CONTROLS = {
    "random-direction": "a random direction of the same norm",
    "toward-zero": "a pull of the same norm towards equal weights (an L2 penalty on α)",
    "amended-flipped": "the same term with its sign changed",
    "random-sign": "the term times a fair sign drawn at each step (noise with its second moments)",
    "toward-less-curvature": "a pull of the same norm towards less curvature of L_train",
    "amended-second-moment": "no second term, but Adam's second moment of the amended gradient",
}
"""Each takes the direction away from the amended term, and keeps something else of it."""
SHORT, ELSEWHERE = "amended-at-second-order-norm", "amended-other-batches"
"""These keep its direction: one without its size, the other without its batches."""
METHODS = (*CONTROLS, SHORT, ELSEWHERE)


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
            POINTS,
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
        "control keeps one property of the amended term, and g₁."
    ),
    runs=(
        *(planned(SMALL, method, seed) for seed in (0, 1, 2) for method in METHODS),
        *(planned(SMALL, m, seed) for seed in (0, 1, 2) for m in ("first-order", "amended")),
    ),
    claims=(
        *(_prevents(method, words) for method, words in CONTROLS.items()),
        *(_better(method, words) for method, words in CONTROLS.items()),
        Claim(
            "§4.1.1, by implication",
            "The direction alone is not enough: at the norm of DARTS's term, which is shorter, the "
            "search collapses, as with a small η.",
            "Supported if all runs collapse, not supported if half or fewer do.",
            all_do(has_collapsed, [SHORT], "The cell collapsed"),
        ),
        Claim(
            "§3.3, by implication",
            "With the term on an independent pair of batches the search does not collapse either.",
            "Not supported if any run collapses, supported if none of three or more does.",
            none_does(has_collapsed, ELSEWHERE, "The cell collapsed"),
        ),
    ),
    rules="Those of [collapse](collapse.md).",
    report=CellCurves(),
    reading=(
        "In these runs the direction of the second term matters, but the amended one is not the "
        "only one that prevents collapse. A pull of the same norm towards equal weights does so "
        "too, in all three searches, and nothing tells their last cells from the amended ones: "
        "those are better by 0.33 points, with an interval from -2.19 to +2.86. The pull lets "
        "nothing be chosen. After the last epoch all mixing weights are between 0.197 and 0.205. "
        "In the last 50 epochs 4.3 of six edges change their operation from one epoch to the "
        "next; of cells drawn at random 4.5 would. Amended searches do choose, and keep what they "
        "chose. That their choice is better than none is not shown. Other controls collapse. With "
        "its sign changed two of three searches did, from epochs 6 and 25 on, and the third ends "
        "with four skip-connects of six. With a random direction of the same norm, drawn anew at "
        "each step, both did; with the term times a fair sign the one that ran did, from epoch 54 "
        "on. A pull of the same norm towards less curvature of L_train chose skip-connect on all "
        "edges from the first epoch on, in the one run. With no second term, but steps as short "
        "as the amended term makes them, seed 0 collapsed from epoch 63 on, though first order of "
        "that seed did not in 200 epochs. No amended search of the three seeds collapsed. So "
        "neither the length of the term, nor the short steps of α that follow from it, is enough. "
        "That its direction is that of the true hypergradient is not shown by this: [where it "
        "points](direction.md) was measured, and is undecided."
    ),
    read_from="e2e983c11ee18f41",
    cost=(
        "From a few steps, in seconds of one core of a machine that had other work: 0.44 for an "
        "amended step, and somewhat more for the controls that take a second term or penalty. A "
        "run of 200 epochs is 7,800 steps, about an hour there, and all 24 runs a day."
    ),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too.",
        "The amended term pulls against g₁. In each epoch of its three searches the mean angle "
        "between them is above 100°, and that of the flipped term below 82°. No control here has "
        "a direction of its own that pulls against g₁: that any would do is not ruled out.",
        "random-direction has run with seeds 1 and 2 alone, and random-sign and "
        "toward-less-curvature with seed 1. First order collapsed with both seeds too.",
        "A control that collapses in one run of three counts as one that does: it then does not "
        "prevent collapse. It may still make it rarer, which three runs cannot show.",
        "random-sign: the noise has mean zero, and the whole matrix of the amended term's second "
        "moments about zero. That is the term's covariance plus the outer product of its mean with "
        "itself.",
        "toward-less-curvature: the penalty is on the curvature of L_train along the gradient of "
        "L_val in ω, by second differences at a distance of 0.3, not on a trace or a "
        "largest eigenvalue.",
        "amended-second-moment: Adam's first moment is of g₁ alone, and its second of g₁ plus the "
        "amended term at the search's own points. The curves show the term, which moves nothing by "
        "itself.",
        "random-direction and toward-zero have no part that adds one number to all weights of an "
        "edge: it would move no mixing weight, and the amended term has none.",
        "amended-other-batches: both batches of the term, that of L_train and that of L_val, are "
        "those which the search would meet 200 epochs later. They are drawn anew, so that images "
        "may be in both pairs by chance. g₁ and the step of ω have the batches of the step.",
    ),
)

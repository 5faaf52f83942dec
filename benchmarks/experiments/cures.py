"""Does the amended search end better than the cures that came after DARTS, and do they fail?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.experiments.definition import Claim, Experiment
from benchmarks.experiments.ends import accuracy_at, long_enough, paired
from benchmarks.experiments.final_cell import final_accuracy
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import (
    ANY,
    POINTS,
    Judge,
    Judgement,
    Values,
    above,
    any_does,
    has_collapsed,
)
from benchmarks.experiments.searched import Searched
from benchmarks.experiments.setting import SMALL, planned
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Estimator, FirstOrder, Neumann
from darts.config.search import AMENDED
from darts.methods import (
    AdversarialPerturbation,
    AuxiliarySkip,
    BetaDecay,
    EigenvalueGrowth,
    PartialChannels,
    Progressive,
    RandomPerturbation,
    Removal,
    SkipLimit,
)
from darts.spaces import NASBENCH201

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Change:
    """What a method changes of first-order DARTS, or of the amended search, in the setting.

    Attributes:
        words: the method.
        settings: of the search, by name.
        estimator: of the hypergradient.
    """

    words: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    estimator: Estimator = field(default_factory=FirstOrder)


P_DARTS, PC_DARTS = "p-darts", "pc-darts"
DARTS_PT = {
    "selection": Removal(),
    # as in its code none cannot be chosen, and trials see all of α's half
    "space": replace(NASBENCH201, keeps_none=False),
    "evaluation_images": None,
}
# P-DARTS: 4 times its 75 epochs; stages with the setting's 3 cells and twice and three times that
STAGES = Progressive(cells=(3, 6, 9), operations=(5, 4, 3))
CURES = {
    "darts-plus": Change("DARTS+'s early stopping", {"stop": SkipLimit()}),
    "robust-darts": Change("RobustDARTS's early stopping", {"stop": EigenvalueGrowth()}),
    "sdarts-rs": Change("SDARTS with random perturbations", {"perturbation": RandomPerturbation()}),
    "sdarts-adv": Change(
        "SDARTS with adversarial perturbations", {"perturbation": AdversarialPerturbation()}
    ),
    "darts-minus": Change("DARTS-'s auxiliary skips", {"auxiliary_skip": AuxiliarySkip()}),
    "beta-darts": Change("β-DARTS's penalty on α", {"alpha_penalty": BetaDecay()}),
    "darts-pt": Change("DARTS-PT's selection after the search", DARTS_PT),
    "idarts": Change(
        "iDARTS's estimator",
        estimator=Neumann(terms=2, step=0.025, derivatives=ReverseOverForward()),
    ),
    PC_DARTS: Change(
        "PC-DARTS's partial channels",
        {"partial_channels": PartialChannels(edge_normalisation=False), "frozen_epochs": 15},
    ),
    P_DARTS: Change(
        "P-DARTS's stages without its limit on skip-connects",
        {"progressive": STAGES, "epochs": 300},
    ),
}
"""By the names of records; a further method is one line."""
SWITCHES = {
    "amended-width": Change("the width of evaluation, 16 channels", {"channels": 16}, AMENDED),
    "amended-cutout": Change("Cutout of 8 pixels", {"cutout": 8}, AMENDED),
    "amended-drop-path": Change("drop-path of 0.2", {"drop_path": 0.2}, AMENDED),
    "amended-dropout": Change("dropout of 0.2", {"dropout": 0.2}, AMENDED),
}
"""Consistencies of §4.1.2, one at a time."""


def _gain(cure: str) -> Values:
    """Accuracy of amended minus that of a cure, each at its own end, for every seed that has both.

    A cure counts once it is complete: before that its schedule is not over, or its rule has not
    spoken. With the horizon `ANY` runs are there as far as they came.
    """

    def values(records: Sequence[RunRecord], horizon: int) -> list[float]:
        amended = long_enough(records, "amended", horizon)
        counting = [run for run in records if run.complete or horizon == ANY]
        cures = long_enough(counting, cure, ANY)
        seeds = sorted(amended.keys() & cures.keys())
        return [final_accuracy(amended[seed]) - final_accuracy(cures[seed]) for seed in seeds]

    return values


def _complete(rule: Judge) -> Judge:
    """A rule on the runs that have all their epochs, and on no others."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        return rule([record for record in records if record.complete])

    return judge


def _fails(method: str, text: str) -> Claim:
    return Claim(
        "§3.5",
        text,
        "A run fails if it collapses, and by nothing else. Of complete runs: supported if any "
        "fails, not supported if none of three or more does.",
        _complete(any_does(has_collapsed, method, "The search failed")),
    )


def _beats(method: str, cure: Change) -> Claim:
    return Claim(
        "not in the paper",
        f"The amended search ends in a better cell than {cure.words}.",
        "Of complete runs of the cure: supported if the interval of the paired difference in "
        "accuracy, each run at its own end, lies above 0, not supported if below.",
        above(
            _gain(method),
            POINTS,
            lacking="No complete run of the cure beside a long enough one of amended yet.",
        ),
    )


def _helps(method: str, switch: Change) -> Claim:
    return Claim(
        "§3.5, §4.1.2",
        f"The amended search finds a better cell with {switch.words}.",
        "Supported if the interval of the paired difference in accuracy (with − without), at the "
        "last epoch that both runs have, lies above 0, not supported if below.",
        above(paired(method, "amended", accuracy_at), POINTS),
    )


def _run(method: str, seed: int) -> Searched:
    change = (CURES | SWITCHES)[method]
    return Searched(SMALL, method, seed, change.estimator, change.settings)


CURES_EXPERIMENT = Experiment(
    name="cures",
    title="Beside other cures",
    question=(
        "After DARTS came many methods that keep a search from collapsing. Does the amended search "
        "end in a better cell than they do, in the same small setting? Do P-DARTS's stages and "
        "PC-DARTS fail in a long search, as the paper says of both methods? And does each "
        "consistency between search and evaluation help by itself?"
    ),
    measure=(
        "As in [collapse](collapse.md), whose first-order and amended runs are used here too. A "
        "cure changes first-order DARTS, with its own paper's settings where the setting here has "
        "none; a consistency changes the amended search."
    ),
    runs=(
        *(_run(method, seed) for seed in SEEDS for method in CURES),
        *(_run(method, seed) for seed in SEEDS for method in SWITCHES),
        *(planned(SMALL, m, seed) for seed in SEEDS for m in ("first-order", "amended")),
    ),
    claims=(
        _fails(
            P_DARTS,
            f"{CURES[P_DARTS].words} can fail in a search of four times its epochs. (With the "
            "limit, two in a cell, no run could count as failed.)",
        ),
        _fails(
            PC_DARTS,
            "PC-DARTS can fail in a search of four times its epochs, here without edge "
            "normalisation.",
        ),
        *(_beats(method, cure) for method, cure in CURES.items()),
        *(_helps(method, switch) for method, switch in SWITCHES.items()),
    ),
    rules=(
        "Those of [collapse](collapse.md), but for the runs of cures. They count once they are "
        "complete: with all their epochs, and their selection if they have one, or ended by their "
        "own rule, whatever their length. Their cell is the last one, the one that the rule keeps, "
        "or the one selected. It is compared with the last cell of the amended run, which has "
        "100 epochs or more. Consistencies are compared as in collapse, at the last epoch that "
        "both runs have."
    ),
    report=CellCurves(),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too. All cures have its 200 epochs, "
        "P-DARTS 300, and α's learning rate of 0.005; their papers have others.",
        "A cure is compared with an amended run that may be shorter, and whose learning rate of ω "
        "has then not come down yet.",
        "Not all runs of one seed share the initial ω, as is said above. PC-DARTS has layers of "
        "other shapes, amended-width has 16 channels, and P-DARTS begins each later stage with "
        "fresh ω and α. What such runs share with others is the rest: images, split, batches and "
        "the first α.",
        "DARTS+ stops at two skip-connects in a cell of six edges, as in its paper's cells of "
        "eight. This space has none among its choices, so the rule counts skip-connects in the "
        "cell with none allowed; accuracies are those of the cell without none, which may have "
        "more of them. Of cells drawn at random 34 % have two or more where none may be chosen, "
        "and 46.6 % where not.",
        "DARTS-PT chooses among the operations without none. Its code leaves none out; here none "
        "is in the search, and keeps its weight on an edge until that is decided. Its trials are "
        "on all whole batches of α's half, 2,496 images, and its supernet's accuracy in the table "
        "is on all 2,500.",
        "FairDARTS is not among the cures. It weighs each operation by a sigmoid of its own α. The "
        "weight of none then takes nothing from the others, so that no loss says how large it "
        "should be: the search is refused in a space where none can be chosen, as in this one. "
        "With none left out it would run, in another supernet than that of all other runs.",
        "PC-DARTS's 200 epochs are four times its 50; the paper says “more than 200”. α is frozen "
        "for its 15. It has no edge normalisation, because the edges of this space are fixed, "
        "though the paper names just that among its tricks.",
        "P-DARTS's 300 epochs are four times its 75, in stages of 3, 6 and 9 cells, so that no α "
        "is searched for more than 100. The paper speaks of P-DARTS with its tricks, and names the "
        "number of skip-connects that it preserves. Here that limit is not applied: all cells are "
        "those of the largest weights. With it a cell has at most two of six edges, and cannot "
        "have collapsed by a rule that wants five: the limit alone would rule failure out. So the "
        "claim is about the stages.",
        "β-DARTS's weight grows to 50, which its code has in NAS-Bench-201 with 100 epochs.",
        "Of §4.1.2's consistencies two are not among the runs. Fixed edges: this space has no "
        "other. The auxiliary tower: it needs feature maps of 8×8, and images of 16×16 leave 4×4.",
        "The paper gives Cutout and Dropout no sizes. Cutout has half the side of an image, as in "
        "DARTS; Dropout is tried as drop-path, and as dropout before the classifier.",
    ),
    reading=(
        "Twelve runs are complete. Each of P-DARTS's three stages (seed 0) ended in "
        "skip-connects, the last from epoch 230 on. PC-DARTS collapsed in two of three searches, "
        "from epochs 125 and 166 on. So both can fail in a long search, as the paper says of "
        "them. In PC-DARTS's second search that is the cell without none; with none allowed four "
        "of its edges are none. DARTS-'s auxiliary skips did not help at seed 0, whose cell is "
        "all skip-connect from epoch 66 on. β-DARTS did not collapse in three searches: its cells "
        "are of convolutions alone, have 93.3 to 93.8 % true accuracy and hardly change any more, "
        "with all mixing weights between 0.10 and 0.29. Amended is worse by 1.44 points [-6.77, "
        "+3.89], at about 3.5 times the cost. DARTS+ stopped after 11, 1 and 13 epochs, and "
        "amended is better by 0.93 points [-5.71, +7.56]. It is better than PC-DARTS by 6.41 "
        "points [-14.61, +27.43]. So nothing here tells amended from any of the three, and all "
        "other comparisons have one pair, or none."
    ),
    read_from="a6288969798bbb34",
    cost=(
        "In units of a first-order search, by the number of gradients in a step: SDARTS-RS, "
        "DARTS-, β-DARTS and PC-DARTS about 1, DARTS+ less than 1, DARTS-PT about 1.3, RobustDARTS "
        "up to 2, P-DARTS about 3, SDARTS-ADV 4.5, iDARTS and the consistencies 3.5, and with 16 "
        "channels about 7. Of DARTS-PT's 0.3 about 0.13 is its selection's: 10 epochs after each "
        "of six decisions but the last, 50 in all, with one gradient a step in place of two. The "
        "rest is evaluations on all of α's half. A first-order search is about 17 minutes of an "
        "idle core, by a trial of some epochs; its record took 1.5 hours on a core that had other "
        "work. All 48 runs are about 35 hours of an idle core."
    ),
)

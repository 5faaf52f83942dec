"""Does the amended search end better than the cures that came after DARTS, and do they fail?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.experiments.collapse import RANDOM_CELL_PERCENT
from benchmarks.experiments.definition import Claim, Experiment
from benchmarks.experiments.ends import TABLE, collapse_epoch
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import Judge, Judgement, Values, above, any_does
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
    SkipLimit,
)

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
    "idarts": Change(
        "iDARTS's estimator",
        estimator=Neumann(terms=2, step=0.025, derivatives=ReverseOverForward()),
    ),
    PC_DARTS: Change(
        "PC-DARTS's partial channels",
        {"partial_channels": PartialChannels(edge_normalisation=False), "frozen_epochs": 15},
    ),
    P_DARTS: Change("P-DARTS's stages", {"progressive": STAGES, "epochs": 300}),
}
"""By the names of records; a further method is one line."""
SWITCHES = {
    "amended-width": Change("the width of evaluation, 16 channels", {"channels": 16}, AMENDED),
    "amended-cutout": Change("Cutout of 8 pixels", {"cutout": 8}, AMENDED),
    "amended-drop-path": Change("drop-path of 0.2", {"drop_path": 0.2}, AMENDED),
    "amended-dropout": Change("dropout of 0.2", {"dropout": 0.2}, AMENDED),
}
"""Consistencies of §4.1.2, one at a time."""


def result(record: RunRecord) -> float:
    """The true accuracy of the cell that a run ended with; of a stopped one the cell it keeps."""
    accuracies = record.curve(f"{TABLE}_without_none")
    kept = record.content.get("stopped", {}).get("kept_epoch", -1)
    return accuracies[kept]


def results(records: Sequence[RunRecord], method: str, horizon: int) -> dict[int, float]:
    """By seed, of runs that a rule ended, or that have so many epochs."""
    return {
        r.seed: result(r)
        for r in records
        if r.method == method and r.epochs and ("stopped" in r.content or r.epochs >= horizon)
    }


def _gain(first: str, second: str) -> Values:
    """The result of one method minus that of another, for every seed that has both."""

    def values(records: Sequence[RunRecord], horizon: int) -> list[float]:
        ones, others = (results(records, method, horizon) for method in (first, second))
        return [ones[seed] - others[seed] for seed in sorted(ones.keys() & others.keys())]

    return values


def has_failed(record: RunRecord) -> bool:
    """Whether a run ends in skip-connects, or in a cell worse than the mean of all cells."""
    return collapse_epoch(record) is not None or result(record) < RANDOM_CELL_PERCENT


def _complete(rule: Judge) -> Judge:
    """A rule on the runs that have all their epochs, and on no others."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        return rule([record for record in records if record.complete])

    return judge


def _fails(method: str, name: str) -> Claim:
    return Claim(
        "§3.5",
        f"{name} can fail in a search of four times its epochs.",
        "A run fails if it collapses, or if its last cell is less accurate than the mean of all "
        f"cells without none, {RANDOM_CELL_PERCENT} %. Of complete runs: supported if any fails, "
        "not supported if none of three or more does.",
        _complete(any_does(has_failed, method, "The search failed")),
    )


def _beats(method: str, cure: Change) -> Claim:
    return Claim(
        "not in the paper",
        f"The amended search ends in a better cell than {cure.words}.",
        "Supported if the interval of the paired difference in accuracy lies above 0, not "
        "supported if below.",
        above(_gain("amended", method), "Difference in percentage points"),
    )


def _helps(method: str, switch: Change) -> Claim:
    return Claim(
        "§3.5, §4.1.2",
        f"The amended search finds a better cell with {switch.words}.",
        "Supported if the interval of the paired difference in accuracy (with − without) lies "
        "above 0, not supported if below.",
        above(_gain(method, "amended"), "Difference in percentage points"),
    )


def _run(method: str, seed: int) -> Searched:
    change = (CURES | SWITCHES)[method]
    return Searched(SMALL, method, seed, change.estimator, change.settings)


CURES_EXPERIMENT = Experiment(
    name="cures",
    title="Beside other cures",
    question=(
        "After DARTS came many methods that keep a search from collapsing. Does the amended search "
        "end in a better cell than they do, in the same small setting? Do P-DARTS and PC-DARTS "
        "fail in a long search, as the paper says? And does each consistency between search and "
        "evaluation help by itself?"
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
        _fails(P_DARTS, "P-DARTS"),
        _fails(PC_DARTS, "PC-DARTS"),
        *(_beats(method, cure) for method, cure in CURES.items()),
        *(_helps(method, switch) for method, switch in SWITCHES.items()),
    ),
    rules=(
        "Those of [collapse](collapse.md), but for two. A run that its own rule ended early counts "
        "whatever its length, and its cell is that of the epoch which the rule keeps. Every other "
        "run is read at its own last epoch, also in a pair."
    ),
    report=CellCurves(),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too. All cures have its 200 epochs, "
        "P-DARTS 300, and α's learning rate of 0.005; their papers have others.",
        "DARTS+ stops at two skip-connects in a cell of six edges, as in its paper's cells of "
        "eight. Of cells drawn at random from the space 34 % have as many.",
        "PC-DARTS's 200 epochs are four times its 50; α is frozen for its 15. It has no edge "
        "normalisation, because the edges of this space are fixed.",
        "P-DARTS's 300 epochs are four times its 75, in stages of 3, 6 and 9 cells. Its limit of "
        "two skip-connects belongs to how it reads the cell, and is not applied: all cells here "
        "are those of the largest weights.",
        "β-DARTS's weight grows to 50, which its code has in NAS-Bench-201 with 100 epochs.",
        "Of §4.1.2's consistencies two are not among the runs. Fixed edges: this space has no "
        "other. The auxiliary tower: it needs feature maps of 8×8, and images of 16×16 leave 4×4.",
        "The paper gives Cutout and Dropout no sizes. Cutout has half the side of an image, as in "
        "DARTS; Dropout is tried as drop-path, and as dropout before the classifier.",
    ),
    cost=(
        "In units of a first-order search, by the number of gradients in a step: SDARTS-RS, "
        "DARTS-, β-DARTS and PC-DARTS about 1, DARTS+ less than 1, RobustDARTS up to 2, P-DARTS "
        "about 3, SDARTS-ADV 4.5, iDARTS and the consistencies 3.5, and with 16 channels about 7. "
        "A first-order search is about 17 minutes of an idle core, by a trial of some epochs; its "
        "record took 1.5 hours on a core that had other work. All 45 runs are about 34 hours of an "
        "idle core."
    ),
)

"""DARTS's own space with its 14 edges: how searches end, and whether their cells beat random."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.experiments.definition import Claim, Experiment, Planned
from benchmarks.experiments.kept import (
    difference,
    digits,
    found,
    mean_of,
    skips_from,
)
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.retrained import (
    RetrainedSearch,
    RetrainedSetting,
    TrainedCell,
    random_cell,
)
from benchmarks.experiments.retrained_report import RetrainedCurves
from benchmarks.experiments.rules import POINTS, above, all_do, none_does, to_the_end
from benchmarks.experiments.setting import METHODS
from bilevel.estimators import FirstOrder
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Cifar10
from darts.data.digits import Digits
from darts.spaces import S1, Genotype
from darts.spaces.genotype import CellGenotype
from darts.spaces.published import DARTS_V2
from darts.spaces.space import NONE

NORMAL, REDUCE = "normal", "reduce"
EPOCHS = 200
AFTER = (25, 50, 100, EPOCHS)
SEEDS = (0, 1, 2)
RANDOM = 4
"""Random cells beside the searches of each seed."""
RANDOM_NAMES = tuple(f"random-{number + 1}" for number in range(RANDOM))
ALL_SKIP = Genotype(
    tuple(
        CellGenotype(kind, (("skip_connect", 0), ("skip_connect", 1)) * 4, (2, 3, 4, 5))
        for kind in (NORMAL, REDUCE)
    )
)
"""Both cells of skip-connects alone, from the two inputs to every node."""
OTHERS = {"DARTS_V2": DARTS_V2, "all-skip": ALL_SKIP}
SHORT = 50
"""Epochs of DARTS's own search (§3.2)."""
SETTLED = 100
"""Epochs after which the paper finds that the best architecture barely changes (§4.1.1)."""
FEW_EDGES = 2
"""Of the 28 edges of both cells, as many as may change where an architecture barely changes."""


def normal_cell_collapsed(run: RunRecord) -> bool:
    return skips_from(run, NORMAL) is not None


def _none_everywhere(run: RunRecord) -> bool:
    """Whether none is the strongest on each edge of the normal cell after 50 epochs."""
    cells = digits(run, "cells", NORMAL)
    return run.epochs >= SHORT and set(cells[SHORT - 1]) == {str(S1.operations.index(NONE))}


def _skip_share_of_rest(run: RunRecord) -> float:
    """The mean weight of skip-connect over what none leaves, at the end."""
    return run.weight("skip_connect", NORMAL)[-1] / (1 - run.weight(NONE, NORMAL)[-1])


def _barely_changes(run: RunRecord) -> bool:
    cells = run.content["cells_without_none"]
    changed = sum(a != b for a, b in zip(cells[SETTLED - 1], cells[EPOCHS - 1], strict=True))
    return changed <= FEW_EDGES


RANDOM_MEAN = mean_of(RANDOM_NAMES)
SIGN = (
    "Supported if the interval of the paired difference in test accuracy lies above 0, not "
    "supported if below."
)
ALL = "Supported if so in all runs, not supported if in half or fewer."

CLAIMS = (
    Claim(
        "§3.2, Fig. 1",
        "First-order DARTS in 200 epochs ends in a normal cell of skip-connects.",
        "Supported if the normal cells of all runs collapse, not supported if of half or fewer.",
        all_do(normal_cell_collapsed, ["first-order"], "The normal cell collapsed"),
    ),
    Claim(
        "§3.2, Fig. 1",
        "Second-order DARTS does so too, in the space with 14 edges.",
        "The same rule.",
        all_do(normal_cell_collapsed, ["second-order"], "The normal cell collapsed"),
    ),
    Claim(
        "§3.2",
        "After 50 epochs of first-order DARTS none is the strongest on each edge of normal cells.",
        ALL,
        all_do(_none_everywhere, ["first-order"], "None was the strongest on all 14 edges"),
    ),
    Claim(
        "§3.2, Fig. 1",
        "The weight of none dominates the edges of the normal cell in the end (0.97 in the paper).",
        "Supported if its mean over the 14 edges ends above 0.9 in all runs, not supported if in "
        "half or fewer.",
        all_do(
            lambda run: run.weight(NONE, NORMAL)[-1] > 0.9,
            ["first-order"],
            "The mean weight of none ended above 0.9",
        ),
    ),
    Claim(
        "§3.2",
        "Skip-connect ends with 30 to 70 % of the weight that none leaves.",
        "Of mean weights over the 14 edges of the normal cell: supported if so in all runs, not "
        "supported if in half or fewer.",
        all_do(
            lambda run: 0.3 <= _skip_share_of_rest(run) <= 0.7,
            ["first-order"],
            "Skip-connect ended with 30 to 70 % of the rest",
        ),
    ),
    Claim(
        "§4.1.1",
        "Search with the amended term (η = 0.1) does not end in a normal cell of skip-connects.",
        "Not supported if any run collapses, supported if none of three or more does.",
        none_does(normal_cell_collapsed, "amended", "The normal cell collapsed"),
    ),
    Claim(
        "§4.1.1",
        "After 100 epochs of the amended search the architecture barely changes.",
        "Supported if in all runs the strongest operation beside none differs on at most two of "
        "the 28 edges between epochs 100 and 200, not supported if in half or fewer.",
        to_the_end(EPOCHS, all_do(_barely_changes, ["amended"], "At most two of 28 edges changed")),
    ),
    Claim(
        "§3.2, Fig. 1",
        "First-order DARTS finds a better cell in 50 epochs than in 200: convergence and accuracy "
        "contradict each other.",
        SIGN,
        above(difference(found("first-order", SHORT), found("first-order", EPOCHS)), POINTS),
    ),
    Claim(
        "§1, §3.4",
        "The amended search ends in a better cell than first-order DARTS after as many epochs.",
        SIGN,
        above(difference(found("amended", EPOCHS), found("first-order", EPOCHS)), POINTS),
    ),
    Claim(
        "§3.2, §5",
        "The amended cell after 200 epochs is better than first order's after 50.",
        SIGN,
        above(difference(found("amended", EPOCHS), found("first-order", SHORT)), POINTS),
    ),
    Claim(
        "§4.1.3",
        "The amended cell after 200 epochs is better than random cells of the space.",
        "Of the accuracy minus the mean over the random cells of the same seed: supported if the "
        "interval lies above 0, not supported if below.",
        above(difference(found("amended", EPOCHS), RANDOM_MEAN), POINTS),
    ),
    Claim(
        "§1, of some runs",
        "The cell of first-order DARTS after 200 epochs is worse than random cells of the space.",
        "Of the mean over the random cells of the same seed minus its accuracy: supported if the "
        "interval lies above 0, not supported if below.",
        above(difference(RANDOM_MEAN, found("first-order", EPOCHS)), POINTS),
    ),
    Claim(
        "§3.2",
        "A network of skip-connects performs worse than random cells of the space.",
        "The same rule.",
        above(difference(RANDOM_MEAN, mean_of(["all-skip"])), POINTS),
    ),
)

RULES = (
    "The normal cell of a search is read from its genotype: the two strongest edges into each node "
    "with their strongest operations beside none. It has collapsed if seven or more of its eight "
    "edges are skip-connect. The run has collapsed if that is so at the end, for ten epochs in a "
    "row or more. In claims about weights and operations a run counts once it has 100 epochs, and "
    "is read at its last. In claims about accuracies a cell counts once it is trained; all cells "
    "of a seed are trained with the same settings, random state and batches. With fewer than three "
    "seeds a claim is undecided, but where its rule says “any run” one that does is enough. "
    "Intervals are 95 % by Student's t."
)


def runs(setting: RetrainedSetting) -> tuple[Planned, ...]:
    """Both first searches and the cells beside them, seed by seed, and the second order at last."""

    def searched(method: str, seed: int) -> Planned:
        return RetrainedSearch(setting, method, seed, METHODS[method])

    planned: list[Planned] = []
    for seed in SEEDS:
        planned += [searched("first-order", seed), searched("amended", seed)]
        planned += [random_cell(setting, number, seed) for number in range(RANDOM)]
        planned += [TrainedCell(setting, name, seed, cell) for name, cell in OTHERS.items()]
    return (*planned, *(searched("second-order", seed) for seed in SEEDS))


def experiment(
    setting: RetrainedSetting,
    images: str,
    deviations: tuple[str, ...],
    cost: str,
    reading: str = "",
    read_from: str = "",
) -> Experiment:
    """The experiment in a setting.

    Args:
        setting: of searches and trainings.
        images: in words.
        deviations: those of the setting alone.
        cost: of its runs, in words.
        reading: the answer so far, if there are runs.
        read_from: the digest of the records that it was written from.
    """
    return Experiment(
        name=setting.name,
        title=f"DARTS's space with its 14 edges, on {images}",
        question=(
            "The paper shows a search in DARTS's own space (Fig. 1): none takes the weight, the "
            "operations that are kept become skip-connects, and the retrained cell gets worse. "
            "Is it so here, does the amended term prevent it, and does the found cell beat random "
            "cells that are trained at the same budget?"
        ),
        measure=(
            "After every epoch, as in Fig. 1: the mean weight of none over the 14 edges of the "
            "normal cell, and the share of these edges on which skip-connect is the strongest "
            f"operation beside none. The cells that stood after {_listed(AFTER)} epochs are "
            "trained from scratch on all training images. Their accuracy on the test images is "
            f"set beside that of {RANDOM} random cells for each seed, of DARTS_V2 and of a network "
            "of skip-connects, trained alike."
        ),
        runs=runs(setting),
        claims=CLAIMS,
        rules=RULES,
        deviations=(*deviations, *DEVIATIONS),
        report=RetrainedCurves((NORMAL,), AFTER, (*RANDOM_NAMES, *OTHERS)),
        cost=cost,
        reading=reading,
        read_from=read_from,
    )


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}"


DEVIATIONS = (
    "The amended term is taken by exact products, where the paper takes differences (A.2).",
    "The test images are the same for all seeds. Intervals are over seeds, and leave out the "
    "choice of these images.",
    "α's learning rate is larger than 0.0003, so that learning rate times steps is 23.4, as in 200 "
    "epochs of DARTS on CIFAR-10 with batches of 64.",
    "Trainings are of small networks, and are much shorter than the paper's 600 epochs. They have "
    "no Cutout, drop-path or auxiliary head.",
    "DARTS_V2 was found on the whole of CIFAR-10 with other sizes: it is there to compare with.",
)


def _search(learning_rate_of_alpha: float, cells: int, padding: int) -> SearchConfig:
    return SearchConfig(
        space=S1,
        estimator=FirstOrder(),
        epochs=EPOCHS,
        batch_size=64,
        channels=4,
        cells=cells,
        alpha_learning_rate=learning_rate_of_alpha,
        padding=padding,
        statistics_batches=4,
        evaluation_images=256,
    )


def _retrain(padding: int) -> RetrainConfig:
    return RetrainConfig(
        epochs=100,
        batch_size=64,
        channels=8,
        cells=5,
        padding=padding,
        cutout=0,
        drop_path=0.0,
        auxiliary_weight=0.0,
    )


DIGITS = RetrainedSetting(
    name="all-edges-digits",
    data=Digits(),
    # 200 epochs of 10 steps: learning rate × steps is 23.4, as in 200 epochs of 390 at 3e-4
    search=_search(learning_rate_of_alpha=0.0117, cells=4, padding=1),
    retrain=_retrain(padding=1),
    after=AFTER,
    words=(
        "DARTS's space with its 14 edges, 4 channels and 4 cells, of which the second and third "
        "reduce. Scikit-learn's digits: 1,348 training images of 8×8, half for ω and half for α, "
        "in batches of 64 (10 steps an epoch), 200 epochs. α moves by Adam with learning rate "
        "0.0117, betas (0.5, 0.999) and weight decay 0.001; ω by SGD, with a learning rate from "
        "0.025 down along half a cosine. Retraining: 5 cells, 8 channels, 100 epochs on all 1,348 "
        "images, tested on 449."
    ),
)

CIFAR = RetrainedSetting(
    name="all-edges-cifar10",
    data=Cifar10(train_size=1024, test_size=5000, image_size=16),
    # 200 epochs of 8 steps, so that a search is an hour or two: learning rate × steps is 23.4 again
    search=_search(learning_rate_of_alpha=0.0146, cells=3, padding=2),
    retrain=_retrain(padding=2),
    after=AFTER,
    words=(
        "DARTS's space with its 14 edges, 4 channels and 3 cells, of which the last two reduce. "
        "CIFAR-10 averaged to 16×16: 1,024 training images, half for ω and half for α, in batches "
        "of 64 (8 steps an epoch), 200 epochs. α moves by Adam with learning rate 0.0146, betas "
        "(0.5, 0.999) and weight decay 0.001; ω by SGD, with a learning rate from 0.025 down along "
        "half a cosine. Retraining: 5 cells, 8 channels, 100 epochs on all 1,024 images, tested on "
        "5,000."
    ),
)

BUSY = (
    "From a few steps, in seconds of one core of a machine that had other work. A first-order step "
    "of [collapse](collapse.md) took 0.28 there, and one of its epochs 2.4 times as long as on an "
    "idle core, by which times are divided here"
)

DIGITS_EXPERIMENT = experiment(
    DIGITS,
    "digits",
    (
        "The images are small and few: a test accuracy of 1 % is four or five images.",
        "The supernet has 4 cells, two normal ones and two that reduce, and 4 channels. DARTS's "
        "has 8 cells and 16 channels.",
        "An epoch has 10 steps: 200 epochs are 2,000 steps, and 78,000 in DARTS.",
        "The amended search of seed 0, and the trainings of DARTS_V2 and three random cells of "
        "seed 2, used AVX-512. The other runs did not, and round in other ways.",
    ),
    (
        f"{BUSY}: 1.5 for a step of first order, 4.6 for an amended one and 3.7 for one of second "
        "order, 2.1 for the end of an epoch, and 0.09 for a step of a training. A first-order "
        "search is so about 25 minutes of an idle core, an amended one 70, one of second order 55, "
        "and a training of a cell 2. All 27 runs are about 9 hours."
    ),
    reading=(
        "Seven claims are decided. In 200 epochs none of three first-order searches collapsed, "
        "and none of three amended ones: skip-connect ended as the strongest operation beside "
        "“none” on 0, 2 and 0 of the 14 edges of the normal cell, and in amended searches on 4, 2 "
        "and 0, after up to 7 on the way. So there is no collapse here for the amended term to "
        "prevent; in the smaller space of [collapse](collapse.md) there is. “None” had 0.19 to "
        "0.28 of the mean weight, and 0.12 to 0.17 in amended searches. These do not settle: "
        "between epochs 100 and 200 the strongest operation changed on 6, 8 and 22 of 28 edges. A "
        "network of skip-connects is worse than random cells, by 1.1 points or five test images. "
        "That a search finds better cells than chance is undecided: the amended ones have 99.3, "
        "100.0 and 99.8 %, those of first order 99.3, 99.6 and 99.6 %, random ones 99.1 to 99.5 % "
        "on average and DARTS_V2 99.1 %."
    ),
    read_from="010fdd2697325f05",
)

CIFAR_EXPERIMENT = experiment(
    CIFAR,
    "CIFAR-10 at 16×16",
    (
        "So that a search takes about half an hour, there are 1,024 training images in all. The "
        "supernet has 3 cells, one normal one and two that reduce, and 4 channels; DARTS's has 8 "
        "cells and 16 channels.",
        "An epoch has 8 steps: 200 epochs are 1,600 steps, and 78,000 in DARTS.",
        "Networks trained on 1,024 images are far less accurate than the paper's. Differences "
        "between cells may be others there.",
    ),
    (
        f"{BUSY}: 2.8 for a step of first order, 2.0 for the end of an epoch, and 0.12 for a step "
        "of a training. In units of a first-order step an amended one is taken to cost 3.2 and one "
        "of second order 2.6, as on digits. A first-order search is so about 35 minutes of an idle "
        "core, an amended one 105, one of second order 85, and a training of a cell 2. All 27 runs "
        "are about 13 hours."
    ),
)

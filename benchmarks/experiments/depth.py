"""Does collapse need depth? Supernets of 3, 6, 9 and 15 cells with 4 channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.experiments.definition import Claim, Experiment
from benchmarks.experiments.plots import CellCurves
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import Judge, Judgement, all_do, has_collapsed, none_does
from benchmarks.experiments.searched import SearchSetting
from benchmarks.experiments.setting import SMALL, planned

CELLS = (3, 6, 9, 15)
SETTINGS = {
    cells: SearchSetting(
        name=f"{SMALL.name}-{cells}-cells",
        data=SMALL.data,
        search=replace(SMALL.search, channels=4, cells=cells),
        words=(
            f"As in [collapse](collapse.md), with 4 channels and {cells} cells."
            if cells == CELLS[0]
            else f"The same with {cells} cells."
        ),
    )
    for cells in CELLS
}


def _within(cells: int, rule: Judge) -> Judge:
    """A rule on the runs of one depth."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        return rule([r for r in records if r.setting == SETTINGS[cells].name])

    return judge


DEPTH = Experiment(
    name="depth",
    title="Does collapse need depth?",
    question=(
        "The supernet of [collapse](collapse.md) has three cells, and those of DARTS have eight or "
        "more. What do first order and the amended estimate do in deeper supernets?"
    ),
    measure="As in [collapse](collapse.md).",
    runs=tuple(
        planned(SETTINGS[cells], method, seed)
        for seed in (0, 1, 2)
        for cells in CELLS
        for method in ("first-order", "amended")
    ),
    claims=(
        *(
            Claim(
                "§3.2",
                f"With {cells} cells first-order DARTS ends in an architecture of skip-connects.",
                "Supported if all runs collapse, not supported if half or fewer do.",
                _within(cells, all_do(has_collapsed, ["first-order"], "The cell collapsed")),
            )
            for cells in CELLS
        ),
        *(
            Claim(
                "§4.1.1",
                f"With {cells} cells search with the amended term (η = 0.1) does not collapse.",
                "Not supported if any run collapses, supported if none of three or more does.",
                _within(cells, none_does(has_collapsed, "amended", "The cell collapsed")),
            )
            for cells in CELLS
        ),
    ),
    rules="Those of [collapse](collapse.md).",
    report=CellCurves(),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too.",
        "All depths have 4 channels, and [collapse](collapse.md) has 8. So depths are to be "
        "compared with one another, from 3 cells on.",
    ),
    reading=(
        "Seven first-order searches have run, with seeds 0 and 1. With 6 cells both collapsed, "
        "from epoch 22 on. With 15 cells the one that ran did, from epoch 21 on. With 9 cells one "
        "of two did, from epoch 20 on; in the other five of six edges were skip-connects for 39 "
        "epochs, and four at the end. With 3 cells one of two did, from epoch 56 on; in the other "
        "five or six edges were skip-connects for 73 epochs, and four at the end. By the rule, "
        "which looks at the last cell, those two did not collapse. So three cells are enough for "
        "a collapse, and deeper supernets collapsed earlier. The search of seed 0 with 3 cells "
        "and 8 channels, that of [collapse](collapse.md), did not collapse in 200 epochs. One or "
        "two runs of each depth decide no claim, and no amended one has run."
    ),
    read_from="798f34fb00a283aa",
    cost=(
        "From a few steps, in seconds of one core of a machine that had other work, for first "
        "order and amended: 0.16 and 0.50 with 6 cells, 0.38 and 1.21 with 15. A run has 7,800 "
        "steps, and all 24 runs are about a day there."
    ),
)

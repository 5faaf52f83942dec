"""Every claim of an experiment is decided as its rule says, on records just beside each line."""

import pytest

from benchmarks.experiments.behaviour import BEHAVIOUR, CONTROLS, ELSEWHERE, SHORT
from benchmarks.experiments.catalogue import EXPERIMENTS
from benchmarks.experiments.collapse import COLLAPSE
from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.depth import CELLS, DEPTH, SETTINGS
from benchmarks.experiments.ends import RULES
from benchmarks.experiments.eta import ETA
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.setting import SMALL
from benchmarks.experiments.trap import A3, GRADIENT_TRAP, PAPER
from tests.benchmarks.made_records import made_record
from toy.gradient_trap import WAYS

SKIPS, GOOD = "111113", "333133"  # five of six edges are skip-connect, and one
MORE = (0.0, 0.001, 0.002)
"""What is added by seed: the interval reaches 0.0025 to either side of the middle one."""


def run(
    method: str,
    seed: int,
    *,
    setting: str = SMALL.name,
    cells: list[str] | None = None,
    none: float | list[float] = 0.1,
    accuracy: float | list[float] = 90.0,
    supernet: float | list[float] = 50.0,
) -> RunRecord:
    """A record of 100 epochs unless `cells` is shorter or longer; one number stands for a curve."""
    cells = [GOOD] * 100 if cells is None else cells

    def curve(values: float | list[float]) -> list[float]:
        return values if isinstance(values, list) else [values] * len(cells)

    curves = {
        "table_cifar10_percent_without_none": curve(accuracy),
        "val_accuracy_percent": curve(supernet),
    }
    return made_record(
        setting,
        method,
        seed,
        cells=cells,
        cells_without_none=cells,
        weights={"none": curve(none)},
        curves=curves,
    )


def ending(cell: str, collapsed_from: int = 90) -> list[str]:
    """A hundred epochs of a good cell that end with another."""
    return [GOOD] * (collapsed_from - 1) + [cell] * (101 - collapsed_from)


def collapsing(method: str, *which: bool, setting: str = SMALL.name) -> list[RunRecord]:
    """A run for each seed, collapsed or not."""
    return [
        run(method, seed, setting=setting, cells=ending(SKIPS if yes else GOOD))
        for seed, yes in enumerate(which)
    ]


def claim(experiment, beginning: str):
    (found,) = (each for each in experiment.claims if each.text.startswith(beginning))
    return found


def verdict(experiment, beginning: str, records: list[RunRecord]) -> str:
    return claim(experiment, beginning).judge(records)[0]


YES, NO = True, False
DIFFERENCES = [
    (0.01, 3, SUPPORTED),
    (-0.01, 3, NOT_SUPPORTED),
    (-0.001, 3, UNDECIDED),
    (0.01, 2, UNDECIDED),
    (0.01, 0, NOT_RUN),
]
"""How far a paired difference lies above where it decides, the seeds, and what that gives."""
ALL_DO = [
    ((YES, YES, YES), SUPPORTED),
    ((YES, YES, YES, YES), SUPPORTED),
    ((YES, YES, YES, NO), UNDECIDED),
    ((YES, YES, NO, NO), NOT_SUPPORTED),  # half
    ((YES, YES, NO), UNDECIDED),
    ((YES, NO, NO), NOT_SUPPORTED),
    ((YES, YES), UNDECIDED),
]
NONE_DOES = [
    ((NO, NO, NO), SUPPORTED),
    ((NO, NO, NO, YES), NOT_SUPPORTED),
    ((YES,), NOT_SUPPORTED),
    ((NO, NO), UNDECIDED),
]


@pytest.mark.parametrize(("which", "wanted"), ALL_DO)
def test_darts_collapses_if_all_its_runs_do(which, wanted):
    for method, beginning in (("first-order", "First-order"), ("second-order", "Second-order")):
        runs = collapsing(method, *which)
        assert verdict(COLLAPSE, beginning, runs) == wanted
    for cells in CELLS:
        runs = collapsing("first-order", *which, setting=SETTINGS[cells].name)
        assert verdict(DEPTH, f"With {cells} cells first-order", runs) == wanted


@pytest.mark.parametrize(("which", "wanted"), NONE_DOES)
def test_the_amended_search_is_stable_if_none_collapses(which, wanted):
    assert verdict(COLLAPSE, "Search with the amended", collapsing("amended", *which)) == wanted
    assert verdict(ETA, "With η = 0.1 the search", collapsing("amended", *which)) == wanted
    for cells in CELLS:
        runs = collapsing("amended", *which, setting=SETTINGS[cells].name)
        assert verdict(DEPTH, f"With {cells} cells search", runs) == wanted


@pytest.mark.parametrize(("which", "wanted"), ALL_DO)
def test_the_direction_alone_is_not_enough_if_all_runs_collapse(which, wanted):
    assert verdict(BEHAVIOUR, "The direction alone", collapsing(SHORT, *which)) == wanted


@pytest.mark.parametrize(("which", "wanted"), NONE_DOES)
def test_other_batches_prevent_collapse_too_if_no_run_collapses(which, wanted):
    text = "With the term on an independent pair"
    assert verdict(BEHAVIOUR, text, collapsing(ELSEWHERE, *which)) == wanted


@pytest.mark.parametrize(("which", "wanted"), NONE_DOES)
def test_two_hundred_epochs_stand_for_five_hundred_and_fewer_do_not(which, wanted):
    long = [
        run("amended", seed, cells=[GOOD] * 100 + ending(SKIPS if yes else GOOD))
        for seed, yes in enumerate(which)
    ]
    assert verdict(COLLAPSE, "The amended search has not", long) == wanted
    short = collapsing("amended", *which)
    assert verdict(COLLAPSE, "The amended search has not", short) == NOT_RUN


def test_runs_of_another_depth_say_nothing():
    runs = collapsing("first-order", YES, YES, YES, setting=SETTINGS[6].name)
    assert verdict(DEPTH, "With 9 cells first-order", runs) == "not run"


@pytest.mark.parametrize("which", [w for w, _ in NONE_DOES])
@pytest.mark.parametrize("method", CONTROLS)
def test_a_control_that_collapses_says_that_the_term_itself_prevents_it(method, which):
    wanted = {(NO, NO): UNDECIDED, (NO, NO, NO): NOT_SUPPORTED}.get(which, SUPPORTED)
    text = f"Only the amended term itself prevents collapse: with {CONTROLS[method]}"
    assert verdict(BEHAVIOUR, text, collapsing(method, *which)) == wanted


@pytest.mark.parametrize(
    ("length", "from_epoch", "cell", "decided"),
    [
        (100, 91, "111113", SUPPORTED),  # ten epochs in a row, to the end
        (100, 92, "111113", NOT_SUPPORTED),  # nine
        (100, 91, "111133", NOT_SUPPORTED),  # four edges of six
        (99, 90, "111113", UNDECIDED),  # a run counts from its hundredth epoch on
    ],
)
def test_what_counts_as_collapsed_is_what_the_rules_say(length, from_epoch, cell, decided):
    cells = [GOOD] * (from_epoch - 1) + [cell] * (length - from_epoch + 1)
    runs = [run("first-order", seed, cells=cells) for seed in range(3)]
    assert verdict(COLLAPSE, "First-order DARTS", runs) == decided
    said = ("five or more of its six edges", "ten epochs in a row", "once it has 100 epochs")
    said += ("fewer than three seeds", "one that does is enough", "95 % by Student's t")
    for words in said:
        assert words in RULES


@pytest.mark.parametrize(
    ("end", "wanted"), [(0.9001, SUPPORTED), (0.9, NOT_SUPPORTED), (0.51, NOT_SUPPORTED)]
)
def test_none_dominates_if_it_ends_above_nine_tenths(end, wanted):
    for before in (0.1, 0.99):
        runs = [run("first-order", s, none=[before] * 99 + [end]) for s in range(3)]
        assert verdict(COLLAPSE, "In first-order DARTS the weight of none", runs) == wanted


def pairs(first: str, second: str, gap: float, curve: str) -> list[RunRecord]:
    """Three seeds of two methods; the first is higher by `gap`, or by a little more."""
    return [
        record
        for seed, more in enumerate(MORE)
        for record in (
            run(first, seed, **{curve: 80.0 + seed + gap + more}),
            run(second, seed, **{curve: 80.0 + seed}),
        )
    ]


PAIRED = [
    (COLLAPSE, "The amended search ends in a better cell", "amended", "first-order", "accuracy"),
    (COLLAPSE, "The amended supernet reaches", "amended", "first-order", "supernet"),
    (COLLAPSE, "The second-order supernet's", "first-order", "second-order", "supernet"),
    (ETA, "η = 0.1 ends in a better cell", "amended", "amended-eta-1", "accuracy"),
    *(
        (
            BEHAVIOUR,
            f"The amended term ends in a better cell than {words}",
            "amended",
            m,
            "accuracy",
        )
        for m, words in CONTROLS.items()
    ),
]


@pytest.mark.parametrize(("experiment", "beginning", "first", "second", "curve"), PAIRED)
@pytest.mark.parametrize(
    ("gap", "wanted"), [(0.01, SUPPORTED), (-0.01, NOT_SUPPORTED), (-0.001, UNDECIDED)]
)
def test_the_sign_of_a_paired_difference_decides(
    experiment, beginning, first, second, curve, gap, wanted
):
    assert verdict(experiment, beginning, pairs(first, second, gap, curve)) == wanted


def test_a_pair_is_compared_at_the_last_epoch_that_both_have():
    """At epoch 110 amended is better in every seed; at 120, where one run ends, it would not be."""
    records = []
    for seed, more in enumerate(MORE):
        long = [80.0] * 109 + [91.0 + more] + [70.0] * 10
        records.append(run("amended", seed, cells=[GOOD] * 120, accuracy=long))
        records.append(run("first-order", seed, cells=[GOOD] * 110, accuracy=90.0))
    assert verdict(COLLAPSE, "The amended search ends", records) == SUPPORTED


@pytest.mark.parametrize(
    ("gap", "wanted"),
    [(-0.99, SUPPORTED), (-1.01, NOT_SUPPORTED), (-5.0, NOT_SUPPORTED), (-1.001, UNDECIDED)],
)
def test_early_stopping_is_needless_within_one_point_of_the_best_cell(gap, wanted):
    """First order's best is in the middle of its run, amended's last after a better one."""
    records = []
    for seed, more in enumerate(MORE):
        best = [80.0] * 50 + [93.0] + [60.0] * 49
        last = [99.0] * 99 + [93.0 + gap + more]
        records += [run("first-order", seed, accuracy=best), run("amended", seed, accuracy=last)]
    text = "The amended search makes early stopping needless"
    assert verdict(COLLAPSE, text, records) == wanted


@pytest.mark.parametrize(("accuracy", "wanted"), [(89.46, SUPPORTED), (89.44, NOT_SUPPORTED)])
def test_better_than_chance_is_above_the_mean_of_the_table(accuracy, wanted):
    records = [
        run(
            "amended",
            s,
            accuracy=[95.0 if wanted == NOT_SUPPORTED else 70.0] * 99 + [accuracy + more],
        )
        for s, more in enumerate((-0.001, 0.0, 0.001))
    ]
    assert (
        verdict(COLLAPSE, "The amended search finds a better cell than chance", records) == wanted
    )


@pytest.mark.parametrize("odd", ["first-order", "amended-eta-0.001", "amended-eta-0.01"])
def test_every_small_eta_must_collapse(odd):
    small = ("first-order", "amended-eta-0.001", "amended-eta-0.01")
    runs = [r for m in small for r in collapsing(m, YES, YES, YES)]
    beginning = "With a small η"
    assert verdict(ETA, beginning, runs) == SUPPORTED
    others = [r for r in runs if r.method != odd]
    assert verdict(ETA, beginning, [*others, *collapsing(odd, NO, YES, YES)]) == UNDECIDED
    assert verdict(ETA, beginning, [*others, *collapsing(odd, YES, YES)]) == UNDECIDED


@pytest.mark.parametrize(
    ("later", "sooner", "wanted"), [(60, 50, SUPPORTED), (50, 60, NOT_SUPPORTED)]
)
def test_postponed_means_that_the_larger_eta_collapses_later(later, sooner, wanted):
    records = []
    for seed in range(3):
        for eta, epoch in (("0.01", later + seed), ("0.001", sooner)):
            cells = ending(SKIPS, collapsed_from=epoch)
            records.append(run(f"amended-eta-{eta}", seed, cells=cells))
    assert verdict(ETA, "From η = 0.001 to 0.01", records) == wanted
    without = [
        *records,
        run("amended-eta-0.01", 3),
        *collapsing("amended-eta-0.001", *[YES] * 4)[3:],
    ]
    assert verdict(ETA, "From η = 0.001 to 0.01", without) == wanted  # a seed that never collapses


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [("444000", SUPPORTED), ("444111", SUPPORTED), ("440000", NOT_SUPPORTED)],
)
def test_average_pooling_is_preferred_from_half_of_the_edges_on(cell, wanted):
    for before in ("444444", "333333"):
        runs = [run("amended-eta-1", s, cells=[before] * 99 + [cell]) for s in range(3)]
        assert verdict(ETA, "With η = 1 average pooling", runs) == wanted


@pytest.mark.parametrize(("gap", "wanted"), [(0.01, SUPPORTED), (-0.01, NOT_SUPPORTED)])
def test_each_error_of_the_gradient_trap_is_judged_by_itself(gap, wanted):
    for way in WAYS:
        records = [
            made_record(A3.name, method, seed, result={w: error if w == way else 5.0 for w in WAYS})
            for seed, more in enumerate((-0.002, -0.001, 0.0, 0.001, 0.002))
            for method, error in (("first-order", 5.0), ("amended", 5.0 - gap + more))
        ]
        found = {each.text: each.judge(records)[0] for each in GRADIENT_TRAP.claims}
        (mine,) = (text for text in found if text.endswith(f"{way}."))
        assert found.pop(mine) == wanted
        assert set(found.values()) == {UNDECIDED}


def test_the_papers_errors_of_the_gradient_trap():
    """A.3, with and without the term."""
    assert PAPER == {
        "search sets": (10.5, 12.8),
        "whole sets": (5.4, 7.4),
        "derived network": (6.2, 7.4),
    }


def test_every_claim_with_a_rule_is_tried_here():
    """A new claim of these experiments needs its line in a test above; then count it here."""
    counts = {name: len(experiment.claims) for name, experiment in EXPERIMENTS.items()}
    tried = {"collapse": 10, "eta": 5, "behaviour": 14, "depth": 8, "gradient-trap": 3}
    assert counts.items() >= tried.items()

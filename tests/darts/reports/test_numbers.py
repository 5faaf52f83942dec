"""The numbers that reports compute from records."""

from math import hypot
from random import Random

import pytest
from scipy.stats import binomtest, ttest_ind

from bilevel import Autograd, CentralDifference
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended
from darts.config.as_json import to_json
from darts.config.search import SearchConfig
from darts.names import ESTIMATORS
from darts.records.run_folder import RunFolder
from darts.reports.drawing import operation_label
from darts.reports.search_part import search_part
from darts.reports.settings import option, settings_rows, spelled
from darts.reports.shares import share
from darts.reports.statistics import (
    mean_and_deviation,
    mean_difference,
    paired_difference,
    unpaired_difference,
    wilson_interval,
)
from darts.spaces import S1
from tests.darts.training.tiny import search_config

EPOCH = {
    "epoch": 0,
    "operations": ["none", "skip_connect", "sep_conv_3x3"],
    "mixing": {
        "normal": [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]],
        "reduce": [[0.2, 0.2, 0.6], [0.7, 0.2, 0.1]],
    },
}


@pytest.mark.parametrize(("right", "images"), [(0, 10), (443, 449), (449, 449), (50, 100)])
def test_the_interval_is_wilsons(right, images):
    expected = binomtest(right, images).proportion_ci(0.95, method="wilson")
    found = wilson_interval(100 * right / images, images)
    assert found.low == pytest.approx(100 * expected.low, abs=1e-4)
    assert found.high == pytest.approx(100 * expected.high, abs=1e-4)


def test_shares_are_mean_weights_and_counts_of_strongest_edges():
    skip, none = share(EPOCH, "skip_connect"), share(EPOCH, "none")
    assert skip.weight_percent == pytest.approx(100 * (0.3 + 0.6 + 0.2 + 0.2) / 4)
    assert (skip.strongest, skip.edges) == (1, 4)
    assert none.strongest == 2
    assert share(EPOCH, "none", "normal").weight_percent == pytest.approx(30)
    assert share(EPOCH, "max_pool_3x3") is None


def test_the_deviation_is_that_of_a_sample():
    assert mean_and_deviation([97.0, 99.0]) == "98.00 ± 1.41"
    assert mean_and_deviation([97.0]) == "97.00"


def test_differences_are_those_of_other_programs():
    """Newcombe's from Wilson's, which is compared with SciPy above; Welch's by SciPy."""
    found = unpaired_difference(80.0, 60.0, 70)
    lows = [wilson_interval(p, 70) for p in (80.0, 60.0)]
    assert found.low == pytest.approx(20 - hypot(80 - lows[0].low, lows[1].high - 60))
    assert found.high == pytest.approx(20 + hypot(lows[0].high - 80, 60 - lows[1].low))
    samples = [97.0, 99.0, 98.5], [95.0, 96.0, 97.5, 95.5]
    expected = ttest_ind(*samples, equal_var=False).confidence_interval(0.95)
    assert mean_difference(*samples).low == pytest.approx(expected.low)
    assert mean_difference(*samples).high == pytest.approx(expected.high)
    assert mean_difference([97.0], [95.0, 96.0]) is None


def test_pairs_are_sharper_than_samples_and_hold_zero_when_nothing_differs():
    """And 95 % of them hold the true difference, drawn 200 times."""
    right = [True] * 90 + [False] * 10
    same = paired_difference(right, right)
    assert same.low == pytest.approx(-same.high)
    assert same.has_zero
    better = paired_difference([True] * 100, right)
    assert 0 < better.low < 10 < better.high < 20
    unpaired = unpaired_difference(100.0, 90.0, 100)
    assert better.high - better.low < unpaired.high - unpaired.low
    random = Random(0)
    covered = 0
    for _ in range(200):
        pairs = random.choices([(1, 1), (1, 0), (0, 1), (0, 0)], [0.85, 0.08, 0.04, 0.03], k=300)
        found = paired_difference([a == 1 for a, _ in pairs], [b == 1 for _, b in pairs])
        covered += found.low <= 4 <= found.high
    assert binomtest(covered, 200, 0.95).pvalue > 0.001
    with pytest.raises(ValueError, match="same images"):
        paired_difference([True], [])


def test_the_mixing_weights_mark_the_operation_that_was_kept_and_no_other(tmp_path):
    genotype = {"normal": [["skip_connect", 0], ["sep_conv_3x3", 1]], "normal_concat": [2]}
    epoch = EPOCH | {"mixing": {"normal": EPOCH["mixing"]["normal"]}, "genotype": genotype}
    epoch |= dict.fromkeys(("train_loss", "val_loss", "val_accuracy_percent"), 1.0)
    run = RunFolder(tmp_path)
    run.append("search/epochs", epoch)
    config = {"search": {"space": {"edges": [(0, 2), (1, 2)]}, "mixing": {"type": "Softmax"}}}
    ((kind, head, rows),) = search_part(config, run)["mixing"]
    assert (kind, head) == ("normal cells", ["edge", "none", "skip", "sep conv 3×3"])
    assert [(edge, [w for w, kept in weights if kept]) for edge, weights in rows] == [
        ("k−2 → 1", [0.3]),
        ("k−1 → 1", [0.3]),
    ]


@pytest.mark.parametrize(
    ("derivatives", "more"),
    [(ReverseOverForward(), ()), (Autograd(), ()), (CentralDifference(), ("--estimator",))],
    ids=["forwards", "graph", "differences"],
)
def test_the_settings_table_sets_bold_what_differs_from_the_paper_and_only_that(derivatives, more):
    search = search_config(Amended(eta=0.1, derivatives=derivatives), seed=4)
    rows = settings_rows("search", to_json(search), SearchConfig())
    bold = {name.striptags() for name, mine, _ in rows if "<b>" in mine}
    assert bold == {
        "--space",
        "--search.epochs",
        "--search.batch-size",
        "--search.channels",
        "--search.cells",
        "--search.alpha-learning-rate",
        "--search.padding",
        *more,
    }


def test_settings_read_as_the_command_line_takes_them():
    assert spelled(3e-4) == "0.0003"
    assert spelled([0.5, 0.999]) == "0.5 0.999"
    assert spelled(None) == "none"
    assert spelled(to_json(Amended(eta=0.2))) == ESTIMATORS.write(Amended(eta=0.2))
    assert spelled(to_json(S1)) == "s1"
    assert spelled({"type": "Amended", "eta": 0.1}) == "Amended(eta=0.1)"  # of another version
    assert option("search", "alpha_learning_rate") == "--search.alpha-learning-rate"
    assert operation_label("skip_connect") == "skip"

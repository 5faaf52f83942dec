"""The numbers that reports compute from records."""

import pytest
from scipy.stats import binomtest

from bilevel import Autograd, CentralDifference
from bilevel.estimators import Amended
from bilevel.reverse_over_forward import ReverseOverForward
from darts.config.as_json import to_json
from darts.config.search import SearchConfig
from darts.reports.drawing import operation_label
from darts.reports.page import bars
from darts.reports.shares import share
from darts.reports.tables import (
    mean_and_deviation,
    mixing_table,
    setting_text,
    settings_table,
    wilson_interval,
)
from darts.spaces import CellGenotype
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


def test_the_mixing_table_marks_the_operation_that_was_kept_and_no_other():
    cell = CellGenotype("normal", (("skip_connect", 0), ("sep_conv_3x3", 1)), (2,))
    html = mixing_table(EPOCH, "normal", [(0, 2), (1, 2)], cell)
    marked = [part.partition(">")[2].partition("<")[0] for part in html.split("class=kept")[1:]]
    assert marked == ["30.0", "30.0"]


@pytest.mark.parametrize(
    ("derivatives", "more"),
    [(ReverseOverForward(), ()), (Autograd(), ()), (CentralDifference(), ("estimator",))],
    ids=["forwards", "graph", "differences"],
)
def test_the_settings_table_sets_bold_what_differs_from_the_paper_and_only_that(derivatives, more):
    search = search_config(Amended(eta=0.1, derivatives=derivatives), seed=4)
    html = settings_table(to_json(search), SearchConfig())
    rows = {row.split("<")[0]: row for row in html.replace("<tr><td>", "\n").split("\n")[1:]}
    bold = {name for name, row in rows.items() if "<b>" in row}
    assert bold == {
        "space",
        "epochs",
        "batch size",
        "channels",
        "cells",
        "alpha learning rate",
        "padding",
        *more,
    }


def test_settings_read_as_one_would_write_them():
    assert setting_text(3e-4) == "0.0003"
    assert setting_text([0.5, 0.999]) == "0.5, 0.999"
    assert setting_text(None) == "none"
    assert setting_text({"type": "Amended", "eta": 0.1}) == "Amended(eta=0.1)"
    assert operation_label("sep_conv_3x3") == "sep conv 3×3"
    assert operation_label("skip_connect") == "skip"


def test_bars_are_as_long_as_their_numbers():
    assert 'style="width:96.40%"' in bars([("x", 96.4, True)])

"""The relation of an early table to exact rates: right figures pass, planted ones do not."""

import numpy as np
import pytest
from scipy.stats import binom

from proofs_checks import printed_rates
from proofs_checks.measurement import judge, load
from proofs_checks.printed_rates import LEAST_TAIL, OURS, findings, summarise, tail


def test_a_tail_is_the_probability_of_the_figure_or_one_further_away():
    """.38 of 500 draws stands for 188 to 192: below 500 × .42, so the lower tail."""
    assert tail(np.array([500]), ".38", 0.42)[0] == pytest.approx(binom.cdf(192, 500, 0.42))
    assert tail(np.array([500]), ".38", 0.30)[0] == pytest.approx(binom.sf(187, 500, 0.30))
    assert tail(np.array([500]), "0", 0.001)[0] == pytest.approx(binom.cdf(2, 500, 0.001))


def test_a_figure_that_no_count_prints_has_probability_zero():
    """One of 153 prints as .007, one of 155 as .006."""
    assert tail(np.array([100, 153, 155]), ".006", 0.01) == pytest.approx(
        [0, 0, binom.cdf(1, 155, 0.01)]
    )


def rows():
    return [row for row in load(printed_rates.RECORD)["rows"] if row["setting"] == OURS]


@pytest.mark.parametrize(("estimator", "planted"), [("amended", ".58"), ("darts", ".50")])
def test_a_wrong_cell_is_excluded_at_every_number_of_draws_that_admitted_the_table(
    estimator, planted
):
    numbers = np.arange(1, 1466)
    for row in rows():
        if (row["estimator"], row["condition"]) == (estimator, 100.0):
            assert (tail(numbers, row["printed"], row["chance"]) >= LEAST_TAIL).any()
            assert not (tail(numbers[153:], planted, row["chance"]) >= LEAST_TAIL).any()


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_the_findings_reject_a_wrong_probability(factor):
    record = load(printed_rates.RECORD)["rows"]
    assert judge(findings(summarise(record))) == ""
    altered = [
        {**row, "chance": factor * row["chance"]} if row["estimator"] == "amended" else row
        for row in record
    ]
    assert judge(findings(summarise(altered))) != ""

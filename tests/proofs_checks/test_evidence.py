"""Each kind of evidence passes on what is true and fails on what is not."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
import z3

from proofs_checks.evidence import (
    Bound,
    Enclosure,
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    MonteCarlo,
    MonteCarloMean,
    PropertyTest,
    Rate,
    SmtProof,
    clopper_pearson,
)

X, Y = z3.Reals("x y")
F = z3.Function("f", z3.RealSort(), z3.RealSort())  # beyond what polynomials over ℝ can decide


def identity_of(left: object, right: object) -> ExactIdentity:
    return ExactIdentity("two sides", lambda: [("sides", left, right)])


def test_identity_is_seen_through_algebra_and_a_wrong_one_rejected():
    a, b = sympy.symbols("a b")
    assert identity_of((a + b) ** 2, a**2 + 2 * a * b + b**2).verify().passed
    assert not identity_of((a + b) ** 2, a**2 + a * b + b**2).verify().passed


@pytest.mark.parametrize("value", [0.5, sympy.Float(0.5), np.float64(0.5)])
def test_exact_evidence_refuses_a_float_even_where_it_is_right(value):
    outcome = identity_of(value, value).verify()
    assert not outcome.passed
    assert "float" in outcome.reason


def exhibit(premise: bool, conclusion: bool) -> Exhibit:
    return Exhibit({"x": Fraction(1, 2)}, {"premise": premise}, {"conclusion": conclusion})


def test_counterexample_needs_true_premises_and_a_false_conclusion():
    assert ExactCounterexample("", lambda: exhibit(True, False)).verify().passed
    assert not ExactCounterexample("", lambda: exhibit(True, True)).verify().passed
    assert not ExactCounterexample("", lambda: exhibit(False, False)).verify().passed


def test_example_needs_true_premises_and_a_true_conclusion():
    assert ExactExample("", lambda: exhibit(True, True)).verify().passed
    assert not ExactExample("", lambda: exhibit(True, False)).verify().passed
    assert not ExactExample("", lambda: exhibit(False, True)).verify().passed


def test_smt_proof_is_unsat_of_the_negation():
    square_is_positive = SmtProof("", lambda: ([X > 1], X * X > X))
    assert square_is_positive.verify().passed


def test_smt_proof_rejects_a_false_statement_and_gives_the_model():
    outcome = SmtProof("", lambda: ([X > 0], X * X > X)).verify()
    assert not outcome.passed
    assert "model of the negation" in outcome.reason


def test_smt_proof_rejects_premises_without_a_model():
    outcome = SmtProof("", lambda: ([X > 0, X < 0], Y > 0)).verify()
    assert not outcome.passed
    assert "empty" in outcome.reason


def test_smt_proof_that_runs_out_is_not_a_proof():
    hard = SmtProof("", lambda: ([X**7 + Y**5 > 3], X**6 * Y**4 + X**2 + 1 > X * Y**3), limit=1)
    outcome = hard.verify()
    assert not outcome.passed


@pytest.mark.parametrize("conclusion", [F(X) > X, 2**X > 1, X**Y > 0])
def test_smt_proof_counts_unknown_for_nothing(conclusion):
    """Its premises have a model, and of the negation z3's solver says neither sat nor unsat."""
    outcome = SmtProof("", lambda: ([X > 0], conclusion)).verify()
    assert not outcome.passed
    assert outcome.undecided
    assert "gave up" in outcome.reason


def test_enclosure_must_lie_inside_and_may_not_be_empty():
    def evidence(low: float, high: float) -> Enclosure:
        return Enclosure("", lambda: [Bound("x", (low, high), (0, 1))])

    assert evidence(0.2, 0.3).verify().passed
    assert not evidence(0.0, 0.3).verify().passed
    assert not evidence(0.3, 0.2).verify().passed
    assert not evidence(math.nan, math.nan).verify().passed
    assert not Enclosure("", list).verify().passed


def test_property_fails_on_one_bad_instance_and_on_too_few():
    def evidence(margin, draw=lambda rng: rng.randint(0, 9), strict=False) -> PropertyTest:
        return PropertyTest("", draw, margin, strict=strict)

    assert evidence(Fraction).verify().passed
    assert not evidence(Fraction, strict=True).verify().passed
    assert not evidence(lambda case: Fraction(case - 1)).verify().passed
    assert "draws gave 0" in evidence(Fraction, draw=lambda rng: None).verify().reason


def test_monte_carlo_rejects_a_probability_outside_its_interval():
    def evidence(expected) -> MonteCarlo:
        return MonteCarlo("", 4000, 1, lambda rng, n: rng.random(n) < 0.3, lambda: expected)

    assert evidence(0.3).verify().passed
    assert evidence((0.25, 0.35)).verify().passed
    assert not evidence(0.33).verify().passed
    assert not evidence((0.4, 0.5)).verify().passed


def test_clopper_pearson_matches_the_textbook():
    """5 of 10: [0.187, 0.813]; 0 of n: upper end 1 − (0.025)^(1/n)."""
    lower, upper = clopper_pearson(5, 10)
    assert (round(lower, 3), round(upper, 3)) == (0.187, 0.813)
    assert clopper_pearson(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))


def test_monte_carlo_mean_rejects_a_mean_outside_its_interval():
    def evidence(expected: float) -> MonteCarloMean:
        return MonteCarloMean("", 4000, 1, lambda rng, n: rng.normal(2, 1, n), lambda: expected)

    assert evidence(2.0).verify().passed
    assert not evidence(2.1).verify().passed


def test_the_interval_of_a_sampled_mean_is_the_normal_ones():
    """Fifty zeros and fifty ones: s = 0.50252, and 1.96 s/10 = 0.09849."""
    halves = np.repeat([0.0, 1.0], 50)
    outcome = MonteCarloMean("", 100, 1, lambda rng, n: halves, lambda: 0.5).verify()
    assert outcome.numbers["95 %"] == "[0.4015, 0.5985]"


def test_rate_reads_the_order():
    def evidence(power: int) -> Rate:
        steps = [Fraction(1, 2**k) for k in range(1, 6)]
        return Rate("", lambda: [(h, 3 * h**power) for h in steps], order=2, tolerance=0.1)

    assert evidence(2).verify().passed
    assert not evidence(1).verify().passed


def test_an_exception_is_a_failure_with_its_message():
    outcome = ExactIdentity("", lambda: [("x", 1, Fraction(1, 0))]).verify()
    assert not outcome.passed
    assert "ZeroDivisionError" in outcome.reason

"""An empirical verdict is recomputed from its record, and a record that contradicts it is seen."""

import dataclasses
import json

import pytest
from scipy.stats import ttest_1samp

from proofs_checks import measurement
from proofs_checks.__main__ import main
from proofs_checks.catalogue import all_claims
from proofs_checks.definitions import FORMULAS
from proofs_checks.experiment import (
    Criterion,
    Experiment,
    by_run,
    mean_interval,
    paired,
    share_interval,
    together,
)
from proofs_checks.judged_by_pages import NARROWER, ROWS, WORDS, JudgedByPage, by_the_page, row
from proofs_checks.ledger import Claim, Verdict, verify
from proofs_checks.the_total_direction import claims

SUPPORTED, REFUTED, OPEN = Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.UNDECIDED


def accuracy(row):
    return row["accuracy"]


def is_amended(row):
    return row["method"] == "amended"


def is_first_order(row):
    return row["method"] == "first order"


def gain(record):
    return paired(record["rows"], accuracy, of=is_amended, minus=is_first_order)


def record_of(gains):
    """Seeds that differ by more than the methods, as runs with common random numbers do."""
    rows = []
    for seed, more in enumerate(gains):
        rows.append({"seed": seed, "method": "first order", "accuracy": 80.0 + 5 * seed})
        rows.append({"seed": seed, "method": "amended", "accuracy": 80.0 + 5 * seed + more})
    return {"rows": rows}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Write a record where the ledger looks for it; gives the evidence that reads it."""
    monkeypatch.setattr(measurement, "RECORDS", tmp_path)
    (tmp_path / "experiments").mkdir()

    def evidence(gains, verdict=SUPPORTED, **claimed):
        path = tmp_path / "experiments" / "planted.json"
        path.write_text(json.dumps(record_of(gains)))
        criterion = Criterion("gain, %", gain, **(claimed or {"least": 0.0}))
        return Experiment("planted", "experiments/planted", verdict, (criterion,))

    return evidence


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((1.0, 1.2, 0.9, 1.1), SUPPORTED),
        ((-1.0, -1.2, -0.9, -1.1), REFUTED),
        ((1.0, -1.2, 0.9, -1.1), OPEN),
        ((1.0, 1.2), OPEN),
        ((1.0, 1.0001), OPEN),  # t's interval of two values excludes 0; two runs decide nothing
        ((1.0, 1.0001, 1.0), SUPPORTED),
    ],
)
def test_a_record_gives_one_verdict_and_contradicts_the_others(recorded, gains, verdict):
    for stated in (SUPPORTED, REFUTED, OPEN):
        outcome = recorded(gains, stated).verify()
        assert outcome.passed is (stated is verdict)
        if not outcome.passed:
            assert outcome.reason == f"the row says {stated.value!r}, the record {verdict.value!r}"


def test_the_outcome_names_record_command_interval_and_rule(recorded):
    numbers = recorded((1.0, 1.2, 0.9, 1.1)).verify().numbers
    assert numbers["record"] == "docs/records/experiments/planted.json"
    assert numbers["again"] == "nox -s experiments -- planted"
    assert "n = 4; claimed at least 0: supported" in numbers["gain, %"]


def test_a_range_is_two_sided(recorded):
    """§3.4's 91.5 − 90.5 % would be a gain of 1.0, to the digit printed."""
    assert recorded((1.01, 0.99, 1.0), least=0.95, most=1.05).verify().passed
    assert recorded((1.21, 1.19, 1.2), REFUTED, least=0.95, most=1.05).verify().passed
    assert recorded((0.81, 0.79, 0.8), REFUTED, least=0.95, most=1.05).verify().passed
    assert recorded((0.7, 1.0, 1.3), OPEN, least=0.95, most=1.05).verify().passed


def test_a_mean_that_the_row_prints_is_held_to_its_digits(recorded):
    found = recorded((1.0, 1.2, 0.9, 1.1))
    for mean, passed in (("1.05", True), ("1.0", True), ("1.1", True), ("1.06", False)):
        criterion = dataclasses.replace(found.criteria[0], mean=mean)
        outcome = dataclasses.replace(found, criteria=(criterion,)).verify()
        assert outcome.passed is passed
        assert passed or outcome.reason.startswith("the mean of gain, % is 1.05, claimed in")


def test_every_experiment_of_the_ledger_prints_its_means():
    pieces = [piece for claim in all_claims() for piece in claim.evidence]
    criteria = [c for piece in pieces if isinstance(piece, Experiment) for c in piece.criteria]
    assert len(criteria) == 5
    assert all(criterion.mean for criterion in criteria)


def test_a_claim_is_what_the_worst_of_its_criteria_is():
    assert together([SUPPORTED, SUPPORTED]) is SUPPORTED
    assert together([SUPPORTED, OPEN]) is OPEN
    assert together([OPEN, REFUTED, SUPPORTED]) is REFUTED


def test_the_interval_is_students_and_a_share_has_clopper_and_pearsons():
    values = [0.3, 1.1, 0.7, 2.0, -0.4]
    interval = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((interval.low, interval.high))
    assert share_interval([1] * 10)[0] == pytest.approx(0.025 ** (1 / 10))
    with pytest.raises(ValueError, match="zeros and ones"):
        share_interval([0.5])


def test_every_run_of_three_is_not_yet_most_runs():
    """3 of 3 all-skip cells: 29 to 100 %. 6 of 6: from 54 %."""
    criterion = Criterion("all-skip", lambda record: [], least=0.5, interval=share_interval)
    assert criterion.decide([1, 1, 1]) is OPEN
    assert criterion.decide([1] * 6) is SUPPORTED


def test_nan_decides_nothing():
    criterion = Criterion("x", lambda record: [], least=0.0)
    assert criterion.decide([1.0, float("nan"), 1.0]) is OPEN


def test_rows_of_a_run_are_averaged_and_a_run_of_one_side_is_refused():
    rows = [{"seed": 0, "x": 1.0}, {"seed": 0, "x": 3.0}, {"seed": 1, "x": 5.0}]
    assert by_run(rows, lambda row: row["x"]) == {0: 2.0, 1: 5.0}
    with pytest.raises(ValueError, match=r"runs \[1\] have rows of one side only"):
        paired(
            rows,
            lambda row: row["x"],
            of=lambda row: row["x"] > 1,
            minus=lambda row: row["x"] == 1,
        )


def test_a_missing_record_fails_with_the_command_that_makes_it():
    evidence = Experiment("", "experiments/absent", SUPPORTED, (Criterion("x", gain),))
    outcome = evidence.verify()
    assert not outcome.passed
    assert "nox -s experiments -- absent" in outcome.reason


def test_an_empirical_verdict_without_such_an_experiment_is_refused(recorded):
    def claim(verdict, *evidence):
        return Claim("X", "", "", "", verdict, "", evidence)

    supporting = recorded((1.0, 1.2, 0.9))
    assert claim(SUPPORTED, supporting).verdict is SUPPORTED
    for wrong in (REFUTED, OPEN, Verdict.HOLDS):
        with pytest.raises(ValueError, match="its experiments decide: supported"):
            claim(wrong, supporting)
    with pytest.raises(ValueError, match="say what it shows"):
        claim(Verdict.NOT_TESTED, supporting)
    with pytest.raises(ValueError, match="at least one piece of evidence"):
        claim(SUPPORTED)
    with pytest.raises(ValueError, match="decides between"):
        Experiment("", "experiments/planted", Verdict.HOLDS, (Criterion("x", gain),))


def test_a_real_row_fails_where_its_record_says_otherwise(tmp_path, monkeypatch):
    """§1g: divided by 10⁶, amended's errors would be the least of all."""
    (row,) = (claim for claim in claims(FORMULAS) if claim.id == "§1g")
    evidence = row.evidence[0]
    assert evidence.verify().passed
    record = measurement.load(evidence.record)
    for entry in record["rows"]:
        if entry["estimator"] == "amended":
            entry["total_error"] /= 1e6
            entry["best_error"] /= 1e6
    (tmp_path / f"{evidence.record}.json").write_text(json.dumps(record))
    monkeypatch.setattr(measurement, "RECORDS", tmp_path)
    outcome = evidence.verify()
    assert not outcome.passed
    assert outcome.reason == "the row says 'not supported', the record 'supported'"


def judged(verdict, *words):
    answers = iter(words)
    claims_of_a_page = tuple(f"claim {k}" for k in range(len(words)))
    return JudgedByPage(
        "planted", "collapse", claims_of_a_page, verdict, lambda *_: (next(answers), "3 of 3.")
    ).verify()


def test_a_row_takes_the_verdict_of_its_page_and_is_contradicted_by_another():
    yes, no, open_ = (
        f"{word} at this scale" for word in ("supported", "not supported", "undecided")
    )
    assert judged(SUPPORTED, yes, yes).passed
    assert judged(REFUTED, yes, no).passed
    assert judged(OPEN, yes, open_).passed
    outcome = judged(SUPPORTED, yes, no)
    assert outcome.reason == "the row says 'supported', the records 'not supported'"
    assert "not run" in judged(SUPPORTED, "not run").reason


@pytest.mark.parametrize("entry", ROWS, ids=lambda entry: entry[0])
def test_every_row_of_a_page_finds_its_claim_there(entry):
    _, _, experiment, beginnings = entry
    for beginning in beginnings:
        words, _ = by_the_page(experiment, beginning)
        assert words in {*WORDS, "not run"}


def test_a_claim_that_a_page_does_not_make_is_refused():
    with pytest.raises(ValueError, match="0 claims of experiment 'collapse' begin with 'x'"):
        by_the_page("collapse", "x")


def test_a_row_with_a_verdict_names_its_page():
    claim = row("A4d", SUPPORTED, "collapse", ("Search with the amended term",))
    assert claim.evidence[0].decides is SUPPORTED
    assert "docs/experiments/collapse.md" in claim.because


def test_a_row_whose_runs_leave_something_out_says_what():
    assert NARROWER.keys() <= {entry[0] for entry in ROWS}
    for claim_id, words in NARROWER.items():
        assert words in row(claim_id, SUPPORTED, "cures", ("PC-DARTS can fail",)).assumptions
    assert row("A4d", SUPPORTED, "collapse", ("x",)).assumptions == (
        "the setting and the rule of docs/experiments/collapse.md; of the paper's size nothing is "
        "said"
    )


@pytest.mark.parametrize(("absent", "lacks"), [("benchmarks.experiments", True), ("scipy", False)])
def test_what_an_installed_package_lacks_is_told_and_only_that(absent, lacks, capsys):
    def without(experiment, beginning):
        raise ModuleNotFoundError(f"No module named {absent!r}", name=absent)

    evidence = JudgedByPage("planted", "collapse", ("x",), SUPPORTED, without)
    claim = dataclasses.replace(
        row("A4d", SUPPORTED, "collapse", ("Search with",)), evidence=(evidence,)
    )
    result = verify(claim)
    assert not result.stands
    assert result.lacks is lacks
    assert main([], ledger=lambda: (claim,)) == (0 if lacks else 1)
    printed = capsys.readouterr().out
    assert ("clone of" in printed) is lacks
    assert "0 of 1 claims verified" in printed

"""README's sentences on stability follow from the records, and claim no more than they do."""

from pathlib import Path

import pytest

from benchmarks.experiments.record import read_records
from benchmarks.experiments.stability import stability, with_sentences
from tests.benchmarks.test_claims_of_experiments import SKIPS, ending, run
from tests.benchmarks.test_random_search import drawn

README = Path(__file__).parents[2] / "README.md"


def test_readme_says_what_the_records_say():
    """Else: python -m benchmarks.experiments collapse --page."""
    text = README.read_text(encoding="utf-8")
    assert text == with_sentences(text, stability(read_records()))


def test_sentences_change_with_the_records():
    collapsing = [run("first-order", seed, cells=ending(SKIPS, 80)) for seed in range(3)]
    fine = [run("amended", seed, accuracy=93.0 + seed / 10) for seed in range(3)]
    said = stability([*collapsing, *fine, drawn("amended", 94.0)])
    assert "3 of 3 in first order and 0 of 3 amended ones ended in skip-connects" in said
    assert "that DARTS collapses is supported at this scale" in said
    assert "that the amended search does not collapse is supported at this scale" in said
    assert "cells of amended searches have 93.0 to 93.2 % true accuracy (n = 3)" in said
    assert "94.0 % on average: that the amended search finds a better one is not supported" in said
    said = stability([*collapsing[:2], run("amended", 0, cells=ending(SKIPS, 80)), *fine[1:]])
    assert "2 of 2 in first order and 1 of 3 amended ones ended" in said
    assert "that DARTS collapses is undecided" in said
    assert "that the amended search does not collapse is not supported" in said
    assert "beats random search has not been run" in said


def test_without_records_nothing_is_claimed():
    said = stability([])
    assert said.count("not tried") == 2
    assert "0 of 0 in first order and 0 of 0 amended ones" in said
    assert "supported" not in said


def test_a_readme_without_a_place_for_them_is_refused():
    with pytest.raises(ValueError, match="has no lines"):
        with_sentences("# A title\n", "Words.")

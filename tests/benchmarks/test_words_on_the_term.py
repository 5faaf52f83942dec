"""What pages say of the amended term's length and angle along searches is what the records have."""

from itertools import pairwise
from statistics import fmean

import pytest

from benchmarks.experiments.behaviour import BEHAVIOUR
from benchmarks.experiments.beyond import BEYOND
from benchmarks.experiments.collapse import COLLAPSE
from benchmarks.experiments.eta import ETA
from benchmarks.experiments.record import RunRecord, read_records


@pytest.fixture(scope="module")
def records() -> list[RunRecord]:
    return read_records()


def changed(run: RunRecord) -> float:
    """On how many edges the cell differs from that of the epoch before, in the last 50 epochs."""
    cells = run.content["cells_without_none"][-51:]
    return fmean(sum(a != b for a, b in zip(*two, strict=True)) for two in pairwise(cells))


def over_g1(run: RunRecord) -> float:
    """How many times as long as g₁ the term is, in the mean over epochs."""
    pairs = zip(run.curve("implicit_norm"), run.curve("direct_norm"), strict=True)
    return fmean(term / direct for term, direct in pairs)


def test_how_long_the_term_is_in_the_searches_of_collapse(records):
    found = sorted(over_g1(run) for run in COLLAPSE.mine(records) if run.method == "amended")
    low, middle, high = (f"{ratio:.1f}" for ratio in found)
    assert f"{low}, {middle} and {high} times as long as g₁" in " ".join(BEYOND.deviations)


def test_how_long_it_is_with_each_coefficient(records):
    means = {}
    for method in ("amended-eta-0.001", "amended-eta-0.01", "amended", "amended-eta-1"):
        runs = [run for run in ETA.mine(records) if run.method == method]
        means[method] = fmean(map(over_g1, runs))
    a, b, c, d = means.values()
    said = f"{a:.1f}, {b:.1f}, {c:.1f} and {d:.0f} times as long as g₁"
    assert said in ETA.reading


def test_it_pulls_against_g1_in_every_epoch_and_the_flipped_term_with_it(records):
    words = "above 100°, and that of the flipped term below 82°"
    assert words in " ".join(BEHAVIOUR.deviations)
    mine = BEHAVIOUR.mine(records)
    amended = [run.curve("angle_degrees") for run in mine if run.method == "amended"]
    flipped = [run.curve("angle_degrees") for run in mine if run.method == "amended-flipped"]
    assert len(amended) == len(flipped) == 3
    assert min(map(min, amended)) > 100
    assert max(map(max, flipped)) < 82


def test_the_pull_towards_equal_weights_chooses_nothing(records):
    mine = BEHAVIOUR.mine(records)
    pulled = [run for run in mine if run.method == "toward-zero"]
    assert len(pulled) == 3
    weights = [w for run in pulled for edge in run.content["last_weights"] for w in edge]
    assert "all mixing weights are between 0.197 and 0.205" in BEHAVIOUR.reading
    assert 0.197 < min(weights) < max(weights) < 0.205
    words = "In the last 50 epochs 4.3 of six edges change"
    assert words in BEHAVIOUR.reading
    assert fmean(map(changed, pulled)) == pytest.approx(4.3, abs=0.05)
    amended = [run for run in mine if run.method == "amended"]
    assert max(map(changed, amended)) < 0.1, "and keep what they chose"

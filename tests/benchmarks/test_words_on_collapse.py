"""How many searches collapsed, as the first pages say it, is what the records have."""

from pathlib import Path

from benchmarks.experiments.all_edges import DIGITS_EXPERIMENT, normal_cell_collapsed
from benchmarks.experiments.behaviour import BEHAVIOUR
from benchmarks.experiments.depth import DEPTH
from benchmarks.experiments.eta import ETA
from benchmarks.experiments.record import read_records
from benchmarks.experiments.rules import has_collapsed
from proofs_checks.five_that_matter import FIVE

NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven")


def test_the_first_pages_count_the_collapsed_searches_of_both_spaces():
    """Else mend `docs/index.md` and `proofs_checks/five_that_matter.py`."""
    records = read_records()

    def counted(*methods: str) -> tuple[str, str]:
        small = {r.key: r for e in (ETA, BEHAVIOUR) for r in e.mine(records) if r.method in methods}
        large = [r for r in DIGITS_EXPERIMENT.mine(records) if r.method in methods]
        found = [has_collapsed(r) for r in small.values()] + list(map(normal_cell_collapsed, large))
        return NUMBERS[sum(found)], NUMBERS[len(found)]

    amended, first_order = counted("amended"), counted("first-order")
    weak, flipped = counted("amended-eta-0.001", "amended-eta-0.01"), counted("amended-flipped")
    pulled = counted("toward-zero")
    narrow = [has_collapsed(run) for run in DEPTH.mine(records)]
    assert {run.method for run in DEPTH.mine(records)} == {"first-order"}
    assert weak[0] == weak[1]
    index = " ".join(Path("docs/index.md").read_text(encoding="utf-8").split())
    assert f"{amended[0]} of {amended[1]} amended ones with the paper's η = 0.1 collapsed" in index
    assert f"and {first_order[0]} of {first_order[1]} in first order did" in index
    assert f"All of {weak[0]} with η = 0.001 and 0.01 did" in index
    assert f"{flipped[0]} of {flipped[1]} with the sign of the term changed" in index
    assert f"{pulled[0]} of {pulled[1]} searches with it collapsed" in index
    of_depths = f"{NUMBERS[sum(narrow)]} of {NUMBERS[len(narrow)]} in first order did"
    assert f"in narrower supernets of 3 to 15 cells {of_depths}, and no amended" in index
    (stability,) = (summary.sentences for summary in FIVE if summary.claim == "§2f")
    assert (
        f"{amended[0]} of {amended[1]} with η = 0.1 collapsed, {first_order[0]} of "
        f"{first_order[1]} in first order did, and all of {weak[0]} with 0.001 and 0.01"
    ) in stability
    assert f"in narrower supernets {of_depths}" in stability

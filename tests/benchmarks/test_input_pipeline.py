"""The record of images and records beside a step: below the bars; its parts are what is timed."""

import json
from pathlib import Path

from benchmarks.input_pipeline import CALLS, RECORD, timed
from benchmarks.steps import UNIT

ROOT = Path(__file__).parents[2]
BATCH_BAR = 0.03
"""A batch of 96 CIFAR images takes less of the supernet's step."""
TOGETHER_BAR = 0.05
"""Images, records and diagnostics of a search step together."""


def test_the_recorded_shares_are_below_the_bars_at_their_highest() -> None:
    record = json.loads((ROOT / RECORD).read_text())["batch 96"]
    for name in ("a batch", "a batch with Cutout"):
        row = record["parts"][name]
        assert row["n"] >= 5
        assert row["share of a weight step"]["high"] < BATCH_BAR
    together = record["images and records of a search step, share of a weight step"]
    assert together["high"] < TOGETHER_BAR


def test_parts_are_timed_in_turns_by_the_call_and_never_at_the_same_step() -> None:
    calls: list[object] = []
    seconds = timed(lambda: calls.append(UNIT), {"part": calls.append}, turns=2)
    assert {name: len(values) for name, values in seconds.items()} == {UNIT: 2, "part": 2}
    assert [i for i, call in enumerate(calls) if call == UNIT] == [0, CALLS + 1, 2 * CALLS + 2]
    steps = [call for call in calls if call != UNIT]
    assert steps == list(range(3 * CALLS))


def test_a_slow_part_shows_as_much_time_as_it_takes() -> None:
    def slow(_: int) -> None:
        sum(range(200_000))

    def twice(step: int) -> None:
        slow(step)
        slow(step)

    seconds = timed(lambda: None, {"slow": slow, "twice": twice}, turns=5)
    ratios = [b / a for a, b in zip(seconds["slow"], seconds["twice"], strict=True)]
    assert 1.5 < sorted(ratios)[2] < 2.7

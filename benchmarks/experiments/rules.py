"""Decision rules: from records to a verdict and the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.ends import FEW, collapse_epoch, long_enough
from benchmarks.experiments.paired import interval
from benchmarks.experiments.record import RunRecord

Judgement = tuple[str, str]
"""A verdict of `VERDICTS`, and the numbers that it rests on, in words."""
Judge = Callable[[Sequence[RunRecord]], Judgement]


def all_do(holds: Callable[[RunRecord], bool], methods: Sequence[str], words: str) -> Judge:
    """Supported if it holds in every long enough run of the methods, not if in none or half.

    At least `FEW` seeds of each method are needed for either.
    """

    def judge(records: Sequence[RunRecord]) -> Judgement:
        runs = [run for m in methods for run in long_enough(records, m).values()]
        if not runs:
            return NOT_RUN, "No run is long enough yet."
        count = sum(map(holds, runs))
        numbers = f"{words} in {count} of {len(runs)} runs."
        if any(len(long_enough(records, m)) < FEW for m in methods):
            return UNDECIDED, numbers
        if count == len(runs):
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if 2 * count <= len(runs) else UNDECIDED), numbers

    return judge


def none_does(holds: Callable[[RunRecord], bool], method: str, words: str) -> Judge:
    """Supported if it holds in no run of at least `FEW`, not supported if it holds in any."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        runs = list(long_enough(records, method).values())
        if not runs:
            return NOT_RUN, "No run is long enough yet."
        count = sum(map(holds, runs))
        numbers = f"{words} in {count} of {len(runs)} runs."
        if count:
            return NOT_SUPPORTED, numbers
        return (SUPPORTED if len(runs) >= FEW else UNDECIDED), numbers

    return judge


def above(
    values: Callable[[Sequence[RunRecord]], list[float]], words: str, line: float = 0.0
) -> Judge:
    """Supported if the 95 % interval of the mean lies above `line`, not supported if below it."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        found = values(records)
        if not found:
            return NOT_RUN, "No pair of runs is long enough yet."
        mean = interval(found)
        numbers = f"{words}: {mean}."
        if mean.n < FEW:
            return UNDECIDED, numbers
        if mean.low > line:
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if mean.high < line else UNDECIDED), numbers

    return judge


def has_collapsed(record: RunRecord) -> bool:
    return collapse_epoch(record) is not None


def any_does(holds: Callable[[RunRecord], bool], method: str, words: str) -> Judge:
    """Supported if it holds in any run, not supported if in none of at least `FEW`."""
    opposite = {SUPPORTED: NOT_SUPPORTED, NOT_SUPPORTED: SUPPORTED}

    def judge(records: Sequence[RunRecord]) -> Judgement:
        verdict, numbers = none_does(holds, method, words)(records)
        return opposite.get(verdict, verdict), numbers

    return judge

"""Decision rules: from records to a verdict and the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.experiments.definition import NOT_RUN, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from benchmarks.experiments.ends import FEW, HORIZON, collapse_epoch, long_enough
from benchmarks.experiments.paired import interval
from benchmarks.experiments.record import RunRecord

Judgement = tuple[str, str]
"""A verdict of `VERDICTS`, and the numbers that it rests on, in words."""
Judge = Callable[[Sequence[RunRecord]], Judgement]
Values = Callable[[Sequence[RunRecord], int], list[float]]
"""Numbers of the runs, or pairs of runs, with at least so many epochs."""
ANY = 1
"""Epochs of a run that is shown, though it decides nothing yet."""
POINTS = "Difference in percentage points"
"""What intervals of accuracies are of."""


def all_do(holds: Callable[[RunRecord], bool], methods: Sequence[str], words: str) -> Judge:
    """Supported if it holds in every long enough run of the methods, not if in none or half.

    At least `FEW` seeds of each method are needed for either.
    """

    def judge(records: Sequence[RunRecord]) -> Judgement:
        if not all(long_enough(records, m, ANY) for m in methods):
            return NOT_RUN, "No run of the method yet."
        runs = [run for m in methods for run in long_enough(records, m).values()]
        numbers = _counts(holds, methods, words, records)
        if any(len(long_enough(records, m)) < FEW for m in methods):
            return UNDECIDED, numbers
        count = sum(map(holds, runs))
        if count == len(runs):
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if 2 * count <= len(runs) else UNDECIDED), numbers

    return judge


def none_does(holds: Callable[[RunRecord], bool], method: str, words: str) -> Judge:
    """Supported if it holds in no run of at least `FEW`, not supported if it holds in any."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        if not long_enough(records, method, ANY):
            return NOT_RUN, "No run of the method yet."
        runs = list(long_enough(records, method).values())
        numbers = _counts(holds, [method], words, records)
        if any(map(holds, runs)):
            return NOT_SUPPORTED, numbers
        return (SUPPORTED if len(runs) >= FEW else UNDECIDED), numbers

    return judge


def _counts(
    holds: Callable[[RunRecord], bool],
    methods: Sequence[str],
    words: str,
    records: Sequence[RunRecord],
) -> str:
    """In how many runs it holds: of those that count, and of all as far as they have come."""
    parts = []
    for horizon in (HORIZON, ANY):
        runs = [run for m in methods for run in long_enough(records, m, horizon).values()]
        parts.append(f"in {sum(map(holds, runs))} of {len(runs)} runs")
    text = f"{words} {parts[0]} of {HORIZON} epochs or more."
    return (
        text
        if parts[0] == parts[1]
        else f"{text} With shorter runs, which do not count: {parts[1]}."
    )


def above(
    values: Values,
    words: str,
    line: float = 0.0,
    *,
    few: int = FEW,
    lacking: str = f"No run of {HORIZON} epochs yet.",
) -> Judge:
    """Supported if the 95 % interval of the mean lies above `line`, not supported if below it.

    Args:
        values: of the runs that count, and with the horizon `ANY` of all.
        words: what the values are.
        line: where it decides.
        few: values below which nothing is decided.
        lacking: what is said where runs are there, and none counts.
    """

    def judge(records: Sequence[RunRecord]) -> Judgement:
        found, all_found = values(records, HORIZON), values(records, ANY)
        if not all_found:
            return NOT_RUN, "No run of the method yet, or no pair of runs."
        numbers = f"{words}: {interval(found)}." if found else lacking
        if found != all_found:
            numbers += f" With shorter runs, which do not count: {interval(all_found)}."
        if len(found) < few:
            return UNDECIDED, numbers
        mean = interval(found)
        if mean.low > line:
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if mean.high < line else UNDECIDED), numbers

    return judge


def to_the_end(epochs: int, rule: Judge) -> Judge:
    """A rule on the runs that have so many epochs, and on no others."""

    def judge(records: Sequence[RunRecord]) -> Judgement:
        return rule([record for record in records if record.epochs >= epochs])

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

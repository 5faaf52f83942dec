"""A verdict taken from the record of an experiment, by a rule that the ledger's row writes down.

How a row uses it. It names a record, and for every quantity that the claim is about a `Criterion`:
where the claim puts the quantity, and how to read one value for each independent run from the
record. Runs that share data, weights and batches give a paired difference each (`paired`). Then

- the 95 % interval of the mean of the values is taken (Student's t, or Clopper–Pearson where every
  run is a yes or a no),
- a criterion is *supported* if the whole interval lies where the claim puts it, *not supported* if
  all of it lies elsewhere, else *undecided at this scale*; with fewer than `LEAST_RUNS` runs it is
  undecided whatever they say,
- the claim is supported if every criterion is, not supported if one is not, else undecided.

The row states its verdict, as every row does. If the record comes to another one, the evidence
does not verify: a record that contradicts the ledger is seen by `python -m proofs_checks`.
The rule is written before the runs are looked at.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.stats import t as student

from proofs_checks.evidence import clopper_pearson
from proofs_checks.measurement import Row, command_for, judge, load, printed
from proofs_checks.outcome import Evidence, Numbers, Outcome, show
from proofs_checks.verdict import Verdict

LEAST_RUNS = 3
"""Below so many independent runs nothing is decided."""

Values = Sequence[float]


def mean_interval(values: Values) -> tuple[float, float]:
    """Student's two-sided 95 % interval for the mean; the whole line for fewer than two values."""
    if len(values) < 2:
        return -math.inf, math.inf
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(student.ppf(0.975, len(values) - 1)) * spread / len(values) ** 0.5
    return mean - half, mean + half


def share_interval(values: Values) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval for the share of ones among values that are 0 or 1."""
    if any(value not in (0, 1) for value in values):
        raise ValueError(f"share_interval wants zeros and ones, got {list(values)}")
    return clopper_pearson(int(sum(values)), len(values))


@dataclass(frozen=True)
class Criterion:
    """One quantity, and where the claim puts it (closed interval).

    Attributes:
        quantity: what is measured, with its unit.
        values: from the record, one for each independent run.
        least: smallest value that is as claimed.
        most: largest such value.
        interval: of the values; `share_interval` where each is 0 or 1.
        mean: of the values as the row prints it, held to the digits printed: a verdict alone would
            not notice other rows of the record, or another unit.
    """

    quantity: str
    values: Callable[[Mapping[str, Any]], Values]
    least: float = -math.inf
    most: float = math.inf
    interval: Callable[[Values], tuple[float, float]] = mean_interval
    mean: str = ""

    def decide(self, values: Values) -> Verdict:
        if len(values) < LEAST_RUNS or not all(math.isfinite(value) for value in values):
            return Verdict.UNDECIDED
        lower, upper = self.interval(values)
        if self.least <= lower and upper <= self.most:
            return Verdict.SUPPORTED
        if upper < self.least or self.most < lower:
            return Verdict.NOT_SUPPORTED
        return Verdict.UNDECIDED

    @property
    def rule(self) -> str:
        if self.least == -math.inf:
            return f"at most {show(self.most)}"
        if self.most == math.inf:
            return f"at least {show(self.least)}"
        return f"in {show((self.least, self.most))}"


@dataclass(frozen=True)
class Experiment(Evidence):
    """An empirical verdict: stated in the row, and recomputed from a record each time.

    Attributes:
        record: name under docs/records, without .json; "experiments/NAME" for the long ones.
        verdict: what the row states.
        criteria: what must hold, all of it, for the claim to be supported.
    """

    record: str
    verdict: Verdict
    criteria: tuple[Criterion, ...]
    kind: ClassVar[str] = "experiment"

    def __post_init__(self) -> None:
        if not self.verdict.empirical or not self.criteria:
            raise ValueError(
                f"Experiment on {self.record!r}: the verdict is {self.verdict.value!r} and there "
                f"are {len(self.criteria)} criteria. It decides between supported, not supported "
                "and undecided, by one criterion or more."
            )

    @property
    def decides(self) -> Verdict:
        return self.verdict

    def examine(self) -> Outcome:
        record = load(self.record)
        numbers: Numbers = {
            "record": f"docs/records/{self.record}.json",
            "again": command_for(self.record),
        }
        decided, quoted = [], []
        for criterion in self.criteria:
            values = list(criterion.values(record))
            if criterion.mean:
                name = f"the mean of {criterion.quantity}"
                quoted.append(printed(name, float(np.mean(values)), criterion.mean))
            decided.append(criterion.decide(values))
            numbers[criterion.quantity] = (
                f"{show(float(np.mean(values)))}, 95 % {show(criterion.interval(values))}, "
                f"n = {len(values)}; claimed {criterion.rule}: {decided[-1].value}"
                if values
                else "no runs"
            )
        found = together(decided)
        if found is not self.verdict:
            return Outcome(
                False, numbers, f"the row says {self.verdict.value!r}, the record {found.value!r}"
            )
        reason = judge(quoted) if quoted else ""
        return Outcome(not reason, numbers, reason)


def together(decided: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim from those on its criteria."""
    if Verdict.NOT_SUPPORTED in decided:
        return Verdict.NOT_SUPPORTED
    if Verdict.UNDECIDED in decided:
        return Verdict.UNDECIDED
    return Verdict.SUPPORTED


def by_run(
    rows: Sequence[Row], value: Callable[[Row], float], *, run: str = "seed"
) -> dict[Any, float]:
    """The mean of `value` over the rows of each run."""
    found = defaultdict(list)
    for row in rows:
        found[row[run]].append(value(row))
    return {key: float(np.mean(values)) for key, values in found.items()}


def paired(
    rows: Sequence[Row],
    value: Callable[[Row], float],
    *,
    of: Callable[[Row], bool],
    minus: Callable[[Row], bool],
    run: str = "seed",
) -> list[float]:
    """For each run, the mean of `value` over its rows `of` less that over its rows `minus`.

    Raises:
        ValueError: a run has rows of one side only, so that it has no difference.
    """
    first = by_run([row for row in rows if of(row)], value, run=run)
    second = by_run([row for row in rows if minus(row)], value, run=run)
    if first.keys() != second.keys():
        alone = sorted(first.keys() ^ second.keys(), key=str)
        raise ValueError(f"runs {alone} have rows of one side only: no paired difference")
    return [first[key] - second[key] for key in first]

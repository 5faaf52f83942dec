"""What README says of stability: two sentences, no larger than the records."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.experiments.collapse import COLLAPSE
from benchmarks.experiments.definition import NOT_RUN
from benchmarks.experiments.ends import HORIZON, accuracy_at, long_enough
from benchmarks.experiments.random_search import RANDOM_SEARCH, random_mean
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import ANY, has_collapsed
from benchmarks.experiments.setting import SMALL
from proofs_checks.paragraphs import wrapped

MARK = "<!-- two sentences written by python -m benchmarks.experiments NAME --page -->"
END = "<!-- end of the two sentences -->"
COLLAPSES = "First-order DARTS, searched to convergence, ends in an architecture of skip-connects."
PREVENTED = "Search with the amended term (η = 0.1) does not collapse."
BEATS_RANDOM = "The amended search finds a better cell than random search at equal cost."


def stability(records: Sequence[RunRecord]) -> str:
    """Whether searches collapsed, and whether amended ones beat random search, with verdicts."""
    of_page = {claim.text: claim for e in (COLLAPSE, RANDOM_SEARCH) for claim in e.claims}
    mine = COLLAPSE.mine(records)
    drawn = RANDOM_SEARCH.mine(records)

    def verdict(text: str) -> str:
        return of_page[text].judge(drawn if text == BEATS_RANDOM else mine)[0]

    first = (
        f"Of searches of {HORIZON} epochs or more in a small NAS-Bench-201, with η = 0.1 "
        "where they are amended, "
        f"{_counted(mine, 'first-order')} in first order and {_counted(mine, 'amended')} amended "
        f"ones ended in skip-connects: that DARTS collapses is {_said(verdict(COLLAPSES))}; "
        f"that the amended search does not collapse is {_said(verdict(PREVENTED))}."
    )
    runs = long_enough(mine, "amended", ANY).values()
    mean = random_mean(drawn, "amended")
    if not runs or mean is None:
        return f"{first} Whether the amended search beats random search has not been run."
    ends = [accuracy_at(run, run.epochs) for run in runs]
    second = (
        f"The cells of amended searches have {_range(ends, '{:.1f}')} % true accuracy "
        f"(n = {len(ends)}), those of random search at the cost of {SMALL.search.epochs} epochs "
        f"{mean:.1f} % on average: that the amended search finds a better one is "
        f"{_said(verdict(BEATS_RANDOM))}."
    )
    return f"{first} {second}"


def with_sentences(text: str, sentences: str) -> str:
    """README with the two sentences replaced; all else stays.

    Raises:
        ValueError: it has no place for them.
    """
    before, mark, rest = text.partition(MARK)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"README.md has no lines {MARK!r} and {END!r}: put them where they go.")
    return f"{before}{MARK}\n{wrapped(sentences)}\n{END}{after}"


def _counted(records: Sequence[RunRecord], method: str) -> str:
    runs = long_enough(records, method).values()
    return f"{sum(map(has_collapsed, runs))} of {len(runs)}"


def _said(verdict: str) -> str:
    return "not tried" if verdict == NOT_RUN else verdict


def _range(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"

"""Where do the estimates point along a search, and where does their error come from?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.experiments.definition import (
    NOT_RUN,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Experiment,
)
from benchmarks.experiments.ends import FEW
from benchmarks.experiments.paired import interval
from benchmarks.experiments.plots import beside, looks_of, save
from benchmarks.experiments.pointing import (
    BATCHES,
    DAMPED,
    ITERATIONS,
    LANCZOS,
    REFERENCES,
    measured,
)
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import Judge, Judgement
from benchmarks.experiments.searched import Searched, SearchSetting, drive_search
from benchmarks.experiments.setting import METHODS, SMALL
from benchmarks.tables import table
from darts.config.as_json import to_json
from darts.data import ImageSet
from darts.parallel.launch import Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces.nasbench201 import digits
from darts.training.search import SearchStage
from darts.training.searching import Searching

STREAM = "direction/points"
MEASURED_AFTER = (0, 12, 25, 50, 100)
"""Epochs: all but the first halve the next one."""
ENOUGH = 25
"""A run counts once it has been measured after so many epochs."""
SEARCHES = ("first-order", "amended")
COMPARED = (
    *("first-order", "second-order", "amended", "amended-step-0.01", "amended-step-0.1"),
    *("conjugate-gradient", "neumann", "landweber"),
)
EXACT_TWIN = {"amended-step-0.01": "amended", "amended-step-0.1": "amended"}
"""Estimators that take differences → the same with exact products."""
Beside = Callable[[Sequence[RunRecord], str], Judgement]
"""From runs and the name of a reference to what the runs say beside that one."""


class MeasuredStage(SearchStage):
    """A search that is measured after some of its epochs, and ends after the last of these."""

    def __init__(self, after: Sequence[int], searching: Searching, run: RunFolder) -> None:
        super().__init__(searching.config, searching, run, score=None)
        self.after = after

    def enter(self, epoch: int, *, resumed: bool) -> None:
        super().enter(epoch, resumed=resumed)
        if epoch == 0 and not resumed:
            self.measure(0)

    def leave(self, epoch: int) -> None:
        super().leave(epoch)
        self.measure(epoch + 1)

    def ended(self) -> bool:
        return len(self.run.records("search/epochs")) >= max(self.after)

    def measure(self, after: int) -> None:
        """Once only: a run that is stopped and goes on may come here again."""
        done = {record["after_epochs"] for record in self.run.records(STREAM)}
        if after not in self.after or after in done:
            return
        point = {
            "after_epochs": after,
            "cell": digits(self.searching.genotype()),
            **measured(self.searching, after, {n: METHODS[n] for n in COMPARED}, EXACT_TWIN),
        }
        seconds = round(self.wall_seconds, 1)
        self.run.append(STREAM, {"after_epochs": after, "point": point, "wall_seconds": seconds})


@dataclass(frozen=True)
class MeasuredSearch(Searched):
    """A search as in the setting, which is measured on its way.

    Attributes:
        after: whole epochs after which it is measured; it ends with the last.
    """

    after: tuple[int, ...] = MEASURED_AFTER

    @property
    def content(self) -> Any:
        return {
            "data": to_json(self.setting.data),
            "search": to_json(self.config),
            "measured_after": list(self.after),
        }

    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        halves = self.config.halves(images)
        searching = Searching(self.config, halves.to(devices.device), devices, run.note)
        stage = MeasuredStage(self.after, searching, run)
        drive_search(stage, run, devices)

    def line(self, stream: str, record: Record) -> Record | None:
        return {"kind": "point", **record} if stream == STREAM else None


def points(record: RunRecord) -> list[Any]:
    return list(record.content["points"])


def of(point: Any, estimator: str, number: str, reference: str = DAMPED) -> float | None:
    """A number of an estimator beside a reference; None if it has none there."""
    value = point["estimators"][estimator][reference][number]
    return None if value is None else float(value)


def _decided(records: Sequence[RunRecord], decide: Beside) -> Judgement:
    """What the counting runs say, if there are `FEW` of each search; else what all say, open."""
    if not records:
        return NOT_RUN, "No search has been measured yet."
    counting = [r for r in records if points(r)[-1]["after_epochs"] >= ENOUGH]
    if any(sum(r.method == search for r in counting) < FEW for search in SEARCHES):
        numbers = _by_both(records, decide)[1]
        return UNDECIDED, f"Deciding nothing yet (n = {len(records)}). {numbers}"
    return _by_both(counting, decide)


def _by_both(records: Sequence[RunRecord], decide: Beside) -> Judgement:
    """The verdict that both references give, or none."""
    found = {reference: decide(records, reference) for reference in REFERENCES}
    verdicts = {verdict for verdict, _ in found.values()}
    numbers = " ".join(f"{name.capitalize()}: {said}" for name, (_, said) in found.items())
    return (verdicts.pop() if len(verdicts) == 1 else UNDECIDED), numbers


def below_90(estimator: str) -> Judge:
    """Supported if the term makes an acute angle with the references everywhere."""

    def decide(records: Sequence[RunRecord], reference: str) -> Judgement:
        cosines = [of(p, estimator, "cosine", reference) for r in records for p in points(r)]
        right = sum(c is not None and c > 0 for c in cosines)
        numbers = f"at {right} of {len(cosines)} points the angle was below 90°."
        if right == len(cosines):
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if 2 * right <= len(cosines) else UNDECIDED), numbers

    return lambda records: _decided(records, decide)


def ever_above_90(estimator: str) -> Judge:
    """Supported if the term makes an obtuse angle with the references anywhere."""

    def decide(records: Sequence[RunRecord], reference: str) -> Judgement:
        cosines = [of(p, estimator, "cosine", reference) for r in records for p in points(r)]
        wrong = sum(c is not None and c < 0 for c in cosines)
        numbers = f"at {wrong} of {len(cosines)} points the angle was above 90°."
        return (SUPPORTED if wrong else NOT_SUPPORTED), numbers

    return lambda records: _decided(records, decide)


def nearer(first: str, second: str) -> Judge:
    """Supported if the first one's total points nearer to the references' than the second's.

    The two searches of a seed begin alike, so that a seed is one number.
    """

    def decide(records: Sequence[RunRecord], reference: str) -> Judgement:
        gains: dict[int, list[float]] = {}
        for record in records:
            for point in points(record):
                pair = (of(point, n, "total_cosine", reference) or 0.0 for n in (first, second))
                gains.setdefault(record.seed, []).append(next(pair) - next(pair))
        found = interval([statistics.fmean(own) for own in gains.values()])
        numbers = f"difference of cosines, mean over the points of a seed: {found}."
        if found.low > 0:
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if found.high < 0 else UNDECIDED), numbers

    return lambda records: _decided(records, decide)


class Directions:
    """Where the searches were, where estimates pointed, and what their error is made of."""

    def table(self, records: Sequence[RunRecord]) -> str:
        return "\n\n".join(
            (
                "**Where the searches were.**",
                _places(records),
                *(
                    part
                    for reference in REFERENCES
                    for part in (
                        f"**Cosine of each estimate of g₂ with the {reference} reference's, in "
                        "brackets that of the total**, on the large batch, mean over seeds; – "
                        "where there is no term.",
                        _cosines(records, reference),
                    )
                ),
                "**What the error of g₂ is made of**, in units of the damped reference's ‖g₂‖, "
                "mean over all points: on the large batch (bias of the estimator), from batch to "
                "batch, of the mean over batches beside the large one, and of differences beside "
                "exact products; and how often the sign was right on the search's own batches.",
                _parts(records),
            )
        )

    def draw(self, records: Sequence[RunRecord], path: Path, digest: str) -> None:
        """Cosine of g₂ over the epochs: a row a reference, a column a search."""
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        grid = figure.subplots(len(REFERENCES), len(SEARCHES), sharex=True, sharey=True)
        names = [name for name in COMPARED if METHODS[name].has_implicit_term]
        looks = looks_of(names)
        for row, reference in zip(grid, REFERENCES, strict=True):
            for axes, search in zip(row, SEARCHES, strict=True):
                runs = [r for r in records if r.method == search]
                for name in names:
                    for k, record in enumerate(runs):
                        epochs = [p["after_epochs"] for p in points(record)]
                        cosines = [of(p, name, "cosine", reference) for p in points(record)]
                        label = name if k == 0 else None
                        look = {**looks[name], "linewidth": 1, "marker": "o"}
                        axes.plot(epochs, cosines, label=label, **look)
                axes.axhline(0, color="0.5", linewidth=0.8)
                axes.set_title(f"along a search with {search}", fontsize=10)
            row[0].set_ylabel(f"cosine with the {reference} g₂")
        for axes in grid[-1]:
            axes.set_xlabel("epochs done")
        beside(figure, grid[0][0])
        save(figure, path, digest)


def _places(records: Sequence[RunRecord]) -> str:
    head = (
        *("Search", "Seed", "After epochs", "Cell", "‖∇_ω L_train‖", "‖∇_ω L_val‖"),
        *("λ of H (Ritz)", "Negative share", "Damping", "Residual undamped"),
        *("‖g₁‖", "‖g₂‖ damped"),
    )
    rows = []
    for record in records:
        for p in points(record):
            damped, undamped = p["references"]["damped"], p["references"]["undamped"]
            row = (
                record.method,
                record.seed,
                p["after_epochs"],
                p["cell"],
                f"{p['inner_gradient_norm']:.2g}",
                f"{p['slope_norm']:.2g}",
                f"{p['lowest_ritz_value']:.2g} to {p['highest_ritz_value']:.2g}",
                f"{100 * p['negative_share']:.0f} %",
                f"{damped['damping']:.2g}",
                f"{undamped['residual']:.2g} ({undamped['by']})",
                f"{p['direct_norm']:.2g}",
                f"{damped['implicit_norm']:.2g}",
            )
            rows.append(row)
    return table(head, rows)


def _cosines(records: Sequence[RunRecord], reference: str) -> str:
    rows: list[tuple[object, ...]] = []
    for search in SEARCHES:
        runs = [r for r in records if r.method == search]
        for after in MEASURED_AFTER:
            here = [p for r in runs for p in points(r) if p["after_epochs"] == after]
            if here:
                cells = (
                    f"{_mean(here, n, 'cosine', reference)} "
                    f"({_mean(here, n, 'total_cosine', reference)})"
                    for n in COMPARED
                )
                rows.append((search, after, len(here), *cells))
    return table(("Search", "After epochs", "n", *COMPARED), rows)


def _parts(records: Sequence[RunRecord]) -> str:
    rows = []
    everywhere = [p for r in records for p in points(r)]
    for name in COMPARED:
        numbers = (_mean(everywhere, name, n) for n in ("error", "noise", "shift", "kink"))
        signs = [
            c > 0
            for p in everywhere
            for c in p["estimators"][name][DAMPED]["batch_cosines"]
            if c is not None
        ]
        share = f"{sum(signs)} of {len(signs)}" if signs else "–"
        rows.append((name, *numbers, share))
    head = ("Estimate", "Bias", "Batch noise", "Mean over batches", "Kinks", "Right sign")
    return table(head, rows)


def _mean(here: Sequence[Any], estimator: str, number: str, reference: str = DAMPED) -> str:
    known = [x for p in here if (x := of(p, estimator, number, reference)) is not None]
    return f"{statistics.fmean(known):.2g}" if known else "–"


SETTING = replace(
    SMALL,
    name=f"{SMALL.name}-direction",
    words=f"{SMALL.words} The searches end after {MEASURED_AFTER[-1]} of these epochs.",
)
assert isinstance(SETTING, SearchSetting)

DIRECTION = Experiment(
    name="direction",
    title="Where do the estimates point along a search?",
    question=(
        "Every estimate stands for g₂, which depends on the inverse of H. In a search ω is not "
        "stationary and H is not definite. Where do the estimates point then? And how much of "
        "their error comes from the estimator, from the batch, and from kinks that finite "
        "differences meet?"
    ),
    measure=(
        f"After {', '.join(map(str, MEASURED_AFTER))} epochs of a search, on the {BATCHES} pairs "
        "of batches that come next: every estimator on each pair, and on all of them as one large "
        f"pair. There are two references, both on the large pair and of at most {ITERATIONS} "
        "products. Undamped: −BH⁻¹∇L_val by MINRES, or by the certified estimator where no Ritz "
        f"value of H is negative. Damped: −B(H + ρI)⁻¹∇L_val by conjugate gradients, with ρ twice "
        f"the size of the lowest Ritz value after {LANCZOS} Lanczos products, doubled until no "
        "negative curvature is met. The damped one can be solved to its tolerance. The negative "
        "share is that of negative eigenvalues in the sum of |λ|. Numbers against both references "
        "are in the records."
    ),
    runs=tuple(
        MeasuredSearch(SETTING, search, seed, METHODS[search])
        for seed in (0, 1, 2)
        for search in SEARCHES
    ),
    claims=(
        Claim(
            "§1, §3.4, Eq. 7",
            "Along a search the amended term is less than 90° from g₂.",
            "Supported if so at all points, not supported if at half of them or fewer.",
            below_90("amended"),
        ),
        Claim(
            "§1",
            "Where ω*(α) is unknown, the amended term makes the estimate of the whole gradient "
            "more accurate than g₁ alone.",
            "Of the cosines with the reference's g₁ + g₂, mean over the points of a seed: "
            "supported if the interval of the difference lies above 0, not supported if below.",
            nearer("amended", "first-order"),
        ),
        Claim(
            "§3.4",
            "The second-order term of DARTS can point more than 90° away from g₂.",
            "Supported if it does at any point, not supported if at none.",
            ever_above_90("second-order"),
        ),
    ),
    rules=(
        f"A run counts once it has been measured after {ENOUGH} epochs. With fewer than three runs "
        "of each of the two searches a claim is undecided. Each reference gives a verdict, and a "
        "claim is decided where they are the same. Intervals are 95 % by Student's t over seeds."
    ),
    report=Directions(),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too.",
        "That both terms *can* point more than 90° away is proved ([E7](../LEDGER.md#e7), "
        "[§3.4a](../LEDGER.md#34a)). Here it is asked whether they do along these searches.",
        "Where H has negative eigenvalues there is no ω*(α) near, and g₂ is no derivative of "
        "anything that is trained: the references are what the formula gives there.",
        f"The large pair has {BATCHES} times 64 images. It is a sample too, and normalises by its "
        "own statistics.",
        "All numbers are taken in float32, as the searches are.",
        "amended-step-0.01 and amended-step-0.1 take the amended term by differences with steps of "
        "these lengths, as the paper does; all others take exact products.",
        "Before the runs the rules asked for the damped reference alone, and for intervals over "
        "runs. By it the second and the third claim would be not supported. After the runs were "
        "seen the undamped reference was put beside it, so that less is decided: where ρ is larger "
        "than most eigenvalues (25 and 86, beside at most 8 and 9, at the beginning of two seeds), "
        "the damped reference is nearly −B∇L_val/ρ, which is the second-order term's own "
        "direction.",
        "The two searches of a seed begin at the same point, which is counted for each.",
    ),
    reading=(
        "Nothing is decided, for there are two references, which disagree, and neither is g₂ "
        "itself. H is nowhere definite: 35 to 53 % of its curvature is negative. Beside the "
        "undamped reference, which MINRES leaves with a residual of 0.23 to 0.32, the amended "
        "term is below 90° at all 18 points, and the second-order term is above it at the "
        "beginning of two seeds, as the paper says. Beside the damped one the two change places: "
        "the amended term is above 90° at these beginnings, and the second-order term nowhere. "
        "After 12 and 25 epochs both are below 90° beside either. What fails is the length: the "
        "amended total has a cosine of −0.07 with the damped reference's total, where g₁ alone "
        "has 0.86, and of −0.04 with the undamped one's, where g₁ has 0.25. From batch to batch "
        "the amended term varies by 35 times the length of the damped g₂, and by 11 times that of "
        "the undamped one."
    ),
    read_from="8363ade818ea3a76",
)

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
from benchmarks.experiments.plots import save
from benchmarks.experiments.pointing import BATCHES, DAMPED, ITERATIONS, LANCZOS, measured
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import Judge, Judgement
from benchmarks.experiments.searched import Searched, SearchSetting, drive_search
from benchmarks.experiments.setting import METHODS, SMALL
from darts.config.as_json import to_json
from darts.data import ImageSet, SearchData
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
        halves = SearchData.of(images, self.config.train_share, self.seed)
        searching = Searching(self.config, halves.to(devices.device), devices, run.note)
        stage = MeasuredStage(self.after, searching, run)
        drive_search(stage, run, devices)

    def line(self, stream: str, record: Record) -> Record | None:
        return {"kind": "point", **record} if stream == STREAM else None


def points(record: RunRecord) -> list[Any]:
    return list(record.content["points"])


def of(point: Any, estimator: str, number: str) -> float | None:
    """A number of an estimator beside the damped reference; None if it has none there."""
    value = point["estimators"][estimator][DAMPED][number]
    return None if value is None else float(value)


def _counting(records: Sequence[RunRecord], enough: int = ENOUGH) -> list[RunRecord]:
    """Runs that have been measured after so many epochs."""
    return [r for r in records if points(r)[-1]["after_epochs"] >= enough]


def _decided(
    records: Sequence[RunRecord], decide: Callable[[Sequence[RunRecord]], Judgement]
) -> Judgement:
    """What the counting runs say, if there are `FEW` of each search; else what all say, open."""
    if not records:
        return NOT_RUN, "No search has been measured yet."
    counting = _counting(records)
    if any(sum(r.method == search for r in counting) < FEW for search in SEARCHES):
        return UNDECIDED, f"Deciding nothing yet (n = {len(records)}). {decide(records)[1]}"
    return decide(counting)


def below_90(estimator: str) -> Judge:
    """Supported if the term makes an acute angle with the reference everywhere."""

    def decide(records: Sequence[RunRecord]) -> Judgement:
        cosines = [of(p, estimator, "cosine") for r in records for p in points(r)]
        right = sum(c is not None and c > 0 for c in cosines)
        numbers = f"At {right} of {len(cosines)} points the angle was below 90°."
        if right == len(cosines):
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if 2 * right <= len(cosines) else UNDECIDED), numbers

    return lambda records: _decided(records, decide)


def ever_above_90(estimator: str) -> Judge:
    """Supported if the term makes an obtuse angle with the reference anywhere."""

    def decide(records: Sequence[RunRecord]) -> Judgement:
        cosines = [of(p, estimator, "cosine") for r in records for p in points(r)]
        wrong = sum(c is not None and c < 0 for c in cosines)
        numbers = f"At {wrong} of {len(cosines)} points the angle was above 90°."
        return (SUPPORTED if wrong else NOT_SUPPORTED), numbers

    return lambda records: _decided(records, decide)


def nearer(first: str, second: str) -> Judge:
    """Supported if the first one's total points nearer to the reference's than the second's."""

    def decide(records: Sequence[RunRecord]) -> Judgement:
        gains = []
        for record in records:
            pairs = [
                (of(p, first, "total_cosine"), of(p, second, "total_cosine"))
                for p in points(record)
            ]
            gains += [statistics.fmean((a or 0.0) - (b or 0.0) for a, b in pairs)]
        found = interval(gains)
        numbers = f"Difference of cosines, mean over the points of a run: {found}."
        if found.low > 0:
            return SUPPORTED, numbers
        return (NOT_SUPPORTED if found.high < 0 else UNDECIDED), numbers

    return lambda records: _decided(records, decide)


class Directions:
    """Three tables: where the searches were, where estimates pointed, what their error is."""

    def table(self, records: Sequence[RunRecord]) -> str:
        return "\n\n".join(
            (
                "**Where the searches were.**",
                _places(records),
                "**Cosine of each estimate of g₂ with the damped reference's, in brackets that of "
                "the total**, on the large batch, mean over seeds; – where there is no term.",
                _cosines(records),
                "**What the error of g₂ is made of**, in units of the damped reference's ‖g₂‖, "
                "mean over all points: on the large batch (bias of the estimator), from batch to "
                "batch, of the mean over batches beside the large one, and of differences beside "
                "exact products; and how often the sign was right on the search's own batches.",
                _parts(records),
            )
        )

    def draw(self, records: Sequence[RunRecord], path: Path, digest: str) -> None:
        """Cosine of g₂ over the epochs, a panel a search, a colour an estimator."""
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        panels = figure.subplots(1, len(SEARCHES), sharey=True)
        for axes, search in zip(panels, SEARCHES, strict=True):
            for place, name in enumerate(n for n in COMPARED if METHODS[n].has_implicit_term):
                for k, record in enumerate(r for r in records if r.method == search):
                    epochs = [p["after_epochs"] for p in points(record)]
                    cosines = [of(p, name, "cosine") for p in points(record)]
                    label = name if k == 0 else None
                    axes.plot(epochs, cosines, "o-", color=f"C{place}", linewidth=1, label=label)
            axes.axhline(0, color="0.5", linewidth=0.8)
            axes.set_title(f"along a search with {search}", fontsize=10)
            axes.set_xlabel("epochs done")
        panels[0].set_ylabel("cosine with the damped g₂")
        panels[-1].legend(fontsize=7)
        save(figure, path, digest)


def _places(records: Sequence[RunRecord]) -> str:
    rows = [
        "| Search | Seed | After epochs | Cell | ‖∇_ω L_train‖ | ‖∇_ω L_val‖ | λ of H (Ritz) | "
        "Negative share | Damping | Residual undamped | ‖g₁‖ | ‖g₂‖ damped |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        for p in points(record):
            damped, undamped = p["references"]["damped"], p["references"]["undamped"]
            values = (
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
            rows.append(f"| {' | '.join(map(str, values))} |")
    return "\n".join(rows)


def _cosines(records: Sequence[RunRecord]) -> str:
    rows = [
        f"| Search | After epochs | n | {' | '.join(COMPARED)} |",
        f"|---|---|---|{'---|' * len(COMPARED)}",
    ]
    for search in SEARCHES:
        runs = [r for r in records if r.method == search]
        for after in MEASURED_AFTER:
            here = [p for r in runs for p in points(r) if p["after_epochs"] == after]
            if here:
                cells = (
                    f"{_mean(here, n, 'cosine')} ({_mean(here, n, 'total_cosine')})"
                    for n in COMPARED
                )
                rows.append(f"| {search} | {after} | {len(here)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _parts(records: Sequence[RunRecord]) -> str:
    rows = [
        "| Estimate | Bias | Batch noise | Mean over batches | Kinks | Right sign |",
        "|---|---|---|---|---|---|",
    ]
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
        rows.append(f"| {name} | {' | '.join(numbers)} | {share} |")
    return "\n".join(rows)


def _mean(here: Sequence[Any], estimator: str, number: str) -> str:
    known = [x for p in here if (x := of(p, estimator, number)) is not None]
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
        "negative curvature is met. The claims use the damped one, which can be solved to its "
        "tolerance. The negative share is that of negative eigenvalues in the sum of |λ|. "
        "Numbers against both references are in the records."
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
            "Of the cosines with the reference's g₁ + g₂, mean over the points of a run: supported "
            "if the interval of the difference lies above 0, not supported if below.",
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
        "of each of the two searches a claim is undecided. "
        "Intervals are 95 % by Student's t over runs."
    ),
    report=Directions(),
    deviations=(
        "The deviations of [collapse](collapse.md) hold here too.",
        "Where H has negative eigenvalues there is no ω*(α) near, and g₂ is no derivative of "
        "anything that is trained: the references are what the formula gives there.",
        f"The large pair has {BATCHES} times 64 images. It is a sample too, and normalises by its "
        "own statistics.",
        "All numbers are taken in float32, as the searches are.",
        "The run of amended, seed 0, was taken over from [collapse](collapse.md) within its "
        "twelfth epoch, so that it has no measurement after 0 epochs.",
    ),
    reading=(
        "There is one moment of one search, which decides nothing. H has eigenvalues from −1.2 to "
        "11, and 40 % of its curvature is negative. The amended term has the right direction "
        "(cosine 0.88) and is several times too long, so that the sum with g₁ points away from the "
        "reference's (cosine −0.29), where g₁ alone has 0.83. From batch to batch the term varies "
        "by 20 times the size of g₂."
    ),
    read_from="710bfdb9eb9ac2f9",
)

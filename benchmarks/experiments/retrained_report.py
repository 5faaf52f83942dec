"""Searches and the cells retrained beside them, as two tables and a figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.experiments.kept import digits, skip_share, skips_from
from benchmarks.experiments.plots import beside, looks_of, save
from benchmarks.experiments.record import RunRecord
from benchmarks.tables import table
from darts.spaces.space import NONE


@dataclass(frozen=True)
class RetrainedCurves:
    """Searches whose cells are retrained.

    Attributes:
        kinds: of cells whose edges are shown.
        after: epochs whose cells are retrained.
        others: the cells that no search found, by the names of their runs.
    """

    kinds: tuple[str, ...]
    after: tuple[int, ...]
    others: tuple[str, ...]

    def table(self, records: Sequence[RunRecord]) -> str:
        columns = [f"Retrained, epoch {after}" for after in self.after]
        head = ["Method", "Seed", "Epochs", "Kept operations", "Skip", "None", "Skips from"]
        rows = []
        for run in (r for r in records if r.method not in self.others):
            kept = [digits(run, "kept", kind)[-1] for kind in self.kinds]
            from_epoch = [skips_from(run, kind) for kind in self.kinds]
            row = (
                run.method,
                run.seed,
                f"{run.epochs} of {run.content['epochs_planned']}",
                " ".join(kept),
                f"{100 * skip_share(run, *self.kinds)[-1]:.0f} %",
                f"{_none(run, self.kinds)[-1]:.2f}",
                " ".join(str(epoch or "–") for epoch in from_epoch),
                *(_accuracy(run, after) for after in self.after),
                run.machine,
            )
            rows.append(row)
        names = _operations(records)
        note = (
            f"Kept operations are digits: {names}. Skip is the share of edges whose strongest "
            "operation beside none is skip-connect, None the mean weight of none, both after the "
            "last epoch. *Skips from* is the epoch from which on all kept edges but at most one "
            "are skip-connect to the end. Retrained are test accuracies in per cent."
        )
        searches = table([*head, *columns, "Where"], rows)
        return "\n\n".join((searches, note, self._cells(records)))

    def _cells(self, records: Sequence[RunRecord]) -> str:
        rows = []
        for name in self.others:
            results = [r.content["result"] for r in records if r.method == name]
            if results:
                accuracies = [result["test_accuracy_percent"] for result in results]
                sizes = [result["params_millions"] for result in results]
                shown = (_spread(accuracies, "{:.2f}"), _spread(sizes, "{:.4f}"))
                rows.append((name, *shown))
        return table(("Cell", "Test accuracy, %", "Parameters, millions"), rows)

    def draw(self, records: Sequence[RunRecord], path: Path, digest: str) -> None:
        """Fig. 1's three curves, a colour a method; cells that no search found as dashed lines."""
        searches = [r for r in records if r.method not in self.others]
        looks = looks_of([*(run.method for run in searches), *reversed(self.others)])
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        none, skips, accuracy = figure.subplots(1, 3)
        for run in searches:
            look = {**looks[run.method], "linewidth": 1}
            epochs = range(1, run.epochs + 1)
            first = run.seed == min(r.seed for r in searches if r.method == run.method)
            label = run.method if first else None
            none.plot(epochs, _none(run, self.kinds), label=label, **look)
            skips.plot(epochs, skip_share(run, *self.kinds), **look)
            cells = run.content["retrained"]
            values = [cells[after]["test_accuracy_percent"] for after in cells]
            accuracy.plot([int(a) for a in cells], values, marker="o", label=label, **look)
        labels = set()
        for name in self.others:
            found = [r.content["result"] for r in records if r.method == name]
            if found:
                mean = statistics.fmean(result["test_accuracy_percent"] for result in found)
                random = name.startswith("random")
                label = "random, each" if random else name
                look = {**looks[name], "linestyle": "--", "linewidth": 1}
                look |= {"color": "0.5", "linestyle": ":"} if random else {}
                accuracy.axhline(mean, label=None if label in labels else label, **look)
                labels.add(label)
        for axes, title in (
            (none, "mean weight of none"),
            (skips, "share of edges whose strongest\noperation is skip-connect"),
            (accuracy, "test accuracy of the retrained cell, %"),
        ):
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("epoch")
        beside(figure, accuracy)
        save(figure, path, digest)


def _none(run: RunRecord, kinds: Sequence[str]) -> list[float]:
    """The mean weight of none over the edges of some kinds; 0 in a space that has none."""
    if f"{kinds[0]} {NONE}" not in run.content["weights"]:
        return [0.0] * run.epochs
    each = zip(*(run.weight(NONE, kind) for kind in kinds), strict=True)
    return [statistics.fmean(weights) for weights in each]


def _accuracy(run: RunRecord, after: int) -> str:
    result = run.content["retrained"].get(str(after))
    return "–" if result is None else f"{result['test_accuracy_percent']:.2f}"


def _operations(records: Sequence[RunRecord]) -> str:
    for run in records:
        if "search" in run.content["config"]:
            names = run.content["config"]["search"]["space"]["operations"]
            return ", ".join(f"{digit} {name}" for digit, name in enumerate(names))
    return "no search has begun"


def _spread(values: Sequence[float], form: str) -> str:
    mean = form.format(statistics.fmean(values))
    if len(values) < 2:
        return f"{mean} (n = 1)"
    return f"{mean} ± {form.format(statistics.stdev(values))} (mean ± s.d., n = {len(values)})"

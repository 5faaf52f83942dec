"""The runs of an experiment as a table and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.experiments.ends import TABLE, collapse_epoch
from benchmarks.experiments.final_cell import in_words
from benchmarks.experiments.record import RunRecord
from benchmarks.tables import table

PANELS = (
    ("mean weight of skip-connect", lambda run: run.weight("skip_connect")),
    ("mean weight of none", lambda run: run.weight("none")),
    (
        "true accuracy of the cell without none, %",
        lambda run: run.curve("table_cifar10_percent_without_none"),
    ),
)


class CellCurves:
    """Searches in NAS-Bench-201: where each ended, and its curves."""

    def table(self, records: Sequence[RunRecord]) -> str:
        head = (
            *("Method", "Seed", "Epochs", "Last cell, none allowed", "Without none"),
            *("Best without none", "Skip", "None", "Collapsed from epoch", "Supernet", "Where"),
        )
        rows = []
        for run in records:
            of_cell = run.curve(TABLE)
            without = run.curve(f"{TABLE}_without_none")
            best = max(range(run.epochs), key=without.__getitem__)
            bare = run.content["cells_without_none"]
            planned = run.content["epochs_planned"]
            row = (
                label(run, records),
                run.seed,
                run.epochs if run.complete else f"{run.epochs} of {planned}",
                f"{run.cells[-1]}, {of_cell[-1]:.2f} %",
                f"{bare[-1]}, {without[-1]:.2f} %",
                f"{without[best]:.2f} % at epoch {best + 1}",
                f"{run.weight('skip_connect')[-1]:.2f}",
                f"{run.weight('none')[-1]:.2f}",
                collapse_epoch(run) or "–",
                f"{run.curve('val_accuracy_percent')[-1]:.1f} %",
                run.machine,
            )
            rows.append(row)
        note = (
            "Cells are the table's digits, an edge each: 0 none, 1 skip-connect, 2 and 3 "
            "convolutions 1×1 and 3×3, 4 average pooling. Percentages of cells are true CIFAR-10 "
            "test accuracies. Skip and None are mean weights after the last epoch."
        )
        others = [words for run in records if (words := in_words(run)) is not None]
        if others:
            note += f" Runs that do not end with their last cell: {'; '.join(others)}."
        return f"{table(head, rows)}\n\n{note}"

    def draw(self, records: Sequence[RunRecord], path: Path, digest: str) -> None:
        """One line a run, one colour a method. The file holds the digest of the records."""
        looks = looks_of([label(record, records) for record in records])
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        panels = figure.subplots(1, len(PANELS))
        for axes, (name, read) in zip(panels, PANELS, strict=True):
            for record in records:
                name_of_line = label(record, records)
                same = [r.seed for r in records if label(r, records) == name_of_line]
                first = record.seed == min(same)
                axes.plot(
                    range(1, record.epochs + 1),
                    read(record),
                    linewidth=1,
                    label=name_of_line if first else None,
                    **looks[name_of_line],
                )
            axes.set_xlabel("epoch")
            axes.set_title(name, fontsize=10)
        beside(figure, panels[0])
        save(figure, path, digest)


FAMILIAR = ("first-order", "amended")
"""Methods of nearly every page: each has one colour on all of them."""
COLOURS = 10
"""Lines beyond so many are dashed."""


def looks_of(methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour and dashes of each method's lines."""
    names = dict.fromkeys((*FAMILIAR, *methods))
    return {
        name: {"color": f"C{place % COLOURS}", "linestyle": "-" if place < COLOURS else "--"}
        for place, name in enumerate(names)
    }


def beside(figure: Figure, axes: Axes) -> None:
    """The legend of some axes, to the right of all: it hides no line."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=7)


def label(record: RunRecord, records: Sequence[RunRecord]) -> str:
    """The method; where records are of several settings, with the words that tell this one."""
    settings = [other.setting.split("-") for other in records]
    shared = takewhile(lambda words: len(set(words)) == 1, zip(*settings, strict=False))
    own = record.setting.split("-")[len(list(shared)) :]
    return ", ".join(filter(None, (record.method, " ".join(own))))


def save(figure: Figure, path: Path, digest: str) -> None:
    """Write an SVG file with the digest of the records in it: the same figure, the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "experiments", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None, "Description": f"records {digest}"})

"""The figure of an experiment: weights of skip-connect and none, and true accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.experiments.record import RunRecord

PANELS = (
    ("mean weight of skip-connect", lambda run: run.weight("skip_connect")),
    ("mean weight of none", lambda run: run.weight("none")),
    (
        "true accuracy of the cell without none, %",
        lambda run: run.curve("table_cifar10_percent_without_none"),
    ),
)


def draw(records: Sequence[RunRecord], path: Path, digest: str) -> None:
    """One line a run, one colour a method. The file holds the digest of the records."""
    methods = list(dict.fromkeys(record.method for record in records))
    with rc_context({"svg.hashsalt": "experiments", "svg.fonttype": "none"}):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        panels = figure.subplots(1, len(PANELS))
        for axes, (name, read) in zip(panels, PANELS, strict=True):
            for record in records:
                place = methods.index(record.method)
                first = record.seed == min(r.seed for r in records if r.method == record.method)
                axes.plot(
                    range(1, record.epochs + 1),
                    read(record),
                    color=f"C{place % 10}",
                    linewidth=1,
                    label=record.method if first else None,
                )
            axes.set_xlabel("epoch")
            axes.set_title(name, fontsize=10)
        panels[0].legend(fontsize=7)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Description": f"records {digest}"})

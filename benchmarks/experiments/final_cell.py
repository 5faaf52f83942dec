"""The cell that a run ends with, which is not always that of its last epoch."""

from __future__ import annotations

from benchmarks.experiments.ends import TABLE
from benchmarks.experiments.record import RunRecord


def final_accuracy(record: RunRecord) -> float:
    """The table's CIFAR-10 accuracy of the final cell, none not allowed.

    The final cell is the one that a selection chose after the search; of a search that a rule ended
    the one that the rule keeps; else the last one.
    """
    if "selected" in record.content:
        return float(record.content["selected"][TABLE])
    kept = record.content.get("stopped", {}).get("kept_epoch", -1)
    return record.curve(f"{TABLE}_without_none")[kept]


def in_words(record: RunRecord) -> str | None:
    """The final cell, and why it is that; None where it is the last one."""
    if "selected" in record.content:
        cell, why = record.content["selected"]["cell"], "selected after the search"
    elif "stopped" in record.content:
        kept = record.content["stopped"]["kept_epoch"]
        cell = record.content["cells_without_none"][kept]
        why = f"of epoch {kept + 1}, which its rule keeps"
    else:
        return None
    return f"{record.method}, seed {record.seed}: {cell}, {final_accuracy(record):.2f} %, {why}"

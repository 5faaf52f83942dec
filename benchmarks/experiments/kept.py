"""What is read from searches whose cells are retrained: skips, weights and tested accuracies."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks.experiments.ends import collapsed, since
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.rules import Values

BySeed = Callable[[Sequence[RunRecord]], dict[int, float]]
"""Accuracies in per cent by seed, of seeds whose trainings are all there."""


def kinds(record: RunRecord) -> list[str]:
    """The kinds of cells of a search, in the order of its digits."""
    return list(dict.fromkeys(name.split(" ")[0] for name in record.content["weights"]))


def digits(record: RunRecord, name: str, kind: str) -> list[str]:
    """`cells`, `cells_without_none` or `kept` of one kind of cell, a string an epoch."""
    place = kinds(record).index(kind)
    return [text.split(" ")[place] for text in record.content[name]]


def skip(record: RunRecord) -> str:
    """The digit of skip-connect in a search's space."""
    return str(record.content["config"]["search"]["space"]["operations"].index("skip_connect"))


def skip_share(record: RunRecord, *of: str) -> list[float]:
    """The share of edges whose strongest operation beside none is skip-connect, an epoch each.

    Args:
        record: of a search.
        of: the kinds of cells whose edges count.
    """
    cells = zip(*(digits(record, "cells_without_none", kind) for kind in of), strict=True)
    edges = ["".join(each) for each in cells]
    return [text.count(skip(record)) / len(text) for text in edges]


def skips_from(record: RunRecord, kind: str) -> int | None:
    """The epoch from which on all but at most one kept edge of a kind is skip-connect, as `since`.

    None if it is not so at the end.
    """
    return since([collapsed(cell, skip(record)) for cell in digits(record, "kept", kind)])


def found(method: str, after: int) -> BySeed:
    """The cells that stood after so many epochs of a method's searches."""

    def read(records: Sequence[RunRecord]) -> dict[int, float]:
        trained = {r.seed: r.content.get("retrained", {}) for r in records if r.method == method}
        return {
            seed: float(cells[str(after)]["test_accuracy_percent"])
            for seed, cells in trained.items()
            if str(after) in cells
        }

    return read


def mean_of(methods: Sequence[str]) -> BySeed:
    """The mean over cells that no search found, of seeds for which all of them are trained."""

    def read(records: Sequence[RunRecord]) -> dict[int, float]:
        by: dict[int, list[float]] = {}
        for record in records:
            if record.method in methods and "result" in record.content:
                accuracy = float(record.content["result"]["test_accuracy_percent"])
                by.setdefault(record.seed, []).append(accuracy)
        return {seed: statistics.fmean(x) for seed, x in by.items() if len(x) == len(methods)}

    return read


def difference(first: BySeed, second: BySeed) -> Values:
    """first − second for every seed that has both; a training counts as soon as it is done."""

    def values(records: Sequence[RunRecord], horizon: int) -> list[float]:
        ones, others = first(records), second(records)
        return [ones[seed] - others[seed] for seed in sorted(ones.keys() & others.keys())]

    return values

"""Journals: lines written as runs go on, and folded into their records.

A journal is JSON-lines, which any number of processes append to. A line of kind "run" says what a
run is and where it takes place, one of kind "epoch" what came out of one epoch, one of kind "ended"
why and where a search ended early, one of kind "selected" which cell was chosen after a search, one
of kind "retraining" what the cell of an epoch came to when it was trained from scratch, one of kind
"failure" why a run cannot go on, one of kind "result" what a run without curves came to, and one of
kind "point" what was measured at one moment of a run.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.record import CURVES, HEAD, RunRecord
from darts.spaces import NASBENCH201

Line = Mapping[str, Any]
MOMENT = {"epoch": "epoch", "point": "after_epochs", "retraining": "after_epochs"}
"""What says when it was, in lines of which a run has several."""


def append(journal: Path, line: Mapping[str, Any]) -> None:
    """Add one line, in one write, so that processes side by side do not mix theirs."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def journal_lines(journals: Iterable[Path]) -> list[dict[str, Any]]:
    """All whole lines; the last one of a file may be torn, and is then left out.

    Raises:
        ValueError: another line is not JSON.
    """
    lines = []
    for journal in journals:
        parts = journal.read_text(encoding="utf-8").split("\n")
        for number, text in enumerate(parts[:-1], start=1):
            try:
                lines.append(json.loads(text))
            except ValueError as error:
                raise ValueError(f"{journal}, line {number} is not JSON ({error}).") from error
    return lines


def fold(lines: Sequence[Line], accuracy: Mapping[str, float]) -> list[RunRecord]:
    """One record a run and machine, with the table's accuracy of each epoch's cell.

    An epoch that a stopped run did again counts once, as it was done last. Epochs after a gap are
    left out.

    Args:
        lines: of journals, of searches and of runs with a result.
        accuracy: CIFAR-10's test accuracy in per cent by the digits of a cell.
    """
    runs: dict[tuple[str, str, int, str], dict[str, dict[int, Line]]] = {}
    for line in lines:
        kind = line["kind"]
        run = runs.setdefault((line["setting"], line["method"], line["seed"], line["machine"]), {})
        run.setdefault(kind, {})[line[MOMENT[kind]] if kind in MOMENT else 0] = line
    contents = (_content(run, accuracy) for run in runs.values())
    return [RunRecord(content) for content in contents if content is not None]


def _content(
    run: Mapping[str, Mapping[int, Line]], accuracy: Mapping[str, float]
) -> dict[str, Any] | None:
    """The record of a run, by its lines by kind and moment; None where nothing came out yet."""
    if 0 in run.get("epoch", {}):
        return _of_epochs(run, accuracy)
    if "point" in run:
        return _of_points(run["run"][0], run["point"])
    if "result" in run:
        return _of_result(run["run"][0], run["result"][0])
    return None


def _of_result(header: Line, line: Line) -> dict[str, Any]:
    return {
        **{name: header[name] for name in HEAD},
        "complete": True,
        "failure": None,
        "wall_seconds": line["wall_seconds"],
        "cells": [],
        "result": line["result"],
    }


def _of_points(header: Line, found: Mapping[int, Line]) -> dict[str, Any]:
    in_order = [found[after] for after in sorted(found)]
    return {
        **{name: header[name] for name in HEAD},
        "complete": set(header["config"]["measured_after"]) <= found.keys(),
        "failure": None,
        "wall_seconds": in_order[-1]["wall_seconds"],
        "cells": [line["point"]["cell"] for line in in_order],
        "points": [line["point"] for line in in_order],
    }


def _of_epochs(
    run: Mapping[str, Mapping[int, Line]], accuracy: Mapping[str, float]
) -> dict[str, Any]:
    header, epochs, retrained = run["run"][0], _contiguous(run["epoch"]), run.get("retraining", {})
    failure, ended, selected = (run.get(k, {}).get(0) for k in ("failure", "ended", "selected"))
    config = header["config"]
    curves = {name: [epoch[name] for epoch in epochs] for name in CURVES}
    chosen = {} if selected is None else dict(selected["selected"])
    if config["search"]["space"]["name"] == NASBENCH201.name:
        for name in ("cell", "cell_without_none"):
            suffix = name.removeprefix("cell")
            curves[f"table_cifar10_percent{suffix}"] = [accuracy[epoch[name]] for epoch in epochs]
        if chosen:
            chosen["table_cifar10_percent"] = accuracy[chosen["cell"]]
    planned = config["search"]["epochs"]
    wanted = config.get("retrained_after", [])
    later = [*retrained.values(), *([] if selected is None else [selected])]
    seconds = [line["wall_seconds"] for line in (epochs[-1], *later)]
    searched = len(epochs) == planned or ended is not None
    decided = config["search"].get("selection") is None or selected is not None
    several = {} if "kept" not in epochs[0] else {"kept": [epoch["kept"] for epoch in epochs]}
    return {
        **{name: header[name] for name in HEAD},
        "complete": searched and decided and set(wanted) <= set(retrained),
        "epochs_planned": planned,
        "failure": None if failure is None else failure["failure"],
        **({} if ended is None else {"stopped": ended["stopped"]}),
        **({"selected": chosen} if chosen else {}),
        "wall_seconds": round(math.fsum(seconds), 1),
        "cells": [epoch["cell"] for epoch in epochs],
        "cells_without_none": [epoch["cell_without_none"] for epoch in epochs],
        **several,
        "last_weights": epochs[-1]["mixing"],
        "weights": {
            operation: [epoch["weights"][operation] for epoch in epochs]
            for operation in epochs[0]["weights"]
        },
        "curves": curves,
        **({"retrained": _by_epoch(retrained)} if wanted else {}),
    }


def _contiguous(done: Mapping[int, Line]) -> list[Line]:
    found: list[Line] = []
    while len(found) in done:
        found.append(done[len(found)])
    return found


def _by_epoch(retrained: Mapping[int, Line]) -> dict[str, Any]:
    return {str(after): retrained[after]["result"] for after in sorted(retrained)}

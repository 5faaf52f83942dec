"""Records of runs: lines written as a run goes on, and the small files that they are folded into.

A journal is JSON-lines, which any number of processes append to. A line of kind "run" says what a
run is and where it takes place, one of kind "epoch" what came out of one epoch, one of kind "ended"
why and where a search ended early, one of kind "selected" which cell was chosen after a search, one
of kind "retraining" what the cell of an epoch came to when it was trained from scratch, one of kind
"failure" why a run cannot go on, one of kind "result" what a run without curves came to, and one of
kind "point" what was measured at one moment of a run.
A record is the same of one run in one file: curves as lists, one number an epoch.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.records.writing import write_atomically
from darts.spaces import NASBENCH201

RECORDS = Path("docs/records/experiments")
CURVES = (
    *("train_loss", "alpha_loss", "val_loss", "val_accuracy_percent"),
    *("direct_norm", "implicit_norm", "angle_degrees", "warnings"),
)
"""Numbers of an epoch beside the weights and the cell; docs/experiments/README.md explains them."""
HEAD = ("setting", "method", "seed", "machine", "config", "environment")
Key = tuple[str, str, int, str]
"""Setting, method, seed, machine."""


@dataclass(frozen=True)
class RunRecord:
    """One run as far as it came on one machine.

    Attributes:
        content: the JSON of its file.
    """

    content: Mapping[str, Any]

    @property
    def setting(self) -> str:
        return str(self.content["setting"])

    @property
    def method(self) -> str:
        return str(self.content["method"])

    @property
    def seed(self) -> int:
        return int(self.content["seed"])

    @property
    def machine(self) -> str:
        return str(self.content["machine"])

    @property
    def complete(self) -> bool:
        return bool(self.content["complete"])

    @property
    def epochs(self) -> int:
        """Epochs done; of a run that is measured at moments, how many of these are there."""
        return len(self.content["cells"])

    @property
    def extent(self) -> tuple[int, int, bool]:
        """How far it came, to be compared: epochs, cells retrained, and whether it is complete."""
        return self.epochs, len(self.content.get("retrained", {})), self.complete

    def curve(self, name: str) -> list[float]:
        """One of `CURVES`, or the accuracies by the table; a number that is not known is NaN."""
        return [float("nan") if x is None else float(x) for x in self.content["curves"][name]]

    def weight(self, operation: str, kind: str = "") -> list[float]:
        """The mean weight of an operation over the edges, after each epoch.

        Args:
            operation: its name.
            kind: of the cells, where a search has several kinds.
        """
        return [float(x) for x in self.content["weights"][f"{kind} {operation}".strip()]]

    @property
    def cells(self) -> list[str]:
        """The strongest operations after each epoch, a digit an edge, none included."""
        return list(self.content["cells"])


def read_all(folder: Path = RECORDS) -> list[RunRecord]:
    """The records of all machines."""
    return [
        RunRecord(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*/*.json"))
    ]


def read_records(folder: Path = RECORDS) -> list[RunRecord]:
    """All records, one of each run: of several machines' that which came farthest, then by name."""
    found: dict[tuple[str, str, int], RunRecord] = {}
    for record in read_all(folder):
        key = (record.setting, record.method, record.seed)
        if key not in found or record.extent > found[key].extent:
            found[key] = record
    return list(found.values())


def append(journal: Path, line: Mapping[str, Any]) -> None:
    """Add one line, in one write, so that processes side by side do not mix theirs."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def short(value: float | None) -> float | None:
    """Six significant digits: records are for reading, checkpoints for going on."""
    return None if value is None else float(f"{value:.6g}")


def machine_name(environment: Mapping[str, Any]) -> str:
    """The device of a run as a short word for file names, e.g. "nvidia-h100-80gb-hbm3".

    A processor's has its vector instructions, on which bits depend, if they are not AVX2.
    """
    name = environment["device_name"]
    if name == "CPU":
        widest = environment.get("instructions", "AVX2").partition(",")[0]
        name = environment["processor"] + ("" if widest == "AVX2" else f" {widest}")
    return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")


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


def fold(lines: Sequence[Mapping[str, Any]], accuracy: Mapping[str, float]) -> list[RunRecord]:
    """One record a run and machine, with the table's accuracy of each epoch's cell.

    An epoch that a stopped run did again counts once, as it was done last. Epochs after a gap are
    left out.

    Args:
        lines: of journals, of searches and of runs with a result.
        accuracy: CIFAR-10's test accuracy in per cent by the digits of a cell.
    """
    headers: dict[Key, Mapping[str, Any]] = {}
    failures: dict[Key, str] = {}
    results: dict[Key, Mapping[str, Any]] = {}
    epochs: dict[Key, dict[int, Mapping[str, Any]]] = {}
    points: dict[Key, dict[int, Mapping[str, Any]]] = {}
    retrained: dict[Key, dict[int, Mapping[str, Any]]] = {}
    ended: dict[Key, Mapping[str, Any]] = {}
    selected: dict[Key, Mapping[str, Any]] = {}
    for line in lines:
        key = (line["setting"], line["method"], line["seed"], line["machine"])
        if line["kind"] == "run":
            headers[key] = line
        elif line["kind"] == "result":
            results[key] = line
        elif line["kind"] == "failure":
            failures[key] = line["failure"]
        elif line["kind"] == "retraining":
            retrained.setdefault(key, {})[line["after_epochs"]] = line
        elif line["kind"] == "ended":
            ended[key] = line["stopped"]
        elif line["kind"] == "selected":
            selected[key] = line
        elif line["kind"] == "point":
            points.setdefault(key, {})[line["after_epochs"]] = line
        else:
            epochs.setdefault(key, {})[line["epoch"]] = line
    curves = [
        RunRecord(
            _folded(
                headers[key],
                _contiguous(done),
                accuracy,
                failures.get(key),
                ended.get(key),
                selected.get(key),
                retrained.get(key, {}),
            )
        )
        for key, done in epochs.items()
        if 0 in done
    ]
    measured = [RunRecord(_of_points(headers[key], found)) for key, found in points.items()]
    whole = [RunRecord(_of_result(headers[key], line)) for key, line in results.items()]
    return curves + measured + whole


def _of_result(header: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: header[name] for name in HEAD},
        "complete": True,
        "failure": None,
        "wall_seconds": line["wall_seconds"],
        "cells": [],
        "result": line["result"],
    }


def _of_points(header: Mapping[str, Any], found: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    in_order = [found[after] for after in sorted(found)]
    return {
        **{name: header[name] for name in HEAD},
        "complete": set(header["config"]["measured_after"]) <= found.keys(),
        "failure": None,
        "wall_seconds": in_order[-1]["wall_seconds"],
        "cells": [line["point"]["cell"] for line in in_order],
        "points": [line["point"] for line in in_order],
    }


def _contiguous(done: Mapping[int, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    while len(found) in done:
        found.append(done[len(found)])
    return found


def _folded(
    header: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    accuracy: Mapping[str, float],
    failure: str | None,
    ended: Mapping[str, Any] | None,
    selected: Mapping[str, Any] | None,
    retrained: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
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
        "failure": failure,
        **({} if ended is None else {"stopped": ended}),
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


def _by_epoch(retrained: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    return {str(after): retrained[after]["result"] for after in sorted(retrained)}


def write_record(record: RunRecord, folder: Path = RECORDS) -> Path | None:
    """Write a record, unless the same or a longer one of its run and machine is there: then None.

    One line a list, so that a file is short and a change of it can be read.
    """
    name = f"{record.method}-seed-{record.seed}.{record.machine}.json"
    path, text = folder / record.setting / name, _text(record.content)
    if path.is_file():
        old = RunRecord(json.loads(path.read_text(encoding="utf-8")))
        if old.extent > record.extent or old.content == json.loads(text):
            return None
    return write_atomically(path, text.encode())


def _text(content: Mapping[str, Any]) -> str:
    parts = []
    for key, value in content.items():
        if key in ("curves", "weights", "retrained"):
            rows = (f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in value.items())
            inner = "{\n" + ",\n".join(rows) + "\n }"
        elif key == "points":
            inner = "[\n" + ",\n".join(f"  {json.dumps(point)}" for point in value) + "\n ]"
        else:
            inner = json.dumps(value, ensure_ascii=False)
        parts.append(f" {json.dumps(key)}: {inner}")
    return "{\n" + ",\n".join(parts) + "\n}\n"

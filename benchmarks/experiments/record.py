"""Records of runs, one file of a run on one machine: curves as lists, one number an epoch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.records.writing import write_atomically

RECORDS = Path("docs/records/experiments")
CURVES = (
    *("train_loss", "alpha_loss", "val_loss", "val_accuracy_percent"),
    *("direct_norm", "implicit_norm", "angle_degrees", "warnings"),
)
"""Numbers of an epoch beside the weights and the cell; docs/experiments/README.md explains them."""
HEAD = ("setting", "method", "seed", "machine", "config", "environment")
Key = tuple[str, str, int]
"""Setting, method, seed: one run, on whatever machine."""


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
    def key(self) -> Key:
        return self.setting, self.method, self.seed

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
    found: dict[Key, RunRecord] = {}
    for record in read_all(folder):
        if record.key not in found or record.extent > found[record.key].extent:
            found[record.key] = record
    return list(found.values())


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

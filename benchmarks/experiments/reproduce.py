"""Whether runs made again give the numbers of their records, on the same kind of machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.experiments.definition import Experiment, Planned
from benchmarks.experiments.record import CURVES, Key, RunRecord
from darts.config.as_json import differences

COMPARED = tuple(name for name in CURVES if name != "warnings")
"""Numbers of an epoch."""
EPOCH, RETRAINING, RESULT = "epoch", "the retraining of the cell of epoch", "its result"
SELECTION = "the selection after it"
Moment = tuple[str, int]
"""What was written down, one of the four above, and after which epoch, counted from 1."""


@dataclass(frozen=True)
class Compared:
    """One run beside its record.

    Attributes:
        text: what was compared, and whether it agrees.
        agrees: None if nothing could be compared.
    """

    text: str
    agrees: bool | None


def recorded_here(
    experiment: Experiment, records: Sequence[RunRecord], machine: str
) -> list[Planned]:
    """The runs of an experiment that have a record of this kind of machine."""
    there = {record.key for record in records if record.machine == machine}
    return [run for run in experiment.runs if run.key in there]


def compare_with_records(
    lines: Sequence[Mapping[str, Any]], records: Sequence[RunRecord]
) -> list[Compared]:
    """Every run of a journal beside its record, epoch by epoch.

    Records hold six significant digits, and so do journals: numbers that agree here agree in all
    digits that are kept. Seconds are not compared, and counts of warnings are not: a run that was
    stopped within an epoch has counted only those that came after it went on.

    Args:
        lines: of a journal.
        records: of all machines.
    """
    heads: dict[tuple[Key, str], Mapping[str, Any]] = {}
    moments: dict[tuple[Key, str], dict[Moment, Any]] = {}
    for line in lines:
        key = ((line["setting"], line["method"], line["seed"]), line["machine"])
        if line["kind"] == "run":
            heads[key] = line
        elif line["kind"] not in ("failure", "ended"):
            at, content = _moment_of_line(line)
            moments.setdefault(key, {})[at] = content
    return [_compared(head, moments.get(key, {}), key, records) for key, head in heads.items()]


def _compared(
    head: Mapping[str, Any],
    found: Mapping[Moment, Any],
    key: tuple[Key, str],
    records: Sequence[RunRecord],
) -> Compared:
    (_, method, seed), machine = key
    name = f"{method}, seed {seed}"
    of_run = [r for r in records if r.key == key[0]]
    same = [r for r in of_run if r.machine == machine]
    if not same:
        others = ", ".join(sorted(r.machine for r in of_run)) or "none"
        return Compared(
            f"{name}: no record of this kind of machine ({machine}) to compare with; records of "
            f"the run: {others}.",
            None,
        )
    (record,) = same
    recorded = _moments_of_record(record)
    common = sorted(found.keys() & recorded.keys())
    if not common:
        return Compared(f"{name}: no epoch done yet that its record has.", None)
    programs = _programs(head["environment"], record.content["environment"])
    for at in common:
        unequal = differences(recorded[at], found[at])
        if unequal:
            return Compared(
                f"{name}: DIFFERS from its record first at {_word(at)}, in {len(unequal)} numbers, "
                f"such as {unequal[0]} (record ≠ now). {programs}",
                False,
            )
    return Compared(
        f"{name}: agrees with its record in every number at {_span(common)}. {programs}", True
    )


def _moment_of_line(line: Mapping[str, Any]) -> tuple[Moment, Any]:
    """When it was, and what came out."""
    if line["kind"] == "result":
        return (RESULT, 0), line["result"]
    if line["kind"] == "retraining":
        return (RETRAINING, line["after_epochs"]), line["result"]
    if line["kind"] == "selected":
        return (SELECTION, 0), line["selected"]
    if line["kind"] == "point":
        return (EPOCH, line["after_epochs"]), line["point"]
    kept = ("cell", "cell_without_none", "weights", *COMPARED)
    return (EPOCH, line["epoch"] + 1), {name: line[name] for name in kept}


def _moments_of_record(record: RunRecord) -> dict[Moment, Any]:
    """The same of a record."""
    content = record.content
    if "result" in content:
        return {(RESULT, 0): content["result"]}
    if "points" in content:
        return {(EPOCH, point["after_epochs"]): point for point in content["points"]}
    retrained = content.get("retrained", {})
    later = {(RETRAINING, int(after)): result for after, result in retrained.items()}
    if "selected" in content:
        kept = ("cell", "unlike_weights")
        later[SELECTION, 0] = {name: content["selected"][name] for name in kept}
    return later | {
        (EPOCH, epoch + 1): {
            "cell": content["cells"][epoch],
            "cell_without_none": content["cells_without_none"][epoch],
            "weights": {name: values[epoch] for name, values in content["weights"].items()},
            **{name: content["curves"][name][epoch] for name in COMPARED},
        }
        for epoch in range(record.epochs)
    }


def _programs(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """What may explain a difference."""
    recorded, here = _program(then), _program(now)
    if recorded == here:
        return f"Both with {here}."
    return f"The record is of {recorded}, this run of {here}."


def _program(environment: Mapping[str, Any]) -> str:
    torch = f"torch {environment['packages']['torch']}"
    commit = environment.get("commit")
    return f"{torch} at commit {commit[:9]}" if commit else torch


def _word(moment: Moment) -> str:
    what, at = moment
    return f"{what} {at}" if at else what


def _span(common: Sequence[Moment]) -> str:
    epochs = [moment for moment in common if moment[0] == EPOCH]
    words = [_word(moment) for moment in common if moment[0] != EPOCH]
    if len(epochs) == 1:
        words = [_word(epochs[0]), *words]
    elif epochs:
        words = [f"epochs {epochs[0][1]} to {epochs[-1][1]}, {len(epochs)} of them", *words]
    return ", and at ".join(words)

"""Runs as they are compared: their numbers, their curves, and which of them belong together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from darts.config.as_json import differences
from darts.records.plan import FILE as SWEEP
from darts.records.run_folder import Record, RunFolder
from darts.reports.answer import only_checks, right_answers
from darts.reports.measures import measure_in
from darts.reports.settings import option, spelled
from darts.reports.top5 import top5_percent
from darts.spaces import Genotype
from darts.spaces.space import SKIP
from darts.tasks import Classification
from darts.training.full import LATENCY
from darts.training.random_search import SAMPLES, STREAM

TRAINING_IMAGES, TEST_IMAGES = "training images", "test images"
QUANTITIES = (
    ("test_accuracy_percent", "test %"),
    ("test_top5_percent", "test top-5 %"),
    ("val_accuracy_percent", "supernet, val %"),
    ("sample_accuracy_percent", "held-out training images, %"),
    ("test_mae", "test mean absolute error"),
    ("val_mae", "supernet, val mean absolute error"),
    ("test_f1_percent", "test macro F1, %"),
    ("val_f1_percent", "supernet, val macro F1, %"),
    ("params_millions", "parameters, M"),
    ("skips_kept", "skips kept"),
)
"""Name in records of a comparison, head of the column."""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        name: its name in tables.
        folder: folder of its report; None if it has none of its own.
        numbers: the numbers of `QUANTITIES` that the run has.
        search, training: records of its epochs.
        right: whether its network got each test image right; None if that was not recorded.
        images: number of test images.
        inputs: what it was run on and no config says, as `inputs_of` has it.
        seed: the seed of its first stage; None if it is not known.
    """

    name: str
    folder: Path | None
    numbers: dict[str, float]
    search: Sequence[Record] = ()
    training: Sequence[Record] = ()
    right: tuple[bool, ...] | None = None
    images: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None

    @staticmethod
    def of(run: RunFolder, name: str) -> "Entry":
        return Entry(
            name,
            run.path,
            numbers_of(run),
            run.records("search/epochs"),
            run.records("retrain/epochs"),
            right_answers(run),
            run.read("result.json").get("retrain", {}).get("test", {}).get("images", 0),
            inputs_of(run),
            _seed(run.read("config.json")),
        )


@dataclass(frozen=True)
class Group:
    """Runs with the same settings and inputs, seeds apart.

    Attributes:
        name: name of the settings.
        entries: the runs that are finished.
        missing: names of the runs that are not.
        config: config of one of them, as JSON; None if it says nothing.
        inputs: those of one of them, see `inputs_of`.
    """

    name: str
    entries: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
    config: Record | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)

    def values(self, quantity: str) -> list[float]:
        return [e.numbers[quantity] for e in self.entries if quantity in e.numbers]

    def statistics(self) -> Record:
        """By quantity n and every value; mean and sample deviation (n − 1) but of checks."""
        found = {}
        for quantity, _ in QUANTITIES:
            values = self.values(quantity)
            if values:
                found[quantity] = {"n": len(values), "values": values}
                if not self.checks:
                    sd = stdev(values) if len(values) > 1 else None
                    found[quantity] |= {"mean": mean(values), "sd": sd}
        return found

    @property
    def checks(self) -> bool:
        """Whether its preset only checks that everything runs."""
        return self.config is not None and "preset" in self.config and only_checks(self.config)


def inputs_of(run: RunFolder) -> dict[str, str]:
    """Fingerprints of what a run was made with, where its config does not say it.

    That are its images, the genotype that it was given, and the latency table that it counts by. A
    folder of images has one name in a config, whatever lies in it.
    """
    found = {}
    if run.has("data.json"):
        images = run.read("data.json")
        found = {
            words: images[name]
            for words, name in ((TRAINING_IMAGES, "train_digest"), (TEST_IMAGES, "test_digest"))
            if name in images
        }
    given = [("latency table", LATENCY)]
    if run.read("config.json").get("search") is None:
        given.append(("--genotype", "genotype.json"))
    for words, name in given:
        if run.has(name):
            found[words] = sha256(json.dumps(run.read(name), sort_keys=True).encode()).hexdigest()
    return found


def _seed(config: Record) -> int | None:
    stage = config.get("search") or config.get("retrain") or {}
    return stage.get("seed")


def numbers_of(run: RunFolder) -> dict[str, float]:
    """The results of a finished run, by the names of `QUANTITIES`."""
    result = run.read("result.json")
    numbers: dict[str, float] = {}
    if "retrain" in result:
        name = measure_in(result["retrain"]["test"]).name
        numbers[f"test_{name}"] = result["retrain"]["test"][name]
        top5 = top5_percent(run, result["retrain"]["test"])
        if top5 is not None:
            numbers["test_top5_percent"] = top5
        numbers["params_millions"] = result["retrain"]["params_millions"]
    if "search" in result:
        name = measure_in(result["search"]["val"]).name
        numbers[f"val_{name}"] = result["search"]["val"][name]
        numbers["skips_kept"] = skips_kept(result["search"]["genotype"])
    return numbers


def skips_kept(content: Any) -> int:
    """Skip-connects among the operations of all cells of a genotype, given as JSON."""
    cells = Genotype.from_dict(content).cells
    return sum(name == SKIP for cell in cells for name, _ in cell.edges)


def groups_in(folder: Path) -> list[Group]:
    """The runs of a sweep, of seeds, of a random search, or the one run in a folder."""
    here = RunFolder(folder)
    if here.has(SWEEP):
        plan = here.read(SWEEP)
        paths = {
            name: [folder / name / f"seed-{seed}" for seed in plan["seeds"]]
            for name in plan["settings"]
        }
        return [_group(name, paths[name], config) for name, config in plan["settings"].items()]
    if (folder / STREAM).with_suffix(".jsonl").is_file():
        return [_samples(here)]
    seeds = sorted(folder.glob("seed-*"), key=seed_of)
    runs = seeds or [RunFolder.open(folder).path]
    return [_group(folder.name, runs, RunFolder.open(runs[0]).read("config.json"))]


def _group(name: str, paths: Sequence[Path], config: Record) -> Group:
    runs = [RunFolder(path) for path in paths]
    done = [run for run in runs if run.has("result.json")]
    missing = tuple(run.path.name for run in runs if run not in done)
    entries = tuple(Entry.of(run, run.path.name) for run in done)
    begun = next((run for run in runs if run.has("config.json")), None)
    return Group(name, entries, missing, config, inputs_of(begun) if begun is not None else {})


def _samples(search: RunFolder) -> Group:
    """The samples of a random search, best first."""
    entries = []
    for record in search.records(STREAM):
        sample = RunFolder(search.path / SAMPLES / str(record["epoch"]))
        measure = measure_in(record, "val_")
        quantity = "sample" if measure == Classification.measure else "val"
        numbers = {
            f"{quantity}_{measure.name}": record[f"val_{measure.name}"],
            "params_millions": record["params_millions"],
            "skips_kept": skips_kept(record["genotype"]),
        }
        training = sample.records("retrain/epochs")
        entry = Entry(f"sample {record['epoch']}", None, numbers, (), training)
        entries.append((-measure.better(record[f"val_{measure.name}"]), entry))
    entries.sort(key=lambda pair: pair[0])
    return Group("samples", tuple(entry for _, entry in entries))


def gathered(folders: Sequence[Path]) -> list[Group]:
    """The groups in all folders; runs that differ in their seeds alone are one group.

    Groups are called by the settings in which they differ, if these tell them apart, else by their
    folders. A folder that is named twice counts once.
    """
    once = {folder.resolve(): folder for folder in folders}.values()
    found = [group for folder in once for group in groups_in(folder)]
    merged: list[Group] = []
    for group in found:
        for place, other in enumerate(merged):
            if _same(group, other):
                merged[place] = replace(
                    other,
                    entries=(*other.entries, *group.entries),
                    missing=(*other.missing, *group.missing),
                )
                break
        else:
            merged.append(group)
    rows = _differing_options(merged)
    names = [", ".join(values) for values in zip(*(row[1:] for row in rows), strict=True)]
    if not 1 <= len(rows) <= 2 or len(set(names)) < len(names):
        return merged
    return [replace(group, name=name) for group, name in zip(merged, names, strict=True)]


def _same(first: Group, second: Group) -> bool:
    if first.config is None or second.config is None:
        return False
    if any(first.inputs[name] != second.inputs[name] for name in _common(first, second)):
        return False
    changed = differences(first.config, second.config)
    return not [line for line in changed if not _own(line.partition(":")[0])]


def _common(first: Group, second: Group) -> list[str]:
    """The inputs that are known of both."""
    return [name for name in first.inputs if name in second.inputs]


def _own(name: str) -> bool:
    """Whether a setting is a run's own and no part of what is compared."""
    return name == "preset" or name.rpartition(".")[2] in ("seed", "checkpoint_share")


def differing(groups: Sequence[Group]) -> list[list[str]]:
    """Option, then its value in each group, of the settings that are not the same in all.

    After these, inputs that are not the same, by the first digits of their fingerprints.
    """
    rows = _differing_options(groups)
    for name in dict.fromkeys(name for group in groups for name in group.inputs):
        values = [group.inputs.get(name, "–")[:8] for group in groups]
        if len(set(values)) > 1:
            rows.append([name, *values])
    return rows


def _differing_options(groups: Sequence[Group]) -> list[list[str]]:
    configs = [group.config for group in groups if group.config is not None]
    if len(configs) != len(groups) or len(groups) < 2:
        return []
    rows = []
    for stage in ("search", "retrain", "data"):
        parts = [config.get(stage) or {} for config in configs]
        names = list(dict.fromkeys(name for part in parts for name in part))
        for name in names:
            values = [spelled(part[name]) if name in part else "–" for part in parts]
            if len(set(values)) > 1 and name not in ("seed", "checkpoint_share", "root"):
                rows.append([_option(stage, name), *values])
    return rows


def _option(stage: str, name: str) -> str:
    if stage != "data":
        return option(stage, name)
    return "--dataset" if name == "type" else f"--{name.replace('_', '-')}"


def seed_of(path: Path) -> int:
    return int(path.name.removeprefix("seed-"))

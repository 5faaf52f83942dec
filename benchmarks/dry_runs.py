"""A dry run of every preset, each in a process of its own: seconds, memory, multiply-adds.

`python -m benchmarks.dry_runs --data-root DIR [--imagenet DIR] [--memory 6] [--images 8]
[--only PRESET ...] [--out docs/records/dry_runs.json]`
`python -m benchmarks.dry_runs --accuracy digits-check cifar10-s1-check --data-root DIR`: the whole
run beside its dry run, in turns, each in a process of its own.

DIR holds torchvision's folders; --imagenet's holds train/ and val/. A preset that trains a given
genotype trains the one of --genotype. The record is written after every preset; one that it held is
replaced, and each says at which commit it was made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from darts.commands.named import genotype_named
from darts.config.as_json import to_json
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.data import Digits, ImageFolders, RetrainData
from darts.records.environment import describe_environment
from darts.records.run_folder import RunFolder
from darts.training.dry_run import Limits, dry_run
from darts.training.full import require_feasible
from darts.training.measuring import HostMemory
from darts.training.retrain import retrain
from darts.training.search import search

RECORD = Path("docs/records/dry_runs.json")
ACCURACY = Path("docs/records/dry_run_accuracy.json")


def configured(name: str, options: argparse.Namespace) -> FullConfig:
    """A preset with its images where the options say."""
    torch.set_num_threads(1)
    config = PRESETS[name]
    images: Any = config.data
    if isinstance(config.data, ImageFolders):
        config = replace(config, data=replace(images, root=options.imagenet))
    elif not isinstance(config.data, Digits):
        config = replace(config, data=replace(images, root=options.data_root))
    return config


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The dry run of one preset, in this process."""
    config = configured(name, options)
    images = config.data.load()
    require_feasible(config, images)
    genotype = genotype_named(options.genotype) if config.search is None else None
    found = dry_run(
        config, images, limits=Limits(options.memory, options.images), genotype=genotype
    )
    environment = describe_environment("cpu", " ".join(sys.argv))
    del environment["executable"]
    return {
        "environment": environment,
        "config": to_json(config),
        "genotype": None if genotype is None else options.genotype,
        "images": {
            "name": images.name,
            "train": len(images.train),
            "test": len(images.test),
            "classes": images.train.classes,
            "shape": list(images.train.shape),
        },
        **asdict(found),
        "cpu_seconds": found.total("cpu_seconds"),
        "wall_seconds": found.total("wall_seconds"),
        "multiply_adds": found.multiply_adds,
        "peak_bytes": found.peak_bytes,
    }


def real(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The run itself, without baseline and report: its CPU seconds and the process's peak."""
    config = configured(name, options)
    images = config.data.load()
    assert config.search is not None
    assert config.retrain is not None
    memory = HostMemory()
    with tempfile.TemporaryDirectory() as folder:
        environment = describe_environment("cpu", " ".join(sys.argv))
        run = RunFolder.create(Path(folder) / "run", to_json(config), environment, ())
        began = time.process_time()
        halves = config.search.halves(images)
        genotype = search(config.search, halves, run).genotype
        between = time.process_time()
        retrain(config.retrain, genotype, RetrainData.of(images), run)
    seconds = {"search": between - began, "retraining": time.process_time() - between}
    return {"cpu_seconds": seconds, "peak_bytes": memory.peak()}


def compared(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Dry run and run, in turns."""
    found = []
    for _ in range(options.repetitions):
        guess, truth = alone("--one", name, options), alone("--real", name, options)
        seconds: dict[str, float] = {"search": 0.0, "retraining": 0.0}
        for estimate in guess["estimates"]:
            stage = estimate["stage"].split(",")[0]
            seconds[stage] += estimate["times"] * estimate["once"]["cpu_seconds"]
        found.append(
            {
                "commit": guess["environment"]["commit"],
                "estimated": {"cpu_seconds": seconds, "peak_bytes": guess["peak_bytes"]},
                "real": truth,
            }
        )
        print(name, found[-1], flush=True)
    return found


def alone(what: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a process of its own, `what` it is to do with a preset, prints.

    Raises:
        ValueError: it failed; with its last line.
    """
    command = [sys.executable, "-m", "benchmarks.dry_runs", what, name]
    for option in ("data_root", "imagenet", "genotype", "memory", "images"):
        value = getattr(options, option)
        command += [] if value is None else [f"--{option.replace('_', '-')}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root")
    parser.add_argument("--imagenet")
    parser.add_argument("--genotype", default="DARTS_V2")
    parser.add_argument("--memory", type=float, default=6.0)
    parser.add_argument("--images", type=int)
    parser.add_argument("--only", nargs="+", default=list(PRESETS))
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("--one", help="measure this preset here and print its record")
    parser.add_argument("--real", help="make the run of this preset here and print what it took")
    parser.add_argument("--accuracy", nargs="+", help="presets whose runs are made as well")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one, options), ensure_ascii=False))
        return
    if options.real:
        print(json.dumps(real(options.real, options)))
        return
    if options.accuracy:
        for name in options.accuracy:
            pairs = json.loads(ACCURACY.read_text()) if ACCURACY.is_file() else {}
            pairs[name] = compared(name, options)
            ACCURACY.write_text(json.dumps(pairs, indent=1) + "\n")
        return
    record: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    for name in options.only:
        try:
            record[name] = alone("--one", name, options)
        except ValueError as error:
            print(f"{name}: FAILED: {error}", flush=True)
            continue
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        seconds = record[name]["cpu_seconds"]
        hours = "? " if seconds is None else f"{seconds / 3600:.2f} "
        print(f"{name}: {hours}CPU-hours, {record[name]['multiply_adds']:.2e}", flush=True)


if __name__ == "__main__":
    main()

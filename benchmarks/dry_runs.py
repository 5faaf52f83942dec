"""A dry run of every preset, each in a process of its own: seconds, memory, multiply-adds.

`python -m benchmarks.dry_runs --data-root DIR [--imagenet DIR] [--memory 6] [--images 8]
[--only PRESET ...] [--out docs/records/dry_runs.json]`

DIR holds torchvision's folders; --imagenet's holds train/ and val/. A preset that trains a given
genotype trains the one of --genotype. The record is written after every preset; one that it held is
replaced, and each says at which commit it was made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from darts.data import Digits, ImageFolders
from darts.names import genotype_named
from darts.runs.config import to_json
from darts.runs.dry_run import Limits, dry_run
from darts.runs.environment import describe_environment
from darts.runs.full import require_feasible
from darts.runs.presets import PRESETS

RECORD = Path("docs/records/dry_runs.json")


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The dry run of one preset, in this process."""
    torch.set_num_threads(1)
    config = PRESETS[name]
    if isinstance(config.data, ImageFolders):
        config = replace(config, data=replace(config.data, root=options.imagenet))
    elif not isinstance(config.data, Digits):
        config = replace(config, data=replace(config.data, root=options.data_root))
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
        **found.to_record(),
    }


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
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one, options), ensure_ascii=False))
        return
    record: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    for name in options.only:
        command = [sys.executable, "-m", "benchmarks.dry_runs", "--one", name]
        for option in ("data_root", "imagenet", "genotype", "memory", "images"):
            value = getattr(options, option)
            command += [] if value is None else [f"--{option.replace('_', '-')}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: FAILED: {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        record[name] = json.loads(done.stdout.splitlines()[-1])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        hours = record[name]["cpu_seconds"] / 3600
        print(f"{name}: {hours:.2f} CPU-hours, {record[name]['multiply_adds']:.2e}", flush=True)


if __name__ == "__main__":
    main()

"""`darts doctor`: the means of this machine for a run, and the needs of a preset."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from darts.commands.closing import line_of
from darts.commands.command import Command, Invocation
from darts.commands.presets import time_in_words
from darts.config.costs import recorded_costs
from darts.config.full import FullConfig
from darts.data import DataSet
from darts.names import DATA_SETS
from darts.records.environment import describe_environment

EXTRAS = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "fabric": ("lightning_fabric",),
    "sweep": ("ray",),
    "tables": ("pandas",),
}
"""The packages of each extra of the installation."""


@dataclass(frozen=True)
class Doctor(Command):
    """Look at this machine: versions, devices, kernels, disk, and which images are found.

    With --preset it also says what that preset needs; the exit status is 1 if its images are
    missing. Nothing is written.

    Args:
        preset: name of a preset whose needs are told; `darts presets` lists them.
        data_root: folder that images are looked for in, by default data/.
    """

    examples = ("darts doctor", "darts doctor --preset cifar10-s1-tiny --data-root DIR")
    main = "preset data-root"

    preset: str | None = None
    data_root: str = "data"

    def run(self, given: Invocation) -> int:
        preset = given.preset if self.preset else None
        for name, found in _machine():
            print(f"{name:<10} {found}")
        missing = {name: _missing(kind(), self.data_root) for name, kind in DATA_SETS.items()}
        for name, path in missing.items():
            print(f"{'images':<10} {name}: {f'not found, no {path}' if path else 'found'}")
        if preset is None:
            print("next:\n  darts doctor --preset NAME --data-root DIR\n  darts presets")
            return 0
        path = missing[preset.data.name]
        print("\n".join(_needs(preset, path, self.data_root)))
        return 1 if path else 0


def _machine() -> Iterator[tuple[str, str]]:
    found = describe_environment("cpu", "")
    packages = found["packages"]
    yield "version", f"amended-darts {packages['amended-darts']}, Python {found['python']}"
    yield "packages", ", ".join(f"{name} {packages[name]}" for name in ("torch", "numpy", "scipy"))
    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield "devices", f"{found['cpus']} CPUs ({found['processor']}), {', '.join(cards) or 'no GPU'}"
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    yield "compiler", compiler or "none: kernels are not built, and steps are slower"
    yield "kernels", str(found["kernels"])
    yield "disk", f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free in {Path.cwd()}"
    absent = [name for name, needed in EXTRAS.items() if not all(map(find_spec, needed))]
    yield (
        "extras",
        (
            f"not installed: {', '.join(absent)} (pip install 'amended-darts[{','.join(absent)}]')"
            if absent
            else "all installed"
        ),
    )


def _missing(data: DataSet, root: str) -> Path | None:
    """The folder of a set that is not there; None if it is, or needs none."""
    if not hasattr(data, "root"):
        return None
    names = (data.folder,) if hasattr(data, "folder") else ("train", "val")
    return next((Path(root, name) for name in names if not Path(root, name).is_dir()), None)


def _needs(preset: FullConfig, missing: Path | None, root: str) -> Iterator[str]:
    name, data, cost = preset.preset, preset.data, recorded_costs().get(preset.preset)
    command = "retrain --genotype GENOTYPE" if preset.search is None else "full-search"
    root = f" --data-root {root}" if hasattr(data, "root") else ""
    yield f"{name} needs:"
    if missing is not None:
        remedy = f"add --download, or give --data-root the folder that holds {missing.name}/"
        yield f"  images: {data.name}, not found; {remedy}"
    else:
        yield f"  images: {data.name}, found"
    if cost is None:
        yield "  time and memory: not recorded; the dry run below measures them here"
    else:
        memory = f", and {cost['memory_gib']:.1f} GiB of memory" if "memory_gib" in cost else ""
        time = time_in_words(cost["hours"])
        yield f"  time: about {time} of {cost['hardware']}{memory}, an estimate"
    line = f"  {line_of(())} {command} --preset {name}{root}"
    yield f"next:\n{line} --dry-run\n{line}"

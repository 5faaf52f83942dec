"""The environment of a run: versions, machine, commit, command."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from darts.kernels import kernels
from darts.records.packages import version_of

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "optree", "amended-darts")


def describe_environment(device: str, command: str) -> dict[str, Any]:
    """Everything beside the config that can change a run's numbers."""
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "commit": _commit(),
        "system": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "device": device,
        **_rounding(device),
        "executable": sys.executable,
    }


def changes_since(environment: Mapping[str, Any], device: str) -> list[str]:
    """What rounds otherwise here than where a run began, in words; of what its record has."""
    now = {**_rounding(device), "torch": version_of("torch")}
    packages = environment.get("packages")
    then = {**environment, **(packages if isinstance(packages, dict) else {})}
    return [
        f"{name.replace('_', ' ')} {then[name]}, now {value}"
        for name, value in now.items()
        if then.get(name, value) != value
    ]


def _rounding(device: str) -> dict[str, Any]:
    """By what sums are rounded, beside the version of PyTorch."""
    return {
        "instructions": _instructions(),
        "torch_threads": torch.get_num_threads(),
        "kernels": kernels().reason,
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU",
    }


def _commit() -> str:
    """The commit of this source tree, with "+ changes" if files differ from it."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not run from a git checkout"
    return f"{head} + changes" if changed else head


def _instructions() -> str:
    """The widest that PyTorch and the kernels use, e.g. "AVX2", and oneDNN's limit if set."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    widest = torch.backends.cpu.get_cpu_capability()
    return f"{widest}, oneDNN at most {limit}" if limit else widest


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

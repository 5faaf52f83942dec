"""Records of benchmarks: spreads, what made them, and files that parts are added to."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

import torch

from darts.kernels import kernels


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def commit() -> str:
    """The commit at hand; empty where there is no git, or no repository."""
    git = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def circumstances() -> dict[str, Any]:
    """The commit and the programs that a figure belongs to."""
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "kernels": kernels().reason,
        "threads": torch.get_num_threads(),
    }


def merge(path: Path, part: dict[str, Any]) -> None:
    """Put `part` into the record at `path`, beside what it has; each key says what made it."""
    record = json.loads(path.read_text()) if path.exists() else {}
    made = circumstances()
    record.update(part)
    record.setdefault("made", {}).update(dict.fromkeys(part, made))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")

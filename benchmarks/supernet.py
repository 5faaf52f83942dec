"""Steps of the S1 supernet beside the plain reference: CPU seconds, memory, how cost grows.

`python -m benchmarks.supernet [--batch 16,64] [--repetitions 3] [--out docs/records/supernet.json]`
measures in one process, one thread, cases in turns, process CPU time. Memory is the growth of a
fresh process's peak resident size over one call, a process a case.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector
from bilevel.estimators import Amended, Certified, ConjugateGradient, DartsSecondOrder, Estimator
from bilevel.reverse_over_forward import ReverseOverForward
from darts.kernels import kernels
from darts.networks import Architecture, Supernet
from darts.networks.adapter import SupernetAdapter
from darts.spaces import S1
from tests.reference_supernet import ReferenceSupernet

RECORD = Path("docs/records/supernet.json")
UNIT = "weight step"
REFERENCE = "reference: weight step"
SLOW = ("amended, Autograd", "CG-5", "certified", "reference: DARTS second order")
Case = Callable[[], Any]


def batch(size: int, seed: int, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, side, side, generator=generator)
    return images, torch.randint(0, 10, (size,), generator=generator)


def ours(size: int, channels: int = 16, cells: int = 8) -> dict[str, Case]:
    """Every kind of step of the project's supernet."""
    torch.manual_seed(0)
    architecture = Architecture(S1)
    alpha = architecture.initial(0)
    supernet = Supernet(S1, channels=channels, cells=cells)
    adapter = SupernetAdapter(supernet, architecture, weight_decay=3e-4)
    problem = adapter.problem(batch(size, 1), batch(size, 2), seed=0)
    omega = adapter.omega
    at, hyper = Vector.of(omega).detach(), Vector.of(alpha).detach()
    mixing = architecture.mixing(alpha)
    exact, difference = ReverseOverForward(), CentralDifference(0.1)

    def estimate(estimator: Estimator) -> Case:
        return lambda: estimator(problem, omega, alpha)

    def forward() -> Any:
        with torch.no_grad():
            return supernet(batch(size, 1)[0], mixing)

    return {
        "forward": forward,
        UNIT: lambda: problem.inner_gradient(at, hyper),
        "first-order α step": lambda: problem.outer_gradient_alpha(at, hyper),
        "DARTS second order, differences": estimate(
            DartsSecondOrder(xi=0.025, derivatives=CentralDifference(0.01))
        ),
        "amended, exact": estimate(Amended(0.1, derivatives=exact)),
        "amended, Autograd": estimate(Amended(0.1, derivatives=Autograd())),
        "amended, differences": estimate(Amended(0.1, derivatives=difference)),
        "CG-5": estimate(ConjugateGradient(5, tolerance=None, damping=1.0, derivatives=exact)),
        "certified": estimate(Certified(cosine=0.5, products=6, derivatives=exact)),
    }


def reference(size: int) -> dict[str, Case]:
    """The steps of the original design: contiguous NCHW, everything stacked, differences."""
    torch.manual_seed(0)
    architecture = Architecture(S1)
    alpha = architecture.initial(0)
    module = ReferenceSupernet(S1.edges, S1.operations)
    train, val = batch(size, 1), batch(size, 2)

    def loss(data: tuple[torch.Tensor, torch.Tensor]) -> Any:
        return lambda net, a: F.cross_entropy(net(data[0], architecture.mixing(a)), data[1])

    problem, omega, _ = BilevelProblem.from_module(
        module, loss(train), loss(val), hyperparams=alpha
    )
    at, hyper = Vector.of(omega).detach(), Vector.of(alpha).detach()
    second = DartsSecondOrder(xi=0.025, derivatives=CentralDifference(0.01))
    return {
        REFERENCE: lambda: problem.inner_gradient(at, hyper),
        "reference: first-order α step": lambda: problem.outer_gradient_alpha(at, hyper),
        "reference: DARTS second order": lambda: second(problem, omega, alpha),
    }


def timed(cases: dict[str, Case], repetitions: int) -> dict[str, list[float]]:
    """CPU seconds of every case, in turns, after one call of each that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(repetitions + 1):
        for name, case in cases.items():
            began = time.process_time()
            result = case()
            spent = time.process_time() - began
            del result
            if turn:
                seconds[name].append(spent)
    return seconds


def rows(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Median, lowest and highest of the seconds, and of the ratios to the own weight step."""
    found = {}
    for name, values in seconds.items():
        row = {"seconds": spread(values), "n": len(values)}
        for unit in (UNIT, REFERENCE):
            if unit in seconds:
                pairs = zip(values, seconds[unit], strict=True)
                row[f"in units of {unit}"] = spread([a / b for a, b in pairs])
        found[name] = row
    return found


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def peak_mib(name: str, size: int) -> float:
    """Growth of a fresh process's peak resident size over one call of a case, MiB."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.supernet",
        "--memory-of",
        name,
        "--batch",
        str(size),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def own_peak_mib(name: str, size: int) -> float:
    case = (reference(size) if name.startswith("reference") else ours(size))[name]
    before = peak_resident_mib()
    case()
    return peak_resident_mib() - before


def peak_resident_mib() -> float:
    """The largest resident size of this process, MiB, on Linux.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def growth(repetitions: int) -> dict[str, dict[str, float]]:
    """Slopes d log seconds / d log size of the weight step and of the exact amended step."""
    settings = {
        "batch": [(b, 16, 3) for b in (8, 16, 32)],
        "channels": [(8, c, 3) for c in (16, 32, 64)],
        "cells": [(8, 16, n) for n in (3, 6, 12)],
    }
    found: dict[str, dict[str, float]] = {}
    for what, points in settings.items():
        cases = {
            f"{name} {i}": case
            for i, (b, c, n) in enumerate(points)
            for name, case in ours(b, c, n).items()
            if name in (UNIT, "amended, exact")
        }
        seconds = {k: statistics.median(v) for k, v in timed(cases, repetitions).items()}
        found[what] = {  # the last size is four times the first
            name: math.log(seconds[f"{name} 2"] / seconds[f"{name} 0"]) / math.log(4)
            for name in (UNIT, "amended, exact")
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", default="16,64")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("--memory-of")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [int(size) for size in options.batch.split(",")]
    if options.memory_of:
        print(own_peak_mib(options.memory_of, sizes[0]))
        return
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    record: dict[str, Any] = {
        "commit": commit.strip(),
        "torch": torch.__version__,
        "kernels": kernels().reason,
        "threads": 1,
        "network": "S1, 16 channels, 8 cells, 32×32",
        "batches": {},
    }

    def save() -> None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")

    for size in sizes:
        cases = ours(size) | reference(size)
        if size > 16:  # minutes each
            cases = {name: case for name, case in cases.items() if name not in SLOW}
        part: dict[str, Any] = {"steps": rows(timed(cases, options.repetitions))}
        del cases
        record["batches"][str(size)] = part
        save()
        names = (UNIT, "amended, exact", "amended, differences", REFERENCE)
        part["peak MiB"] = {name: peak_mib(name, size) for name in names}
        save()
    record["slopes"] = growth(options.repetitions)
    save()
    print(options.out)


if __name__ == "__main__":
    main()

"""Time and memory of every estimator against the number n of inner parameters, 10⁴ to 10⁷.

`python -m benchmarks.big_omega [record.json]` measures, each case in a process of its own;
`python -m benchmarks.big_omega --plot record.json figure.png` draws. CPU, float32, one thread.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from bilevel import BilevelProblem
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    DartsSecondOrder,
    Estimator,
    Exact,
    FirstOrder,
    HypergradientWarning,
    Identity,
    Landweber,
    Minres,
    Neumann,
    Nystrom,
    Penalty,
    Unrolled,
)
from darts.training.measuring import process_bytes

SIZES = (10**4, 10**5, 10**6, 10**7)
ESTIMATORS: dict[str, Estimator] = {
    "FirstOrder": FirstOrder(),
    "Identity": Identity(0.1),
    "DartsSecondOrder": DartsSecondOrder(0.1),
    "Amended": Amended(0.1),
    "Neumann(5)": Neumann(5, 0.1),
    "Landweber(3)": Landweber(3, 0.01),
    "ConjugateGradient(5)": ConjugateGradient(5, tolerance=None),
    "Minres(5)": Minres(5, tolerance=None),
    "Nystrom(5)": Nystrom(5, 1.0, tolerance=None),
    "Unrolled(5)": Unrolled(5, 0.1),
    "Penalty(5)": Penalty(100.0, 5, 0.1),
    "Certified(products=10)": Certified(0.9, 1.0, 10),
}


def problem(n: int) -> tuple[BilevelProblem, Any, Any]:
    """A chain of smooth terms with coupled neighbours, in ten leaves; κ about 5, m = 4."""
    generator = torch.Generator().manual_seed(0)
    leaves = [torch.randn(n // 10, generator=generator) * 0.1 for _ in range(10)]
    alpha = torch.full((4,), 0.5)

    def inner(w: Any, a: torch.Tensor) -> torch.Tensor:
        total = a.sum() * 0
        for number, leaf in enumerate(w):
            pull = a[number % 4]
            total = total + (0.5 * leaf.square() + torch.cosh(leaf - pull)).sum()
            total = total + 0.5 * (leaf[1:] - leaf[:-1]).square().sum()
        return total / n

    def outer(w: Any, a: torch.Tensor) -> torch.Tensor:
        return sum((leaf - 1).square().sum() for leaf in w) / n

    # times n: the curvature of one coordinate is then of order 1
    return BilevelProblem(lambda w, a: n * inner(w, a), outer), leaves, alpha


def peak_mib() -> float:
    """The largest resident size of this process so far."""
    return process_bytes("VmHWM") / 2**20


def measure(name: str, n: int) -> dict[str, Any]:
    """Seconds of the best of three calls, and MiB above what the problem itself takes."""
    torch.set_num_threads(1)
    case = problem(n)
    before = peak_mib()
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypergradientWarning)
        for _ in range(3):
            begun = time.perf_counter()
            result = ESTIMATORS[name](*case)
            seconds.append(time.perf_counter() - begun)
    assert torch.isfinite(result.total).all()
    return {
        "estimator": name,
        "n": n,
        "wall_seconds": min(seconds),
        "peak_mib_added": peak_mib() - before,
        "vectors_of_n": (peak_mib() - before) * 2**20 / (4 * n),
    }


def exponent(rows: list[dict[str, Any]], quantity: str) -> float:
    """The slope of log(quantity) over log(n) between the two largest sizes."""
    first, second = sorted(rows, key=lambda row: row["n"])[-2:]
    return math.log(second[quantity] / first[quantity]) / math.log(second["n"] / first["n"])


def refusal(n: int) -> str:
    """What Exact says of a problem of this size."""
    try:
        Exact()(*problem(n))
    except ValueError as error:
        return str(error)
    raise AssertionError(f"Exact took {n} parameters")


def plot(record: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    titles = {"wall_seconds": "seconds a hypergradient", "peak_mib_added": "MiB above the problem"}
    colours = [plt.get_cmap("tab20")(k) for k in range(20)]
    for axis, (quantity, title) in zip(axes, titles.items(), strict=True):
        for colour, name in zip(colours, ESTIMATORS, strict=False):
            rows = [row for row in record["rows"] if row["estimator"] == name]
            sizes, values = [row["n"] for row in rows], [row[quantity] for row in rows]
            axis.loglog(sizes, values, "o-", ms=3, color=colour, label=name)
        axis.set(xlabel="n, inner parameters", title=title)
        low, high = SIZES[0], SIZES[-1]
        end = max(row[quantity] for row in record["rows"])
        axis.loglog([low, high], [end * low / high, end], "k:", label="slope 1")
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    figure.savefig(path, dpi=150)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--one"]:
        print(json.dumps(measure(arguments[1], int(arguments[2]))))
        return
    if arguments[:1] == ["--plot"]:
        plot(json.loads(Path(arguments[1]).read_text()), Path(arguments[2]))
        return
    path = Path(arguments[0] if arguments else "docs/records/big_omega.json")
    rows = []
    for name in ESTIMATORS:
        for n in SIZES:
            command = [sys.executable, "-m", "benchmarks.big_omega", "--one", name, str(n)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
            print(rows[-1], flush=True)
    exponents = {
        name: {
            quantity: exponent([r for r in rows if r["estimator"] == name], quantity)
            for quantity in ("wall_seconds", "peak_mib_added")
        }
        for name in ESTIMATORS
    }
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    record = {
        "command": "python -m benchmarks.big_omega",
        "commit": commit,
        "torch": torch.__version__,
        "dtype": "float32",
        "threads": 1,
        "rows": rows,
        "exponents_1e6_to_1e7": exponents,
        "exact_at_1e5": refusal(10**5),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

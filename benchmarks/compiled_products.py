"""What PyTorch's compilers make of a Hessian product, beside jitted JAX.

`python -m benchmarks.compiled_products [record.json] [repetitions]`

The linear map v ↦ Hv is `torch.func.linearize` of `torch.func.grad`, compiled by inductor with its
C++ wrapper, or exported and compiled ahead of time (AOTInductor). All products of a problem are
timed in turns in one process on one core, each as the time of a product more: (220 products less
20) / 200. Each is compared with `Autograd` first. "matrix products alone" are those of the linear
map, by `torch.mm`: what no compiler goes below that leaves them to PyTorch.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.estimators import CPU, problems
from benchmarks.peers import PEERS, jax_products
from benchmarks.records import merge
from bilevel import Autograd, Vector, relative_error
from bilevel.diagnostics.cost import Ratio, interleaved_seconds
from bilevel.problems import ReadyProblem

RECORD = Path("docs/records/compiled_products.json")
FEW, MANY = 20, 220
Leaves = tuple[Tensor, ...]
Product = Callable[..., Leaves]


def linearised(ready: ReadyProblem) -> Product:
    """v ↦ Hv on the leaves of ω, with all that does not depend on v computed."""
    omega, alpha = Vector.of(ready.params).detach(), Vector.of(ready.hyperparams).detach()

    def inner(*leaves: Tensor) -> Tensor:
        return ready.problem.inner(Vector(leaves, omega.treespec).tree(), alpha.tree())

    gradient = torch.func.grad(inner, argnums=tuple(range(len(omega.leaves))))
    product: Product = torch.func.linearize(gradient, *omega.leaves)[1]
    return product


def by_inductor(product: Product, example: Leaves) -> Product:
    """Compiled as it is called, with the C++ wrapper."""
    compiled = torch.compile(product, options={"cpp_wrapper": True})
    with torch.no_grad():
        compiled(*example)
    return compiled


def ahead_of_time(product: Product, example: Leaves) -> Product:
    """Exported, compiled to a library, and run by its own runner."""

    class Exported(torch.nn.Module):
        def forward(self, *leaves: Tensor) -> Leaves:
            return tuple(product(*leaves))

    exported = torch.export.export(Exported(), example)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "product.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=path)
        runner = torch._inductor.aoti_load_package(path).loader
    return lambda *leaves: tuple(runner.boxed_run(list(leaves)))


class _MatrixProducts(TorchDispatchMode):
    """Notes the factors of every matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.mm.default:
            self.factors.append((args[0], args[1]))
        return func(*args, **(kwargs or {}))


def matrix_products(product: Product, example: Leaves) -> Product:
    """The matrix products of the linear map and nothing else."""
    with _MatrixProducts() as noted:
        product(*example)
    return lambda *_: tuple(a @ b for a, b in noted.factors)


def measure(ready: ReadyProblem, repetitions: int) -> dict[str, Any]:
    """Microseconds of a product by every way, and in units of JAX's."""
    omega, alpha = Vector.of(ready.params).detach(), Vector.of(ready.hyperparams).detach()
    plain = Autograd()(ready.problem, omega, alpha).hessian
    v = omega.like(torch.ones(omega.numel, dtype=omega.dtype))
    expected = plain @ v
    product = linearised(ready)
    ways: dict[str, Product] = {
        "Autograd()": lambda *leaves: (plain @ Vector(leaves, omega.treespec)).leaves,
        "linearize": product,
    }
    for name, make in (("inductor, C++ wrapper", by_inductor), ("AOTInductor", ahead_of_time)):
        ways[name] = make(product, v.leaves)
    errors = {
        name: relative_error(Vector(tuple(way(*v.leaves)), omega.treespec), expected)
        for name, way in ways.items()
    }
    ways["matrix products alone"] = matrix_products(product, v.leaves)

    def loop(way: Product, count: int) -> Callable[[], None]:
        @torch.no_grad()
        def run() -> None:
            for _ in range(count):
                way(*v.leaves)

        return run

    calls: list[Callable[[], Any]] = [loop(way, n) for way in ways.values() for n in (FEW, MANY)]
    calls += [jax_products(ready, n) for n in (FEW, MANY)]
    for call in calls:
        call()
    seconds = interleaved_seconds(calls, repetitions=repetitions, device=CPU)
    each = {
        name: _a_product_more(seconds[2 * i], seconds[2 * i + 1])
        for i, name in enumerate((*ways, "jitted JAX"))
    }
    return {
        "n": repetitions,
        "relative error": errors,
        "microseconds": {name: 1e6 * median(taken) for name, taken in each.items()},
        "in units of jitted JAX": {
            name: asdict(Ratio.of(taken, each["jitted JAX"])) for name, taken in each.items()
        },
    }


def _a_product_more(few: Sequence[float], many: Sequence[float]) -> list[float]:
    return [(b - a) / (MANY - FEW) for a, b in zip(few, many, strict=True)]


def main() -> None:
    warnings.simplefilter("ignore")
    if (why := PEERS[0].missing()) is not None:
        raise SystemExit(f"{why}: pip install jax jaxopt")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 21
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # JAX's pool would else count as time of ours
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name, ready in problems().items():
        found = measure(ready, repetitions)
        merge(path, {name: found})
        print(name, json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

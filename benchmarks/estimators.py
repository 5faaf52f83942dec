"""Estimators beside public libraries: accuracy against products, time and memory, in one process.

`python -m benchmarks.estimators [docs/records/estimators.json]` writes the record; `python -m
benchmarks.plots` draws it. Libraries that are not installed are rows with the reason.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import PEERS, Peer, jax_products
from bilevel import Autograd, BilevelProblem, Vector, relative_error
from bilevel.diagnostics.cost import Ratio, counted, interleaved_seconds, peak_bytes
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    Estimator,
    Exact,
    FirstOrder,
    HypergradientWarning,
    Identity,
    Landweber,
    Minres,
    Neumann,
    Nystrom,
    NystromPreconditioner,
)
from bilevel.krylov.cg import conjugate_gradient
from bilevel.problems import ReadyProblem, logistic_regression, mlp_cleaning, quadratic

RECORD = Path("docs/records/estimators.json")
CPU = torch.device("cpu")
LOOP = 20
HAND_WRITTEN = f"hand-written CG, {LOOP}"
Call = Callable[[], Any]
BARS = {"logreg": 37, "mlp_clean": 183}
ACCURACY = 2e-5


def problems() -> dict[str, ReadyProblem]:
    """The two problems, at inner solutions with ‖∇_ω L_train‖ ≤ 1e-14."""
    return {
        "logreg": logistic_regression().at_inner_solution(tolerance=1e-14),
        "mlp_clean": mlp_cleaning().at_inner_solution(tolerance=1e-14),
    }


def ours() -> dict[str, Estimator]:
    """The family, by name."""
    return {
        "first order": FirstOrder(),
        "identity, η = 1": Identity(1.0),
        "amended, η = 0.1": Amended(0.1),
        "Neumann, 20 terms": Neumann(20, 1.0, tolerance=None),
        "Landweber, 20 terms": Landweber(20, tolerance=None),
        "CG, 5": ConjugateGradient(5, tolerance=None),
        "CG, 20": ConjugateGradient(20, tolerance=None),
        "CG to 1e-5": ConjugateGradient(1000, tolerance=1e-5),
        "CG to 5e-6, Nyström 40": ConjugateGradient(
            1000, tolerance=5e-6, preconditioner=NystromPreconditioner(40)
        ),
        "MINRES to 1e-5": Minres(1000, tolerance=1e-5),
        "Nyström 100, ρ = 0.01": Nystrom(100, damping=0.01, tolerance=None),
        "certified, cos 0.99": Certified(cosine=0.99),
        "certified, cos 0.99, μ guessed": Certified(cosine=0.99, failure_probability=None),
    }


def hand_written(problem: BilevelProblem, omega: Vector, alpha: Vector, steps: int) -> Vector:
    """g₂ by the plainest conjugate gradients on one retained graph: the unit of time."""
    w = [leaf.detach().requires_grad_() for leaf in omega.leaves]
    a = [leaf.detach().requires_grad_() for leaf in alpha.leaves]
    at, hyper = Vector(tuple(w), omega.treespec), Vector(tuple(a), alpha.treespec)
    outer = problem.outer(at.tree(), hyper.tree())
    grads = torch.autograd.grad(outer, w + a, materialize_grads=True, allow_unused=True)
    gradient = torch.autograd.grad(problem.inner(at.tree(), hyper.tree()), w, create_graph=True)
    q = [torch.zeros_like(leaf) for leaf in w]
    r = list(grads[: len(w)])
    p, energy = r, inner_product(r, r)
    for _ in range(steps):
        image = torch.autograd.grad(gradient, w, p, retain_graph=True)
        step = energy / inner_product(p, image)
        q = [x + step * y for x, y in zip(q, p, strict=True)]
        r = [x - step * y for x, y in zip(r, image, strict=True)]
        before, energy = energy, inner_product(r, r)
        p = [x + energy / before * y for x, y in zip(r, p, strict=True)]
    mixed = torch.autograd.grad(gradient, a, q)
    return Vector(tuple(-leaf for leaf in mixed), alpha.treespec)


def inner_product(x: Any, y: Any) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(x, y, strict=True)]).sum()


@dataclass(frozen=True)
class Setting:
    """A problem, its point and its truth."""

    name: str
    ready: ReadyProblem
    omega: Vector
    alpha: Vector
    truth: Vector


def measure(setting: Setting, repetitions: int) -> list[dict[str, Any]]:
    """All rows of one problem, timed in turns against the hand-written loop."""
    calls: dict[str, Call] = {}
    rows = [
        loop_row(setting, calls),
        *(own_row(setting, name, estimator, calls) for name, estimator in ours().items()),
        *(peer_row(setting, peer, calls) for peer in PEERS),
    ]
    for call in calls.values():  # TorchScript rewrites itself in its first runs
        call(), call()
    measured = interleaved_seconds(list(calls.values()), repetitions=repetitions, device=CPU)
    seconds = dict(zip(calls, measured, strict=True))
    for row in rows:
        if row["name"] in calls:
            ratio = Ratio.of(seconds[row["name"]], seconds[HAND_WRITTEN])
            row["time"] = {"median": ratio.median, "low": ratio.low, "high": ratio.high}
            if "jaxopt" not in row["name"]:  # torch does not see its memory
                row["peak_bytes"] = peak_bytes(calls[row["name"]], CPU)
    return rows


def loop_row(setting: Setting, calls: dict[str, Call]) -> dict[str, Any]:
    """The hand-written loop; it joins `calls`."""
    call = partial(hand_written, setting.ready.problem, setting.omega, setting.alpha, LOOP)
    calls[HAND_WRITTEN] = call
    return {
        "name": HAND_WRITTEN,
        "source": "loop",
        "hessian_products": LOOP,
        "error": relative_error(call(), setting.truth),
    }


def own_row(
    setting: Setting, name: str, estimator: Estimator, calls: dict[str, Call]
) -> dict[str, Any]:
    """An estimator of this project; it joins `calls`."""
    point = setting.ready.point
    watched, problem, count = counted(estimator, setting.ready.problem)
    began = time.process_time()
    result = watched(problem, *point[1:])
    first = time.process_time() - began
    calls[name] = partial(estimator, *point)
    return {
        "name": name,
        "source": "this project",
        "hessian_products": count.hessian_products,
        "mixed_products": count.mixed_products,
        "error": relative_error(result.implicit, setting.truth),
        "first_call_seconds": first,
    }


def peer_row(setting: Setting, peer: Peer, calls: dict[str, Call]) -> dict[str, Any]:
    """A public library; it joins `calls` if it is here and does not fail."""
    head = {"name": peer.name, "source": peer.package}
    if peer.missing() or setting.name not in peer.problems:
        return {**head, "skipped": peer.missing() or "this problem is not written in it"}
    try:
        began = time.process_time()
        call = peer.make(setting.ready, LOOP)
        found = call()
        first = time.process_time() - began
    except Exception as error:  # a peer's failure is its row
        return {**head, "skipped": f"raised {error!r}"[:300]}
    calls[peer.name] = call
    return {
        **head,
        "version": importlib.metadata.version(peer.package),
        "hessian_products": LOOP,
        "error": relative_error(setting.truth.like(found.reshape(-1)), setting.truth),
        "first_call_seconds": first,
    }


def product_times(setting: Setting, repetitions: int) -> dict[str, Any]:
    """One Hessian product: ours, 20 at once, and JAX's, against `autograd.grad` written out."""
    problem, omega, alpha = setting.ready.problem, setting.omega, setting.alpha
    w = [leaf.detach().requires_grad_() for leaf in omega.leaves]
    value = problem.inner(Vector(tuple(w), omega.treespec).tree(), alpha.tree())
    gradient = torch.autograd.grad(value, w, create_graph=True)
    v = omega.like(torch.ones(omega.numel, dtype=omega.dtype))
    plain = Autograd()(problem, omega, alpha).hessian
    batched = Autograd(chunk=LOOP)(problem, omega, alpha).hessian
    many = torch.ones(LOOP, omega.numel, dtype=omega.dtype)
    bare = lambda: torch.autograd.grad(gradient, w, v.leaves, retain_graph=True)  # noqa: E731
    calls: dict[str, Call] = {
        "autograd.grad": lambda: [bare() for _ in range(LOOP)],
        "Autograd()": lambda: [plain @ v for _ in range(LOOP)],
        "Autograd(chunk=20)": lambda: batched.many(many),
    }
    if PEERS[0].missing() is None:
        calls["jitted JAX"] = jax_products(setting.ready, LOOP)
    for call in calls.values():
        call()
    measured = interleaved_seconds(list(calls.values()), repetitions=repetitions, device=CPU)
    seconds = dict(zip(calls, measured, strict=True))
    ratios = {
        name: asdict(Ratio.of(taken, seconds["autograd.grad"])) for name, taken in seconds.items()
    }
    return {"ratios": ratios}


def products_needed(seed: int) -> dict[str, Any]:
    """Hessian products until g₂ is within ACCURACY, on mlp_clean of another seed: its κ varies."""
    ready = mlp_cleaning(seed=seed).at_inner_solution(tolerance=1e-14)
    omega, alpha = Vector.of(ready.params).detach(), Vector.of(ready.hyperparams).detach()
    curvature = Autograd(chunk=LOOP)(ready.problem, omega, alpha)
    slope = ready.problem.outer_gradients(omega, alpha)[1].flat()
    hessian = curvature.hessian.dense()
    eigenvalues = torch.linalg.eigvalsh(hessian)
    truth = curvature.mixed @ omega.like(torch.linalg.solve(hessian, slope))
    found: dict[str, Any] = {"seed": seed, "kappa": float(eigenvalues[-1] / eigenvalues[0])}
    for name, preconditioner in (("CG", None), ("CG, Nyström 40", NystromPreconditioner(40))):
        precondition, spent = (
            (None, 0) if preconditioner is None else preconditioner(curvature.hessian)
        )
        run = conjugate_gradient(lambda x: hessian @ x, slope, precondition=precondition)
        for iterate in run:
            estimate = curvature.mixed @ omega.like(iterate.value)
            if relative_error(estimate, truth) <= ACCURACY:
                found[name] = spent + iterate.products
                break
    return found


def indefinite_warnings(count: int = 100) -> dict[str, int]:
    """Of `count` indefinite quadratics, how often CG to 1e-8 warns of it."""
    warned = 0
    for seed in range(count):
        ready = quadratic(20, 3, condition=100.0, negative=1 + seed % 19, seed=seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ConjugateGradient(200, tolerance=1e-8)(*ready.point)
        kinds = {
            w.category.__name__ for w in caught if issubclass(w.category, HypergradientWarning)
        }
        warned += "NotPositiveDefinite" in kinds
    return {"problems": count, "warned": warned}


def run(repetitions: int) -> dict[str, Any]:
    """The whole record."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # JAX's pool and BLAS's would else count as time of ours
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    record: dict[str, Any] = {
        "problems": {},
        "repetitions": repetitions,
        "torch": torch.__version__,
    }
    for name, ready in problems().items():
        omega, alpha = Vector.of(ready.params).detach(), Vector.of(ready.hyperparams).detach()
        truth = Vector.of(Exact()(*ready.point).implicit)
        setting = Setting(name, ready, omega, alpha, truth)
        record["problems"][name] = {
            "sizes": ready.sizes,
            "rows": measure(setting, repetitions),
            "products": product_times(setting, repetitions),
        }
    record["mlp_clean_seeds"] = [products_needed(seed) for seed in range(10)]
    record["indefinite"] = indefinite_warnings()
    record["bars"] = bars(record)
    return record


def bars(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked for beside what was measured."""
    found = []
    for name, limit in BARS.items():
        rows = {row["name"]: row for row in record["problems"][name]["rows"]}
        for method in ("CG to 1e-5", "CG to 5e-6, Nyström 40"):
            row = rows[method]
            found.append(
                {
                    "bar": f"{name}: error ≤ {ACCURACY} in ≤ {limit} products, {method}",
                    "measured": [row["error"], row["hessian_products"]],
                    "met": row["error"] <= ACCURACY and row["hessian_products"] <= limit,
                }
            )
        loop, ours_ = rows[HAND_WRITTEN], rows["CG, 20"]
        memory = ours_["peak_bytes"] / loop["peak_bytes"]
        found.append(
            {"bar": f"{name}: memory ≤ 1.05 × loop", "measured": memory, "met": memory <= 1.05}
        )
        ratio = ours_["time"]["median"]
        found.append(
            {
                "bar": f"{name}: time ≤ 1.05 × loop, CG, 20",
                "measured": ratio,
                "met": ratio <= 1.05,
            }
        )
    seeds = record["mlp_clean_seeds"]
    for method in ("CG", "CG, Nyström 40"):
        counts = [row[method] for row in seeds]
        within = sum(count <= BARS["mlp_clean"] for count in counts)
        found.append(
            {
                "bar": f"mlp_clean, {len(seeds)} seeds: error ≤ {ACCURACY} in ≤ "
                f"{BARS['mlp_clean']} products, {method}",
                "measured": [min(counts), median(counts), max(counts), within],
                "met": within == len(seeds),
            }
        )
    share = record["indefinite"]["warned"] / record["indefinite"]["problems"]
    found.append({"bar": "warns in all indefinite cases", "measured": share, "met": share == 1})
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD
    record = run(repetitions=int(sys.argv[2]) if len(sys.argv) > 2 else 15)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    record["commit"] = commit.stdout.strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    for name, part in record["problems"].items():
        for row in part["rows"]:
            print(name, {k: v for k, v in row.items() if k not in ("source",)})
        print(name, part["products"])
    for line in (*record["mlp_clean_seeds"], *record["bars"]):
        print(line)


if __name__ == "__main__":
    main()

"""What every example shows at the end: the same problem solved with each estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from rich.console import Console
from rich.table import Table
from torch.optim import SGD, Adam

from bilevel import solve
from bilevel.estimators import (
    Amended,
    Certified,
    ConjugateGradient,
    DartsSecondOrder,
    Estimator,
    FirstOrder,
    Identity,
)
from bilevel.problem import NonFiniteError
from bilevel.problems import ReadyProblem
from bilevel.vector import Tree

FAMILY: Mapping[str, Estimator] = {
    "first order": FirstOrder(),
    "identity, η = 1": Identity(1.0),
    "DARTS second order": DartsSecondOrder(),
    "amended, η = 0.1": Amended(0.1),
    "amended, η = 1": Amended(1.0),
    "CG, 10": ConjugateGradient(10, tolerance=None, stationary=None),
    "certified": Certified(cosine=0.9, products=100, failure_probability=None, stationary=None),
}


def outcomes(
    ready: ReadyProblem,
    score: Callable[[Tree, Tree], Mapping[str, float]],
    *,
    steps: int,
    outer_rate: float,
    inner_rate: float = 0.5,
    inner_steps: int = 5,
) -> dict[str, Mapping[str, float]]:
    """`score(ω, α)` before and after `steps` alternating steps from one start, per estimator."""
    found: dict[str, Mapping[str, float]] = {"start": score(ready.params, ready.hyperparams)}
    for name, estimator in FAMILY.items():
        try:
            solution = solve(
                ready.problem,
                estimator,
                ready.params,
                ready.hyperparams,
                inner=lambda ps: SGD(ps, lr=inner_rate, momentum=0.5),
                outer=lambda ps: Adam(ps, lr=outer_rate),
                steps=steps,
                inner_steps=inner_steps,
            )
        except NonFiniteError:
            found[name] = {}
            continue
        found[name] = score(solution.omega, solution.alpha)
    return found


def show(title: str, found: Mapping[str, Mapping[str, float]]) -> None:
    """Print one line an estimator; a dash where the run left the region of finite losses."""
    columns = list(found["start"])
    table = Table(title=title)
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left")
    for name, row in found.items():
        table.add_row(name, *(f"{row[c]:.4g}" if c in row else "–" for c in columns))
    Console(width=120).print(table)


def outer_loss(ready: ReadyProblem) -> Callable[[Tree, Tree], float]:
    """L_val as a number."""

    def value(omega: Tree, alpha: Tree) -> float:
        with torch.no_grad():
            return float(ready.problem.outer(omega, alpha))

    return value

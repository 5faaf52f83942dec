"""The scalar example (A.1): F = (ω − α)², G = (2ω − α)², with its hypergradient in closed form.

`python -m toy.scalar` descends on α with each estimator, prints what each converges to and
draws the trajectories.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.optim import SGD

from bilevel.estimators import Amended, DartsSecondOrder, Estimator, Exact, FirstOrder, Identity
from bilevel.problem import BilevelProblem
from bilevel.solver import solve
from toy.plots import draw_trajectories

PROBLEM = BilevelProblem(
    inner=lambda omega, alpha: (omega - alpha) ** 2,
    outer=lambda omega, alpha: (2 * omega - alpha) ** 2,
)
"""ω*(α) = α, so Φ(α) = α²; at ω = ω*: H = 2, B = −2, ∇_ω L_val = 4α."""


@dataclass(frozen=True)
class ClosedForm:
    """The terms of A.1 at ω = ω*(α) = α, as rational multiples of α."""

    direct: float = -2.0
    implicit: float = 4.0
    total: float = 2.0

    @staticmethod
    def amended(eta: float) -> float:
        """g₂′ = −ηBHv = 16ηα: with g₁, the total has the right sign only for η > 1/8."""
        return 16 * eta

    @staticmethod
    def identity(eta: float) -> float:
        """−ηBv = 8ηα: with g₁, the total has the right sign only for η > 1/4."""
        return 8 * eta


ESTIMATORS: Mapping[str, Estimator] = {
    "exact": Exact(),
    "first order": FirstOrder(),
    "identity, η = 0.1": Identity(eta=0.1),
    "DARTS second order, ξ = 0.1": DartsSecondOrder(xi=0.1),
    "amended, η = 0.1": Amended(eta=0.1),
    "amended, η = 0.25": Amended(eta=0.25),
}


def trajectories(
    *, start: float = 1.0, steps: int = 40, learning_rate: float = 0.05
) -> dict[str, list[float]]:
    """α after 0, 1, ..., `steps` steps of gradient descent with each estimator.

    The inner problem is solved exactly between two steps: SGD at rate ½ lands on ω = α.
    """
    point = torch.tensor(start, dtype=torch.float64)
    found = {}
    for name, estimator in ESTIMATORS.items():
        solution = solve(
            PROBLEM,
            estimator,
            point,
            point,
            inner=lambda leaves: SGD(leaves, lr=0.5),
            outer=lambda leaves: SGD(leaves, lr=learning_rate),
            steps=steps,
        )
        found[name] = [alpha.item() for alpha in solution.alphas]
    return found


def main(folder: Path = Path("runs")) -> None:
    """Print a table of all estimators and write `toy_scalar.png` to `folder`."""
    found = trajectories()
    one = torch.tensor(1.0, dtype=torch.float64)
    table = Table(title="A.1 at α = 1, where dΦ/dα = 2, and after 40 steps of descent")
    for heading in ("estimator", "g₁", "g₂ estimate", "total", "α at the end", ""):
        text = heading in ("estimator", "")
        table.add_column(heading, justify="left" if text else "right", no_wrap=text)
    for name, estimator in ESTIMATORS.items():
        at_one = estimator(PROBLEM, one, one)
        right = at_one.total.item() > 0
        table.add_row(
            name,
            f"{at_one.direct.item():.2f}",
            f"{at_one.implicit.item():.2f}",
            f"{at_one.total.item():.2f}",
            f"{found[name][-1]:.3g}",
            "[green]descends[/]" if right else "[red]runs away[/]",
        )
    console = Console()
    console.print(table)
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"figure: {draw_trajectories(found, folder / 'toy_scalar.png')}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))

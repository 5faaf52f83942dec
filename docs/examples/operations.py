"""Choose operations: a DARTS mixture as a plain bilevel problem, where g₁ is not zero.

`python -m docs.examples.operations`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from bilevel.problems import mixture, solve_inner
from bilevel.vector import Tree
from docs.examples.side_by_side import outcomes, outer_loss, show


def main(steps: int = 40, train: int = 200) -> dict[str, Mapping[str, float]]:
    warnings.simplefilter("ignore")
    ready = mixture(train=train, val=200, width=8).at_inner_solution(tolerance=1e-8)
    loss = outer_loss(ready)
    chosen: list[tuple[str, ...]] = []

    def score(omega: Tree, alpha: Tree) -> dict[str, float]:
        chosen.append(ready.operations(alpha))
        solved = solve_inner(ready.problem, omega, alpha, tolerance=1e-6).params
        return {"L_val": loss(omega, alpha), "Φ(α), ω solved for": loss(solved, alpha)}

    found = outcomes(ready, score, steps=steps, outer_rate=0.05)
    show(f"Operations, {steps} steps", found)
    for name, operations in zip(found, chosen, strict=False):
        print(f"{name}: {', '.join(operations)}")
    return found


if __name__ == "__main__":
    main()

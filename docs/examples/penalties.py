"""A penalty per feature: logistic regression on digits, 64 penalties learned on other images.

`python -m docs.examples.penalties`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from bilevel.problems import logistic_regression, solve_inner
from bilevel.vector import Tree
from docs.examples.side_by_side import outcomes, outer_loss, show


def main(steps: int = 80, train: int = 300) -> dict[str, Mapping[str, float]]:
    warnings.simplefilter("ignore")
    ready = logistic_regression(train=train, val=300).at_inner_solution()
    loss = outer_loss(ready)

    def score(omega: Tree, alpha: Tree) -> dict[str, float]:
        solved = solve_inner(ready.problem, omega, alpha, tolerance=1e-8).params
        return {"L_val": loss(omega, alpha), "Φ(α), ω solved for": loss(solved, alpha)}

    found = outcomes(ready, score, steps=steps, outer_rate=0.1)
    show(f"Penalties per feature, {steps} steps", found)
    return found


if __name__ == "__main__":
    main()

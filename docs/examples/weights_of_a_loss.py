"""Weigh rare classes: a small convolutional network on unbalanced digits.

`python -m docs.examples.weights_of_a_loss`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from bilevel.problems import loss_weights
from bilevel.vector import Tree
from docs.examples.side_by_side import outcomes, outer_loss, show


def main(steps: int = 40, train: int = 400) -> dict[str, Mapping[str, float]]:
    warnings.simplefilter("ignore")
    ready = loss_weights(train=train, val=200, channels=4).at_inner_solution(tolerance=1e-8)
    loss = outer_loss(ready)

    def score(omega: Tree, alpha: Tree) -> dict[str, float]:
        return {
            "recall of rare classes %": ready.recall_percent(omega, ready.rare),
            "recall of all %": ready.recall_percent(omega, tuple(range(10))),
            "L_val": loss(omega, alpha),
        }

    found = outcomes(ready, score, steps=steps, outer_rate=0.1)
    show(f"Loss weights, {steps} steps", found)
    return found


if __name__ == "__main__":
    main()

"""Find wrong labels: hyper-cleaning on digits, 30 % of the training labels replaced.

`python -m docs.examples.cleaning`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from bilevel.problems import hyper_cleaning
from bilevel.vector import Tree
from docs.examples.side_by_side import outcomes, outer_loss, show


def main(steps: int = 80, train: int = 300) -> dict[str, Mapping[str, float]]:
    warnings.simplefilter("ignore")
    ready = hyper_cleaning(train=train, val=300).at_inner_solution()
    loss = outer_loss(ready)

    def score(omega: Tree, alpha: Tree) -> dict[str, float]:
        return {
            "AUC of wrong labels": ready.detection(alpha),
            "test accuracy %": ready.accuracy_percent(omega, ready.test),
            "L_val": loss(omega, alpha),
        }

    found = outcomes(ready, score, steps=steps, outer_rate=0.2)
    show(f"Hyper-cleaning, {steps} steps", found)
    return found


if __name__ == "__main__":
    main()

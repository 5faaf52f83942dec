"""Ten images instead of a thousand: data-set distillation on digits.

`python -m docs.examples.distilling`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from bilevel.problems import distillation
from bilevel.vector import Tree
from docs.examples.side_by_side import outcomes, outer_loss, show


def main(steps: int = 80, train: int = 1000) -> dict[str, Mapping[str, float]]:
    warnings.simplefilter("ignore")
    ready = distillation(train=train).at_inner_solution()
    loss = outer_loss(ready)

    def score(omega: Tree, alpha: Tree) -> dict[str, float]:
        return {
            "test accuracy %": ready.accuracy_percent(omega),
            "L_val": loss(omega, alpha),
        }

    found = outcomes(ready, score, steps=steps, outer_rate=0.05)
    show(f"Distillation to ten images, {steps} steps", found)
    return found


if __name__ == "__main__":
    main()

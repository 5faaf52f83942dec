"""Pictures of comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from bilevel.diagnostics.comparison import Comparison


def draw_comparison(comparison: Comparison, path: Path) -> Path:
    """Draw the relative error of g₂ against time in gradients, and return where.

    Hollow marks: the term points away from g₂. Estimators without times stand at their number of
    products with H and B.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    timed = any(row.gradients is not None for row in comparison.rows)
    for position, row in enumerate(comparison.rows):
        if row.error_implicit is None or row.count is None:
            continue
        products = 1 + row.count.hessian_products + row.count.mixed_products
        cost = row.gradients.median if row.gradients is not None else float(products)
        error = max(row.error_implicit, 1e-16)
        color = f"C{position % 10}"
        right = row.sign is not None and row.sign > 0
        axes.plot(cost, error, "o", color=color, markerfacecolor=color if right else "white")
        axes.annotate(
            row.estimator,
            (cost, error),
            xytext=(6, 3),
            textcoords="offset points",
            color=color,
            fontsize=8,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.25)
    axes.set_xlabel("time, in gradients of L_train" if timed else "1 + products with H and B")
    axes.set_ylabel("relative error of g₂")
    axes.set_title(f"hollow: points away from g₂ (truth: {comparison.reference.description})")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    return path

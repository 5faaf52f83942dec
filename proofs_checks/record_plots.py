"""python -m proofs_checks.record_plots: draw docs/figures from docs/records."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from proofs_checks.measurement import load
from proofs_checks.places import DOCS

SHOWN = (
    ("relu", "max", 0, "ReLU, max pool, start", "C3", "-"),
    ("relu", "max", 60, "ReLU, max pool, 60 steps", "C3", "--"),
    ("silu", "max", 0, "SiLU, max pool, start", "C1", "-"),
    ("silu", "average", 0, "SiLU, average pool, start", "C0", "-"),
    ("tanh", "average", 0, "tanh, average pool, start", "C2", "-"),
)


def kinks() -> Figure:
    """Cosine and error of A.2's chain over the step r: batch 64, means over three seeds."""
    rows = [
        row for row in load("t9_small")["rows"] if row["batch"] == 64 and row["dtype"] == "float32"
    ]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    cosines, errors = figure.subplots(1, 2)
    for activation, pooling, trained, label, colour, style in SHOWN:
        mine = [
            row
            for row in rows
            if (row["activation"], row["pooling"], row["trained"]) == (activation, pooling, trained)
        ]
        steps = sorted({row["step"] for row in mine})
        for axes, field in ((cosines, "chain_cosine"), (errors, "chain_error")):
            means = [np.mean([r[field] for r in mine if r["step"] == s]) for s in steps]
            axes.plot(steps, means, style, color=colour, marker="o", ms=3, label=label)
    for axes, title in ((cosines, "cosine with the exact BHv"), (errors, "relative error")):
        axes.set(xscale="log", xlabel="step r = ‖εv‖", title=title)
        axes.axvline(0.01, color="grey", lw=0.8, ls=":")
        axes.axvline(0.1, color="black", lw=0.8, ls=":")
    errors.set_yscale("log")
    figure.legend(*cosines.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    return figure


if __name__ == "__main__":
    path = DOCS / "figures" / "t9_kinks.png"
    path.parent.mkdir(exist_ok=True)
    kinks().savefig(path, dpi=110)
    print(f"wrote {path}")

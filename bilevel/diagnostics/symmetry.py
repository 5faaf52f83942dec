"""Whether H is symmetric, and Bᵀ the transpose of B."""

from __future__ import annotations

import torch

from bilevel.derivatives import Curvature
from bilevel.diagnostics.agreement import Direction, gaussian
from bilevel.diagnostics.check_report import Finding

ASYMMETRY = 1e-6
"""Of ⟨u, Hv⟩ − ⟨v, Hu⟩ in float64, relative to ‖u‖‖Hv‖: far above rounding, far below a fault."""
ASYMMETRY_SINGLE = 1e-2
"""The same in float32."""


def asymmetries(
    curvature: Curvature, direction: Direction, generator: torch.Generator
) -> list[Finding]:
    """What to say of ⟨u, Hv⟩ = ⟨v, Hu⟩ and ⟨Bᵀy, v⟩ = ⟨y, Bv⟩.

    u and y are random. Four products.
    """
    hessian, mixed, v = curvature.hessian, curvature.mixed, direction.v
    u = gaussian(hessian.domain, generator, direction.sizes, direction.padding)
    y = gaussian(mixed.codomain, generator, direction.sizes_alpha)
    tolerance = ASYMMETRY if v.dtype == torch.float64 else ASYMMETRY_SINGLE
    findings = []
    for left, right, text in (
        ((u, hessian @ v), (v, hessian @ u), "H is not symmetric: ⟨u, Hv⟩ and ⟨v, Hu⟩"),
        (
            (mixed.T @ y, v),
            (y, mixed @ v),
            "Bᵀ is not the transpose of B: ⟨Bᵀy, v⟩ and ⟨y, Bv⟩",
        ),
    ):
        a, b = float(left[0].dot(left[1])), float(right[0].dot(right[1]))
        scale = sum(
            float(torch.dot(p.abs().reshape(-1), q.abs().reshape(-1)))
            for x, z in (left, right)
            for p, q in zip(x.leaves, z.leaves, strict=True)
        )
        if not abs(a - b) <= tolerance * scale:
            findings.append(
                Finding(
                    "L_train",
                    f"{text} are {a:.6g} and {b:.6g}. A backward of one's own is wrong, or the "
                    "loss is no function of ω and α alone.",
                )
            )
    return findings

"""Leaves of ω and α in which no derivative can be taken."""

from __future__ import annotations

import torch

from bilevel.diagnostics.check_report import Finding
from bilevel.point import LEAST_PRECISE
from bilevel.vector import Tree, Vector


def unusable_leaves(params: Tree, hyperparams: Tree) -> tuple[list[Finding], dict[str, Vector]]:
    """Faults of the leaves themselves: dtypes, devices, empty ones, NaN. No evaluation.

    Returns:
        The findings, and by symbol the points that were passed, without those that are none. An
        iterator, such as `module.parameters()`, is used up.
    """
    findings: list[Finding] = []
    points: dict[str, Vector] = {}
    for name, tree in (("ω", params), ("α", hyperparams)):
        try:
            point = points[name] = Vector.of(tree)
        except (TypeError, ValueError) as error:
            findings.append(Finding(name, str(error)))
            continue
        imprecise = torch.finfo(point.dtype).eps > LEAST_PRECISE
        if point.numel == 0:
            findings.append(Finding(name, "it holds no numbers at all. Pass those that there are."))
        for leaf, path in zip(point.leaves, point.names(), strict=True):
            if leaf.numel() == 0:
                findings.append(
                    Finding(f"{name}{path}", "it holds no numbers. Leave it out.", wrong=False)
                )
            elif not (imprecise or bool(leaf.isfinite().all())):
                findings.append(Finding(f"{name}{path}", "it holds NaN or infinite numbers."))
        if imprecise:
            findings.append(
                Finding(
                    name,
                    f"{point.dtype} has too few digits for products and solves. Keep {name} in "
                    "float32 or float64, and cast inside the losses if you must.",
                )
            )
    if len(points) == 2:
        omega, alpha = points.values()
        if (omega.dtype, omega.device) != (alpha.dtype, alpha.device):
            findings.append(
                Finding(
                    "α",
                    f"it is {alpha.dtype} on {alpha.device}, ω is {omega.dtype} on "
                    f"{omega.device}. Bring both to one dtype and device.",
                )
            )
    return findings, points

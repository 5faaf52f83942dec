"""Implicit terms at stationary points against the exact one: rows and statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from bilevel.estimators import Amended, DartsSecondOrder, Estimator, FirstOrder, Identity
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector
from proofs_checks.dense_terms import DenseTerms, angle_between, sign_agreement
from proofs_checks.measurement import Row

NEARER = "points where DARTS's term is nearer than amended's"
ETA = 0.1  # the paper's η, and DARTS's ξ here
ESTIMATORS: Mapping[str, Estimator] = {
    "first order": FirstOrder(),
    "identity": Identity(eta=ETA),
    "DARTS second order": DartsSecondOrder(xi=ETA),
    "amended": Amended(eta=ETA),
}


def rows_at(
    problem: BilevelProblem,
    omega: Vector,
    alpha: Vector,
    dense: DenseTerms,
    exact: Tensor,
    **named: Any,
) -> list[dict[str, Any]]:
    """One row an estimator against the term `exact`; `named` (seed, ...) goes into each row."""
    total = dense.direct + exact
    rows = []
    for name, estimator in ESTIMATORS.items():
        found = estimator(problem, omega, alpha)
        implicit, whole = Vector.of(found.implicit).flat(), Vector.of(found.total).flat()
        best = float(implicit @ exact / (implicit @ implicit)) if float(implicit.norm()) else 0.0
        rows.append(
            {
                **named,
                "estimator": name,
                "n": len(dense.slope),
                "stationarity": float(dense.inner_gradient.norm()),
                "smallest": dense.smallest,
                "largest": dense.largest,
                "exact_over_direct": float(exact.norm() / dense.direct.norm()),
                "implicit_angle": _known(angle_between(implicit, exact)),
                "total_angle": angle_between(whole, total),
                "total_error": float((whole - total).norm() / total.norm()),
                "best_error": float((best * implicit - exact).norm() / exact.norm()),
                "signs": sign_agreement(whole, total),
            }
        )
    return rows


def _known(angle: float) -> float | None:
    return None if math.isnan(angle) else angle


def point_of(row: Row) -> tuple[Any, ...]:
    """What was solved and for which outer loss: rows of one point differ in the estimator only."""
    return (row["seed"], row["decay"], row.get("outer"))


def summarise(rows: Sequence[Row]) -> dict[str, float]:
    """By weight decay: the spectrum; by estimator too: mean angles, errors, wrong signs."""
    summary = {"largest ‖∇_ω L_train‖": max(row["stationarity"] for row in rows)}
    angles = {(*point_of(row), row["estimator"]): row["implicit_angle"] for row in rows}
    points = {point_of(row) for row in rows}
    summary[NEARER] = float(sum(angles[*p, "identity"] < angles[*p, "amended"] for p in points))
    for decay in sorted({row["decay"] for row in rows}, reverse=True):
        here = [row for row in rows if row["decay"] == decay]
        summary[f"λ={decay:g} κ"] = float(np.median([r["largest"] / r["smallest"] for r in here]))
        summary[f"λ={decay:g} smallest eigenvalue"] = min(row["smallest"] for row in here)
        for name in ESTIMATORS:
            mine = [row for row in here if row["estimator"] == name]
            key = f"λ={decay:g} {name}:"
            if name != "first order":
                own = [row["implicit_angle"] for row in mine]
                summary[f"{key} angle of g₂"] = float(np.mean(own))
                summary[f"{key} angle of g₂, s.d."] = float(np.std(own, ddof=1))
                summary[f"{key} wrong"] = float(sum(angle > 90 for angle in own))
            for field, words in (
                ("total_angle", "angle of the total"),
                ("total_error", "error of the total"),
                ("best_error", "error of g₂ at the best η"),
                ("signs", "coordinates of the right sign"),
            ):
                summary[f"{key} {words}"] = float(np.mean([row[field] for row in mine]))
    return summary

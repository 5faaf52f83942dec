"""Eq. 7 at stationary points of a supernet with fixed norms, over weight decay, seeds and v."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch

from bilevel.vector import Vector
from proofs_checks.at_minima import ETA, rows_at, summarise
from proofs_checks.dense_terms import DenseTerms
from proofs_checks.fixed_norms import IMAGES, FixedNormCase, fixed_norm_case
from proofs_checks.measurement import RECORDS, Row, rounded, save
from proofs_checks.stationary import descend, newton_cg

RECORD = "on_fixed_norms"
POINT = "on_fixed_norms_point"
DECAYS = (2e-2, 1e-2, 5e-3, 2.5e-3)
SEEDS = (0, 1, 2)
KEPT = (0, 1e-2)  # the seed and weight decay whose ω* is kept, to be looked at again


def record() -> None:
    """For each seed, from the largest decay to the smallest, each from the one before."""
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        case = fixed_norm_case(seed)
        omega, alpha = case.start, Vector.of(case.alpha)
        for decay in DECAYS:
            problem = case.problem(decay, 0)
            omega = newton_cg(problem, descend(problem, omega, alpha, 150), alpha, tolerance=1e-8)
            if (seed, decay) == KEPT:
                keep(omega)
            rows += rows_of(case, omega, seed, decay)
            kept = rounded(rows)
            config = {
                "network": "2 cells of 2 channels, smooth operations of S1, norms fixed",
                "images": f"{IMAGES} + {case.outers} × {IMAGES} digits, 4×4",
                "eta": ETA,
                "decays": DECAYS,
                "seeds": SEEDS,
            }
            save(RECORD, config=config, rows=kept, summary=summarise_all(kept))


def rows_of(case: FixedNormCase, omega: Vector, seed: int, decay: float) -> list[dict[str, Any]]:
    """One row an estimator and validation batch; H and B are those of the training images."""
    alpha = Vector.of(case.alpha)
    dense = DenseTerms.at(case.problem(decay, 0), omega, alpha)
    rows = []
    for outer in range(case.outers):
        problem = case.problem(decay, outer)
        value, slope, direct = problem.outer_gradients(omega, alpha)
        here = dense.with_outer(slope.flat(), direct.flat())
        rows += rows_at(
            problem,
            omega,
            alpha,
            here,
            here.implicit(),
            seed=seed,
            decay=decay,
            outer=outer,
            outer_loss=value,
        )
    return rows


def keep(omega: Vector) -> None:
    """ω* to the last bit, so that its gradient can be computed again."""
    text = json.dumps({"omega": omega.flat().tolist()})
    (RECORDS / f"{POINT}.json").write_text(text + "\n", encoding="utf-8")


def kept_point(case: FixedNormCase) -> Vector:
    stored = json.loads((RECORDS / f"{POINT}.json").read_text(encoding="utf-8"))["omega"]
    return case.start.like(torch.tensor(stored, dtype=torch.float64))


def summarise_all(rows: Sequence[Row]) -> dict[str, float]:
    """`at_minima.summarise`, and what every point together says."""
    summary = summarise(rows)
    points = [row for row in rows if row["estimator"] == "first order"]
    minima = {(row["seed"], row["decay"]): row for row in points}
    summary["minima"] = float(len(minima))
    summary["minima with H ≻ 0"] = float(sum(row["smallest"] > 0 for row in minima.values()))
    summary["points"] = float(len(points))
    for name in ("identity", "DARTS second order", "amended"):
        mine = [row for row in rows if row["estimator"] == name]
        summary[f"{name}: wrong"] = float(sum(row["implicit_angle"] > 90 for row in mine))
        wrong_at = {(row["seed"], row["decay"]) for row in mine if row["implicit_angle"] > 90}
        summary[f"{name}: minima with a wrong sign"] = float(len(wrong_at))
    return summary

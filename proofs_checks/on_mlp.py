"""Eq. 7 on an MLP at stationary points, over conditioning and seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bilevel.estimators import Amended, DartsSecondOrder, FirstOrder, Identity
from bilevel.estimators.base import Estimator
from bilevel.problem import BilevelProblem, BoundModule
from bilevel.vector import Tree, Vector
from proofs_checks.definitions import Formulas
from proofs_checks.dense_terms import DenseTerms, angle_between, sign_agreement
from proofs_checks.images import digits
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.measurement import Reading, Recorded, Row, near, rounded, save
from proofs_checks.stationary import descend, polish

RECORD = "on_mlp"
NEARER = "points where DARTS's term is nearer than amended's"
ETA = 0.1  # the paper's η, and DARTS's ξ here
DECAYS = (1e-1, 1e-2, 1e-3, 1e-4)
SEEDS = (0, 1, 2, 3, 4)
IMAGES = 200
ESTIMATORS: Mapping[str, Estimator] = {
    "first order": FirstOrder(),
    "identity": Identity(eta=ETA),
    "DARTS second order": DartsSecondOrder(xi=ETA),
    "amended": Amended(eta=ETA),
}


def problem_of(seed: int, decay: float) -> tuple[BilevelProblem, Vector, Vector]:
    """64-16-10, tanh, on 200 training and 200 validation digits; α scales the pixels, x ↦ eᵅ∘x."""
    data = digits().to(torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10)).double()
        order = torch.randperm(len(data.labels))
        alpha = 0.1 * torch.randn(64, dtype=torch.float64)
    train, val = (data.batch(start, IMAGES, order) for start in (0, IMAGES))

    def loss(net: BoundModule, alpha: Tree, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(net(batch[0].flatten(1) * alpha.exp()), batch[1])

    def inner(net: BoundModule, alpha: Tree) -> Tensor:
        penalty = sum((p.square().sum() for p in net.params.values()), torch.zeros(()).double())
        return loss(net, alpha, train) + decay / 2 * penalty

    problem, omega, hyper = BilevelProblem.from_module(
        net, inner, lambda net, alpha: loss(net, alpha, val), hyperparams=alpha
    )
    return problem, Vector.of(omega).detach(), Vector.of(hyper)


@cache
def rows_of(seed: int, decay: float) -> tuple[dict[str, Any], ...]:
    """Train to stationarity, then one row an estimator."""
    problem, start, alpha = problem_of(seed, decay)
    omega = polish(problem, descend(problem, start, alpha, 300), alpha, steps=12)
    dense = DenseTerms.at(problem, omega, alpha)
    exact = dense.implicit()
    total = dense.direct + exact
    rows = []
    for name, estimator in ESTIMATORS.items():
        found = estimator(problem, omega, alpha)
        implicit, whole = Vector.of(found.implicit).flat(), Vector.of(found.total).flat()
        best = float(implicit @ exact / (implicit @ implicit)) if float(implicit.norm()) else 0.0
        rows.append(
            {
                "seed": seed,
                "decay": decay,
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
    return tuple(rows)


def _known(angle: float) -> float | None:
    return None if math.isnan(angle) else angle


def record() -> None:
    rows = [row for decay in DECAYS for seed in SEEDS for row in rows_of(seed, decay)]
    kept = rounded(rows)
    config = {
        "network": "64-16-10 tanh",
        "images": f"{IMAGES} + {IMAGES} digits",
        "eta": ETA,
        "decays": DECAYS,
        "seeds": SEEDS,
    }
    save(RECORD, config=config, rows=kept, summary=summarise(kept))


def summarise(rows: Sequence[Row]) -> dict[str, float]:
    """By weight decay: the spectrum; by estimator too: mean angles, errors, wrong signs."""
    summary = {"largest ‖∇_ω L_train‖": max(row["stationarity"] for row in rows)}
    angles = {(r["seed"], r["decay"], r["estimator"]): r["implicit_angle"] for r in rows}
    pairs = {(row["seed"], row["decay"]) for row in rows}
    summary[NEARER] = float(sum(angles[*p, "identity"] < angles[*p, "amended"] for p in pairs))
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


def findings(summary: Mapping[str, float]) -> list[Reading]:
    found = [Reading("largest ‖∇_ω L_train‖", summary["largest ‖∇_ω L_train‖"], 0, 1e-5)]
    for decay in DECAYS:
        key = f"λ={decay:g}"
        found.append(Reading(f"{key} κ", summary[f"{key} κ"], 100, 1e5))
        darts = summary[f"{key} identity: angle of g₂"]
        amended = summary[f"{key} amended: angle of g₂"]
        found += [
            Reading(f"{key} DARTS: angle of g₂", darts, 20, 60),
            Reading(f"{key} amended: angle of g₂", amended, 20, 70),
            Reading(f"{key} DARTS wrong", summary[f"{key} identity: wrong"], 0, 0),
            Reading(f"{key} amended wrong", summary[f"{key} amended: wrong"], 0, 0),
            Reading(
                f"{key} amended: error of the total", summary[f"{key} amended: error of the total"]
            ),
        ]
    found.append(Reading("points where DARTS is nearer, of 20", summary[NEARER], 20, 20))
    return found


def repeat(record: Mapping[str, Any]) -> list[Reading]:
    """Seed 0 at λ = 0.01, trained again."""
    readings = []
    for row in rows_of(0, 1e-2):
        (kept,) = (
            old
            for old in record["rows"]
            if all(old[key] == row[key] for key in ("seed", "decay", "estimator"))
        )
        name = row["estimator"]
        readings.append(
            near(f"{name}: error of the total", row["total_error"], kept["total_error"], 1e-2)
        )
        readings.append(Reading("‖∇_ω L_train‖", row["stationarity"], 0, 1e-6))
    return readings


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return (
        Claim(
            id="R1",
            where="Eq. 7, on a network",
            statement="At stationary points of a trained MLP the amended term makes an angle below "
            "90° with the exact one.",
            assumptions="64-16-10 tanh on 200 digits, α a scale for each pixel, weight decay 0.1 "
            "to 10⁻⁴, 5 seeds: 20 points with κ of 500 to 4,000",
            verdict=Verdict.HOLDS,
            because="So it is at all 20 points, with 42° to 62° on average; DARTS's term is nearer "
            "at every one of them (37° to 52°). Yet with η = ξ = 0.1 neither changes the total "
            "much: its error stays above 140 % of the true gradient for λ ≤ 0.01.",
            evidence=(Recorded("20 points, 4 estimators", RECORD, summarise, findings, repeat),),
        ),
    )

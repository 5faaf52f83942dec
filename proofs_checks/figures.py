"""The figures of the pages of proofs: computed from fixed seeds into records, drawn from those."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from proofs_checks.evidence import clopper_pearson
from proofs_checks.plots import draw_certificate, draw_cosines, draw_wrong_signs, figure_svg

Record = dict[str, Any]


def wrong_signs(draws: int = 20_000, seed: int = 0) -> Record:
    """Shares of wrong signs over κ: n = 50, m = 5, log-uniform spectrum, Gaussian B and v.

    H is diagonal: a rotation of ω changes neither the law of B nor that of v. Beside the counts,
    T3d's exact probability given (H, v), averaged over the same draws.
    """
    n, m = 50, 5
    rng = np.random.default_rng(seed)
    conditions = [float(k) for k in np.logspace(0.25, 4, 16)]
    names = ("amended", "DARTS", "Neumann-1")
    record: Record = {"n": n, "m": m, "draws": draws, "seed": seed, "conditions": conditions}
    for name in names:
        record[name] = {"share": [], "interval": [], "exact": []}
    for kappa in conditions:
        hits, exact, left = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0), draws
        while left > 0:
            batch = min(left, 2000)
            left -= batch
            spectrum = np.exp(rng.uniform(0, np.log(kappa), (batch, n)))
            spectrum[:, 0], spectrum[:, -1] = 1.0, kappa
            v, mixed = rng.standard_normal((batch, n)), rng.standard_normal((batch, m, n))
            truth = v / spectrum
            candidates = (spectrum * v, v, (2 - spectrum / kappa) * v)
            image = np.einsum("bmn,bn->bm", mixed, truth)
            for name, q in zip(names, candidates, strict=True):
                product = (np.einsum("bmn,bn->bm", mixed, q) * image).sum(axis=1)
                hits[name] += int((product < 0).sum())
                exact[name] += float(_wrong_sign_share(q, truth, m).sum())
        for name in names:
            record[name]["share"].append(hits[name] / draws)
            record[name]["interval"].append(clopper_pearson(hits[name], draws))
            record[name]["exact"].append(exact[name] / draws)
    return record


def _wrong_sign_share(q: np.ndarray, truth: np.ndarray, rows: int) -> np.ndarray:
    """T3d for a batch: P(T_m > √m cot θ)."""
    lengths = np.linalg.norm(q, axis=1) * np.linalg.norm(truth, axis=1)
    cosine = (q * truth).sum(axis=1) / lengths
    return np.asarray(t.sf(np.sqrt(rows) * cosine / np.sqrt(1 - cosine**2), rows))


def cosines(draws: int = 1500, seed: int = 1) -> Record:
    """cos∠(v, H⁻¹v) and cos∠(Hv, H⁻¹v) of sampled (H, v), beside T4's floors."""
    rng = np.random.default_rng(seed)
    points: list[list[float]] = []
    for _ in range(draws):
        kappa, n = float(np.exp(rng.uniform(0.2, np.log(1e4)))), int(rng.integers(2, 6))
        spectrum = np.exp(rng.uniform(0, np.log(kappa), n))
        spectrum[0], spectrum[-1] = 1.0, kappa
        v = rng.standard_normal(n) * spectrum ** rng.uniform(-0.5, 1.5)
        truth = v / spectrum
        size = np.linalg.norm(truth)
        darts = float(v @ truth / np.linalg.norm(v) / size)
        amended = float(spectrum * v @ truth / np.linalg.norm(spectrum * v) / size)
        points.append([float(f"{x:.5g}") for x in (kappa, darts, amended)])
    return {"draws": draws, "seed": seed, "points": points}


def certificate(seed: int = 2) -> Record:
    """One problem, n = 50, m = 5, κ = 100: what conjugate gradients certify, step by step."""
    rng = np.random.default_rng(seed)
    n, m, kappa = 50, 5, 100.0
    spectrum = np.exp(np.linspace(0, np.log(kappa), n))
    mixed, v = rng.standard_normal((m, n)), rng.standard_normal(n)
    truth = mixed @ (v / spectrum)
    norm = float(np.linalg.norm(mixed, 2))
    q, r = np.zeros(n), v.copy()
    d, steps = r.copy(), []
    for k in range(1, 41):
        step = (r @ r) / (d @ (spectrum * d))
        q = q + step * d
        after = r - step * spectrum * d
        d = after + (after @ after) / (r @ r) * d
        r = after
        estimate = mixed @ q
        size = float(np.linalg.norm(estimate))
        radius = norm * float(np.linalg.norm(v - spectrum * q)) / 1.0
        cosine = float(estimate @ truth / size / np.linalg.norm(truth))
        angle = float(np.degrees(np.arccos(min(1.0, cosine))))
        bound = float(np.degrees(np.arcsin(radius / size))) if radius < size else None
        steps.append({"step": k, "angle": angle, "bound": bound})
    return {"n": n, "m": m, "condition": kappa, "seed": seed, "steps": steps}


FIGURES: dict[str, tuple[Callable[[], Record], Callable[[Record], Any], str]] = {
    "wrong_signs": (
        wrong_signs,
        draw_wrong_signs,
        "Share of draws whose estimate has a negative product with the true term, over κ. n = 50, "
        "m = 5, log-uniform spectrum, Gaussian B and v, 20,000 draws a point, seed 0; bars: 95 % "
        "Clopper–Pearson; lines: T3d's exact probability, averaged over the same spectra and v.",
    ),
    "cosines": (
        cosines,
        draw_cosines,
        "cos∠ to H⁻¹v for sampled H ≻ 0 and v (n = 2 to 5, seed 1), and the floors of T4. DARTS is "
        "never below amended.",
    ),
    "certificate": (
        certificate,
        draw_certificate,
        "The certificate of T6 along conjugate gradients: true angle to g₂ and certified bound. "
        "n = 50, m = 5, κ = 100, seed 2. Shaded: steps that are not certified.",
    ),
}


def write_figures(folder: Path) -> list[Path]:
    """Compute the records, write them as JSON, draw SVG from them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (compute, draw, _) in FIGURES.items():
        record = compute()
        path = folder / f"{name}.json"
        path.write_text(json.dumps(record) + "\n", encoding="utf-8")
        (folder / f"{name}.svg").write_text(figure_svg(draw(record)), encoding="utf-8")
        written += [path, folder / f"{name}.svg"]
    return written


def recorded_figures(folder: Path) -> list[tuple[str, str]]:
    """(SVG, caption) of every figure that has a record, drawn anew from it."""
    drawn = []
    for name, (_, draw, caption) in FIGURES.items():
        path = folder / f"{name}.json"
        if path.exists():
            drawn.append((figure_svg(draw(json.loads(path.read_text("utf-8")))), caption))
    return drawn

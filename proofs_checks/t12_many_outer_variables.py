"""T12: the paper's regime: m = 224 outer variables, and how often the sign is then wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import log, sinh, sqrt
from random import Random
from typing import Any

import numpy as np
from scipy.stats import f as fisher
from scipy.stats import t as student

from proofs_checks import on_fixed_norms, on_mlp
from proofs_checks.definitions import FORMULAS, Formulas
from proofs_checks.dense_terms import DenseTerms
from proofs_checks.evidence import ExactIdentity, MonteCarlo, PropertyTest, clopper_pearson
from proofs_checks.instances import Instance, agreement, definite, indefinite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.measurement import Measurement, Reading, Recorded, Row, printed, rounded, save
from proofs_checks.rational import dot, square
from proofs_checks.uncorrelated_signs import only_uncorrelated
from proofs_checks.wrong_sign_rates import wrong_sign_probability

Array = np.ndarray
REGIME, NETWORKS = "regime", "regime_networks"
DARTS_EDGES = sum(node + 2 for node in range(4))  # 14: node j of four has j + 2 inputs
OUTER = 2 * DARTS_EDGES * 8  # two kinds of cell, eight operations an edge
SEEDS = (0, 1, 2)
TOP = (1, 10, 100)


DIGEST, DIGEST_NETWORKS = "ae8dc8898efd1c6a", "c57178d0d6b37b4f"
QUOTED: Mapping[str, tuple[float, str, str, str]] = {
    "log-uniform, κ = 10": (1e13, "10⁻¹³", "1.7", "2.0"),
    "log-uniform, κ = 100": (100, "%", "8.2", "8.4"),
    "log-uniform, κ = 1000": (100, "%", "41.7", "41.8"),
    "bulk at 1, 1 of 10,000 at 100": (1e8, "10⁻⁸", "2.1", "4.2"),
    "bulk at 1, 10 of 10,000 at 100": (1e5, "10⁻⁵", "4.9", "6.4"),
    "bulk at 1, 100 of 10,000 at 100": (100, "%", "6.6", "6.7"),
    "bulk at 1, 10 of 10,000 at 1000": (100, "%", "30.4", "30.8"),
}
"""Spectrum -> factor, unit, least and largest probability of amended over the seeds, as quoted."""
QUOTED_NETWORKS: Mapping[str, tuple[str, ...]] = {
    "supernet of R4, seed 0, λ=0.01": ("49", "46", "86", "93", "50", "40"),
    "MLP of R1, seed 0, λ=0.1": ("21", "1.3", "17", "87", "15", "0"),
    "MLP of R1, seed 0, λ=0.01": ("30", "13", "55", "90", "44", "1.2"),
    "MLP of R1, seed 0, λ=0.001": ("19", "3.8", "52", "90", "46", "0.4"),
    "MLP of R1, seed 0, λ=0.0001": ("21", "4.5", "42", "89", "46", "0.3"),
}
"""Network -> per cent, as quoted, of each of NETWORK_FIGURES."""
NETWORK_FIGURES = (
    "amended: isotropic v",
    "darts: isotropic v",
    "v in the top 10",
    "B in the top 10",
    "amended: Gaussian B",
    "darts: Gaussian B",
)


def with_outliers(count: int, condition: float, n: int = 10_000) -> Array:
    """A bulk at 1 and `count` eigenvalues at κ."""
    return np.where(np.arange(n) < count, condition, 1.0)


SPECTRA: Mapping[str, Callable[[], Array]] = {
    "log-uniform, κ = 10": partial(np.geomspace, 1.0, 10.0, 1000),
    "log-uniform, κ = 100": partial(np.geomspace, 1.0, 100.0, 1000),
    "log-uniform, κ = 1000": partial(np.geomspace, 1.0, 1000.0, 1000),
    "bulk at 1, 1 of 10,000 at 100": partial(with_outliers, 1, 100.0),
    "bulk at 1, 10 of 10,000 at 100": partial(with_outliers, 10, 100.0),
    "bulk at 1, 100 of 10,000 at 100": partial(with_outliers, 100, 100.0),
    "bulk at 1, 10 of 10,000 at 1000": partial(with_outliers, 10, 1000.0),
}


def wrong_over_slopes(formulas: Formulas, estimate: Array, truth: Array) -> float:
    """P(⟨Xv, Yv⟩ < 0) over isotropic v; X = BH for amended, B for DARTS, and Y = BH⁻¹."""
    return float(formulas.negative_probability(formulas.form_eigenvalues(estimate, truth)))


def products(estimate: Array, truth: Array, rng: np.random.Generator, draws: int) -> Array:
    """⟨Xv, Yv⟩ of Gaussian v, in blocks."""
    found = []
    for start in range(0, draws, 500):
        slopes = rng.standard_normal((estimate.shape[1], min(500, draws - start)))
        found.append(((estimate @ slopes) * (truth @ slopes)).sum(axis=0))
    return np.concatenate(found)


def record(draws: int = 1000) -> None:
    """Gaussian B, three seeds a spectrum: the probability over v, and counts for the first seed."""
    rows: list[dict[str, Any]] = []
    for name, spectrum in SPECTRA.items():
        values = spectrum()
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            mixed = rng.standard_normal((OUTER, len(values)))
            truth = mixed / values
            for estimator, estimate in (("amended", mixed * values), ("darts", mixed)):
                row: dict[str, Any] = {
                    "spectrum": name,
                    "n": len(values),
                    "m": OUTER,
                    "seed": seed,
                    "estimator": estimator,
                    "chance": wrong_over_slopes(FORMULAS, estimate, truth),
                }
                if seed == SEEDS[0]:
                    count = int((products(estimate, truth, rng, draws) < 0).sum())
                    low, high = clopper_pearson(count, draws)
                    row |= {"draws": draws, "wrong": count, "low": low, "high": high}
                rows.append(row)
    kept = rounded(rows)
    config = {"m": OUTER, "draws": draws, "seeds": SEEDS}
    save(REGIME, config=config, rows=kept, summary=summarise(kept))


def summarise(rows: Sequence[Row]) -> dict[str, float]:
    """Least and largest probability over the seeds; how many counts agree with theirs."""
    summary: dict[str, float] = {}
    for spectrum in SPECTRA:
        for estimator in ("amended", "darts"):
            mine = [
                row["chance"]
                for row in rows
                if (row["spectrum"], row["estimator"]) == (spectrum, estimator)
            ]
            summary[f"{estimator}, {spectrum}: least"] = min(mine)
            summary[f"{estimator}, {spectrum}: largest"] = max(mine)
    counted = [row for row in rows if "draws" in row]
    summary["counts"] = float(len(counted))
    summary["counts whose interval holds the probability"] = float(
        sum(row["low"] <= row["chance"] <= row["high"] for row in counted)
    )
    return summary


def network_row(name: str, dense: DenseTerms) -> dict[str, Any]:
    """H and B as measured: the probability over isotropic v, over Gaussian B, and the overlaps."""
    eigenvalues, vectors = (x.numpy() for x in dense.spectrum)
    mixed, slope = dense.mixed.numpy() @ vectors, vectors.T @ dense.slope.numpy()
    truth = mixed / eigenvalues
    row: dict[str, Any] = {
        "network": name,
        "n": len(eigenvalues),
        "m": len(mixed),
        "smallest": float(eigenvalues[0]),
        "median": float(np.median(eigenvalues)),
        "largest": float(eigenvalues[-1]),
        "rank of B": int(np.linalg.matrix_rank(mixed)),
    }
    for estimator, power in (("amended", 1), ("darts", 0)):
        row[f"{estimator}: isotropic v"] = wrong_over_slopes(
            FORMULAS, mixed * eigenvalues**power, truth
        )
        q, y = eigenvalues**power * slope, slope / eigenvalues
        cosine = float(q @ y / np.sqrt((q @ q) * (y @ y)))
        row[f"{estimator}: Gaussian B"] = float(wrong_sign_probability(cosine, len(mixed)))
        estimate, exact = mixed @ q, mixed @ y
        row[f"{estimator}: cosine of g₂"] = float(
            estimate @ exact / np.sqrt((estimate @ estimate) * (exact @ exact))
        )
    for top in TOP:
        row[f"v in the top {top}"] = float((slope[-top:] ** 2).sum() / (slope @ slope))
        row[f"B in the top {top}"] = float((mixed[:, -top:] ** 2).sum() / (mixed**2).sum())
    return row


def record_networks() -> None:
    """The supernet whose ω* is kept, and the MLP of R1 with seed 0 at each weight decay."""
    networks = {"supernet of R4, seed 0, λ=0.01": on_fixed_norms.kept()[2]}
    networks |= {f"MLP of R1, seed 0, λ={x:g}": on_mlp.trained(0, x)[3] for x in on_mlp.DECAYS}
    kept = rounded([network_row(name, dense) for name, dense in networks.items()])
    save(NETWORKS, config={"seeds": [0]}, rows=kept, summary=summarise_networks(kept))


def summarise_networks(rows: Sequence[Row]) -> dict[str, float]:
    return {
        f"{row['network']}: {key}": float(value)
        for row in rows
        for key, value in row.items()
        if key != "network"
    }


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return at_many_outer_variables(formulas), at_measured_spectra()


def at_many_outer_variables(formulas: Formulas) -> Claim:
    def form(rng: Random) -> Instance:
        return indefinite(rng, 3, rng.choice((1, 2)))

    def half_the_form(case: Instance) -> Fraction:
        """−|2⟨BHv, BH⁻¹v⟩ − vᵀSv|: 0 where they agree."""
        inverse, gram = case.hessian.inverse(), case.mixed.T @ case.mixed
        whole = inverse @ gram @ case.hessian + case.hessian @ gram @ inverse
        value = dot(case.slope, whole @ case.slope)
        return Fraction(-abs(2 * agreement(formulas, case) - value))

    def no_eigenvector(rng: Random) -> Instance | None:
        case = definite(rng, 3, 1)
        image = case.hessian @ case.mixed.T
        aligned = dot(image, case.mixed.T) ** 2 == square(image) * square(case.mixed.T)
        return None if aligned else case

    def one_negative(case: Instance) -> Fraction:
        """m = 1: (‖b‖² + ‖Hb‖‖H⁻¹b‖)(‖b‖² − ‖Hb‖‖H⁻¹b‖) < 0."""
        b = case.mixed.T
        lengths = square(case.hessian @ b) * square(case.hessian.inverse() @ b)
        return Fraction(lengths - square(b) ** 2)

    def in_closed_form() -> list[Reading]:
        """m = 1: (2/π) arctan √(−λ₋/λ₊). p equal positive and q equal negative: F_{p,q}."""
        readings = []
        for ratio in (1.0, 0.3, 1e-3, 1e-9):
            wanted = 2 / np.pi * np.arctan(np.sqrt(ratio))
            found = formulas.negative_probability(np.array([1.0, -ratio]))
            readings.append(
                Reading(f"m = 1, −λ₋/λ₊ = {ratio:g}: error", abs(found / wanted - 1), 0, 1e-9)
            )
        for above, below, ratio in (
            (2, 3, 0.5),
            (5, 5, 0.1),
            (1, 40, 0.02),
            (224, 224, 0.83),
            (224, 224, 0.3),
            (224, 224, 0.05),
        ):
            wanted = float(fisher.cdf(ratio * below / above, above, below))
            values = np.r_[np.ones(above), np.full(below, -ratio)]
            found = formulas.negative_probability(values)
            label = f"{above} at 1, {below} at −{ratio:g}: error"
            readings.append(Reading(label, abs(found / wanted - 1), 0, 1e-9))
        return readings

    def eigenvalues_dense() -> list[Reading]:
        """The 2m eigenvalues against those of the whole n×n matrix."""
        worst = 0.0
        for seed, (n, m) in enumerate(((6, 1), (12, 3), (40, 17), (30, 30))):
            rng = np.random.default_rng(seed)
            mixed, values = rng.standard_normal((m, n)), np.exp(rng.uniform(0, 3, n))
            whole = (mixed * values).T @ (mixed / values)
            wanted = np.linalg.eigvalsh(whole + whole.T)
            found = formulas.form_eigenvalues(mixed * values, mixed / values)
            padded = np.sort(np.r_[found, np.zeros(max(0, n - len(found)))])
            largest = np.abs(wanted).max()
            middle = np.sort(np.r_[wanted, np.zeros(max(0, len(found) - n))])
            worst = max(worst, float(np.abs(padded - middle).max() / largest))
        return [Reading("largest difference", worst, 0, 1e-12)]

    def sampled(
        m: int, n: int, condition: float, power: int, seed: int, draws: int = 20_000
    ) -> MonteCarlo:
        values = np.geomspace(1.0, condition, n)
        mixed = np.random.default_rng(1000 + seed).standard_normal((m, n))
        estimate, truth = mixed * values**power, mixed / values
        name = ("DARTS", "amended")[power]
        return MonteCarlo(
            f"{name}, one H and B, n = {n}, m = {m}, κ = {condition:g}",
            draws,
            seed,
            lambda rng, draws: products(estimate, truth, rng, draws) < 0,
            lambda: wrong_over_slopes(formulas, estimate, truth),
        )

    def darts_size() -> list[tuple[str, object, object]]:
        return [("14 edges", DARTS_EDGES, 14), ("2 × 14 × 8", OUTER, 224)]

    def large_n() -> list[Reading]:
        """T3d at m = 224, n → ∞: Gaussian v gives cos θ = 1/√(Eλ² Eλ⁻²) = ln κ/sinh ln κ."""
        readings = []
        for condition, amended in ((10.0, "7.8"), (100.0, "8.38"), (1000.0, "41.8")):
            size = log(condition)
            cosine = size / sinh(size)
            chance = float(student.sf(sqrt(OUTER) * cosine / sqrt(1 - cosine**2), OUTER))
            scale = 1e14 if condition == 10.0 else 100
            unit = "10⁻¹⁴" if condition == 10.0 else "%"
            readings.append(
                printed(f"amended, κ = {condition:g}, in {unit}", scale * chance, amended)
            )
        return readings

    def findings(summary: Mapping[str, float]) -> list[Reading]:
        found = [
            Reading(
                "counts whose interval holds the probability",
                summary["counts whose interval holds the probability"],
                summary["counts"] - 2,
                summary["counts"],
            )
        ]
        for spectrum, (scale, unit, least, largest) in QUOTED.items():
            name = f"amended, {spectrum}"
            found += [
                printed(f"{name}: least, in {unit}", scale * summary[f"{name}: least"], least),
                printed(
                    f"{name}: largest, in {unit}", scale * summary[f"{name}: largest"], largest
                ),
            ]
        darts = max(summary[f"darts, {spectrum}: largest"] for spectrum in SPECTRA)
        found.append(Reading("DARTS: largest of all", darts, 0, 1e-16))
        return found

    def again(record: Mapping[str, Any]) -> list[Reading]:
        """The first seed of the three log-uniform spectra, computed again."""
        readings = []
        for spectrum in list(SPECTRA)[:3]:
            values = SPECTRA[spectrum]()
            mixed = np.random.default_rng(0).standard_normal((OUTER, len(values)))
            found = wrong_over_slopes(formulas, mixed * values, mixed / values)
            (kept,) = (
                row["chance"]
                for row in record["rows"]
                if (row["spectrum"], row["seed"], row["estimator"]) == (spectrum, 0, "amended")
            )
            readings.append(
                Reading(f"{spectrum}: probability", found, kept * (1 - 1e-5), kept * (1 + 1e-5))
            )
        return readings

    return Claim(
        id="T12",
        where="new; the paper's search has m = 224",
        statement="For fixed H and B and isotropic v, P(⟨g₂′, g₂⟩ < 0) = P(Σ μₖZₖ² < 0) over "
        "the at most 2m non-zero eigenvalues μₖ of H⁻¹AH + HAH⁻¹. With Gaussian B and m = 224 "
        "amended is wrong in 8 × 10⁻¹⁴, 8.4 % and 42 % of draws for a log-uniform spectrum of "
        "κ = 10, 100, 1000 (n → ∞); for a bulk at 1 with 1, 10 or 100 of 10,000 eigenvalues "
        "at 100 in 10⁻⁸, 10⁻⁴ and 7 %, and with 10 at 1000 in 31 %.",
        assumptions="H invertible; v isotropic (a law that rotations do not change, which is more "
        "than E[vvᵀ] = σ²I), B Gaussian: not those of a trained network",
        verdict=Verdict.HOLDS,
        because="2⟨BHv, BH⁻¹v⟩ = vᵀSv is a quadratic form of Gaussians. So Eq. 7 is false, and "
        "yet nearly true where m is large and κ low: what counts is √m cot θ (T3d). DARTS's "
        "term is nearly always right there too: wrong in less than 10⁻¹⁶ in every one of these "
        "cases.",
        evidence=(
            ExactIdentity("DARTS's outer variables", darts_size),
            PropertyTest("2⟨BHv, BH⁻¹v⟩ = vᵀSv, H of any signature", form, half_the_form),
            PropertyTest(
                "m = 1: one eigenvalue is negative unless b is an eigenvector",
                no_eigenvector,
                one_negative,
                strict=True,
            ),
            only_uncorrelated(formulas),
            Measurement("the integral against closed forms", in_closed_form),
            Measurement("the 2m eigenvalues against the whole matrix", eigenvalues_dense),
            sampled(1, 20, 30.0, 1, 21),
            sampled(20, 300, 100.0, 1, 22),
            sampled(20, 300, 1000.0, 0, 23, 100_000),
            sampled(224, 1000, 100.0, 1, 24),
            sampled(224, 1000, 1000.0, 1, 25),
            Measurement("T3d at m = 224, log-uniform spectrum, n → ∞", large_n),
            Recorded(
                "7 spectra, 3 draws of B, m = 224", REGIME, summarise, findings, again, DIGEST
            ),
        ),
        formula=r"P=P\left(\sum_{k\leq 2m}\mu_k Z_k^2<0\right)",
    )


def at_measured_spectra() -> Claim:
    def network_findings(summary: Mapping[str, float]) -> list[Reading]:
        return [
            printed(f"{name}: {key}, %", 100 * summary[f"{name}: {key}"], figure)
            for name, figures in QUOTED_NETWORKS.items()
            for key, figure in zip(NETWORK_FIGURES, figures, strict=True)
        ]

    return Claim(
        id="T12n",
        where="new; Eq. 7, at measured spectra",
        statement="At minima of small networks, with H and B as measured, the amended sign is "
        "nearly always right for isotropic v.",
        assumptions="the supernet of R4 (n = 712), the MLP of R1 (n = 1210, m = 64), seed 0; "
        "spectra of full-size supernets are not recorded here",
        verdict=Verdict.FAILS,
        because="It is wrong for 49 % of them at the supernet's minimum (DARTS's: 46 %) and "
        "for 19 to 30 % at the MLP's (DARTS's: 1 to 13 %). Few weights, a large κ, and B and "
        "v lie where the curvature is: the top 10 eigenvectors hold 87 to 93 % of ‖B‖_F² "
        "and 17 to 86 % of ‖v‖².",
        evidence=(
            Recorded(
                "5 minima",
                NETWORKS,
                summarise_networks,
                network_findings,
                None,
                DIGEST_NETWORKS,
            ),
        ),
    )

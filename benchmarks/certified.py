"""How often `Certified` certifies, after how many products, and whether it is ever wrong.

`python -m benchmarks.certified [problems] [record.json]` writes the table by condition number.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from bilevel import BilevelProblem, angle
from bilevel.estimators import Certificate, Certified, NotCertified
from tests.quadratics import QuadraticCase, orthogonal, quadratic, spectrum

KAPPAS = (2.0, 10.0, 1e2, 1e3, 1e4)
PRODUCTS = 2000


@dataclass(frozen=True)
class Trial:
    """One problem under one way of asking.

    Attributes:
        asked: "sign" and "angle": μ = λ_min given, any acute angle or 8.1°; "bounded": 8.1° with
            no μ.
        certified: the certificate holds.
        wrong: it holds, and ⟨estimate, g₂⟩ ≤ 0.
        exceeded: it holds, and the true angle or error is above its bound by more than rounding.
    """

    seed: int
    kappa: float
    n: int
    m: int
    indefinite: bool
    asked: str
    certified: bool
    wrong: bool
    exceeded: bool
    products: int
    angle_degrees: float
    bound_degrees: float


def draw(seed: int) -> tuple[QuadraticCase, float, bool]:
    """A problem: log-uniform |λ| from 1 to κ, a third indefinite, and in half of them one or more
    rows of B almost orthogonal to H⁻¹v, so that B(H⁻¹v) is small and its sign hard to tell."""
    generator = torch.Generator().manual_seed(seed)
    kappa = KAPPAS[seed % len(KAPPAS)]
    n = int(torch.randint(2, 61, (), generator=generator))
    m = int(torch.randint(1, 7, (), generator=generator))
    values = spectrum(n, kappa, generator)
    values[0], values[-1] = 1.0, kappa
    indefinite = bool(torch.rand((), generator=generator) < 1 / 3)
    if indefinite:
        values[torch.rand(n, generator=generator) < 0.5] *= -1
    basis = orthogonal(n, generator)
    hessian = basis @ torch.diag(values) @ basis.T
    mixed = torch.randn(m, n, generator=generator, dtype=torch.float64)
    slope = torch.randn(n, generator=generator, dtype=torch.float64)
    if torch.rand((), generator=generator) < 0.5:
        q = torch.linalg.solve(hessian, slope)
        q = q / q.norm()
        share = 10 ** float(-3 * torch.rand((), generator=generator, dtype=torch.float64))
        mixed = mixed - (1 - share) * torch.outer(mixed @ q, q)
    return quadratic(hessian, mixed, slope), kappa, indefinite


def trials(seed: int) -> Iterable[Trial]:
    """The problem of this seed, asked in three ways."""
    case, kappa, indefinite = draw(seed)
    truth = -case.mixed @ torch.linalg.solve(case.hessian, case.outer_gradient)
    mu = float(torch.linalg.eigvalsh(case.hessian).abs().min()) * (1 - 1e-9)
    for asked, cosine, known in (
        ("sign", 1e-6, mu),
        ("angle", 0.99, mu),
        ("bounded", 0.99, None),
    ):
        estimator = Certified(cosine, known, PRODUCTS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotCertified)
            result = estimator(case.problem, *case.point)
        certificate, solve = result.certificate, result.solve
        assert isinstance(certificate, Certificate)
        assert solve is not None
        off = angle(result.implicit, truth)
        rounding = 1e-12 * kappa
        exceeded = off > certificate.angle_degrees + math.degrees(rounding) or float(
            (result.implicit - truth).norm()
        ) > certificate.error + rounding * float(truth.norm())
        yield Trial(
            seed,
            kappa,
            case.mixed.shape[1],
            case.mixed.shape[0],
            indefinite,
            asked,
            certificate.holds,
            certificate.holds and float(result.implicit @ truth) <= 0,
            certificate.holds and exceeded,
            solve.products,
            off,
            certificate.angle_degrees,
        )


@dataclass(frozen=True)
class Planted:
    """One problem with a few small eigenvalues that the slope may hardly see, and no μ given.

    Attributes:
        failure_probability: of the bound on |λ|; None: μ was estimated without one.
        lowest: the smallest eigenvalue; mu: what the certificate took for a lower bound on it.
        certified, wrong, exceeded, products: as in `Trial`.
    """

    seed: int
    failure_probability: float | None
    lowest: float
    mu: float
    certified: bool
    wrong: bool
    exceeded: bool
    products: int


def planted(seed: int, n: int = 2000, m: int = 3) -> Iterable[Planted]:
    """H = diag(λ): all but 1 to 3 of them log-uniform from 1 to a top of 100 to 1000, those in a
    cluster of relative width 0.1 at 0.1 to 0.001, where the Gaussian slope is 10² to 10⁶ times
    smaller and the Gaussian B 100 times larger."""
    generator = torch.Generator().manual_seed(seed)

    def between(low: float, high: float) -> float:
        share = torch.rand((), generator=generator, dtype=torch.float64)
        return low + (high - low) * float(share)

    values = spectrum(n, 10 ** between(2, 3), generator)
    few = round(between(0.5, 3.5))
    spread = torch.rand(few, generator=generator, dtype=torch.float64)
    values[:few] = 10 ** between(-3, -1) * (1 + 0.1 * spread)
    slope = torch.randn(n, generator=generator, dtype=torch.float64)
    slope[:few] *= 10 ** between(-6, -2)
    mixed = torch.randn(m, n, generator=generator, dtype=torch.float64)
    mixed[:, :few] *= 100
    problem = BilevelProblem(
        lambda w, a: 0.5 * (values * w * w).sum() + a @ (mixed @ w), lambda w, a: slope @ w
    )
    truth = -mixed @ (slope / values)
    zero = torch.zeros(n, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    for failure in (None, 1e-3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotCertified)
            result = Certified(0.99, failure_probability=failure)(problem, *zero)
        bound, solve = result.certificate, result.solve
        assert bound is not None
        assert solve is not None
        exceeded = angle(result.implicit, truth) > bound.angle_degrees + 1e-4 or float(
            (result.implicit - truth).norm()
        ) > bound.error * (1 + 1e-6)
        yield Planted(
            seed,
            failure,
            float(values.min()),
            bound.mu,
            bound.holds,
            bound.holds and float(result.implicit @ truth) <= 0,
            bound.holds and exceeded,
            solve.products,
        )


def planted_table(problems: int) -> list[dict[str, object]]:
    """One row without a bound on |λ|, one with it."""
    found = [trial for seed in range(problems) for trial in planted(seed)]
    rows: list[dict[str, object]] = []
    for failure in dict.fromkeys(t.failure_probability for t in found):
        some = [t for t in found if t.failure_probability == failure]
        products = sorted(t.products for t in some)
        rows.append(
            {
                "failure_probability": failure,
                "problems": len(some),
                "mu_too_large": sum(t.mu > t.lowest for t in some),
                "certified": sum(t.certified for t in some),
                "wrong_signs": sum(t.wrong for t in some),
                "bounds_exceeded": sum(t.exceeded for t in some),
                "products_median": products[len(products) // 2],
                "products_p95": products[int(0.95 * (len(products) - 1))],
            }
        )
    return rows


def table(found: list[Trial]) -> list[dict[str, object]]:
    """One row per way of asking and condition number."""
    rows: list[dict[str, object]] = []
    for asked in dict.fromkeys(t.asked for t in found):
        for kappa in KAPPAS:
            some = [t for t in found if (t.asked, t.kappa) == (asked, kappa)]
            products = sorted(t.products for t in some if t.certified)
            if not products:
                continue
            rows.append(
                {
                    "asked": asked,
                    "kappa": kappa,
                    "problems": len(some),
                    "indefinite": sum(t.indefinite for t in some),
                    "certified": sum(t.certified for t in some),
                    "wrong_signs": sum(t.wrong for t in some),
                    "bounds_exceeded": sum(t.exceeded for t in some),
                    "products_mean": sum(products) / len(products),
                    "products_median": products[len(products) // 2],
                    "products_p95": products[int(0.95 * (len(products) - 1))],
                    "true_angle_mean_degrees": sum(t.angle_degrees for t in some) / len(some),
                }
            )
    return rows


def main() -> None:
    problems = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    path = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/records/certified.json")
    torch.set_num_threads(1)
    found = [trial for seed in range(problems) for trial in trials(seed)]
    rows, planted_rows = table(found), planted_table(max(1, problems // 20))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    record = {
        "command": f"python -m benchmarks.certified {problems}",
        "commit": commit,
        "seeds": [0, problems - 1],
        "n": [2, 60],
        "m": [1, 6],
        "dtype": "float64",
        "torch": torch.__version__,
        "products_allowed": PRODUCTS,
        "table": rows,
        "planted": planted_rows,
        "failures": [asdict(t) for t in found if t.wrong or t.exceeded],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    for row in rows + planted_rows:
        print(
            " ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
        )


if __name__ == "__main__":
    main()

"""The result of an estimator: g₁, an estimate of g₂, and an account of the solve for q."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from bilevel.estimators.certificate import Certificate
from bilevel.shown import html_table, short
from bilevel.vector import Tree, Vector


class Status(Enum):
    """How a solve of Hq = ∇_ω L_val ended."""

    CONVERGED = "the residual is below the tolerance asked for"
    TRUNCATED = "stopped after a set number of products; q is an approximation by design"
    NEGATIVE_CURVATURE = "a direction with vᵀHv ≤ 0 was met; H is not positive definite"
    DIVERGED = "the residual grew"
    UNCERTIFIED = "the products allowed were spent before the angle could be guaranteed"


@dataclass(frozen=True, repr=False)
class Solve:
    """An approximation q of q* = H⁻¹ ∇_ω L_val, and an account of how it was found.

    Attributes:
        value: q, a vector of Ω.
        products: Hessian products spent.
        status: how the solve ended.
        residual: ‖v − Hq‖ / ‖v‖, where the method knows it. With damping too it is that of the
            undamped system.
        curvature: the smallest pᵀHp / pᵀp met; λ_min(H) is not above it.
        note: the method's own choices and estimates, in words.
        certificate: the guarantee about the angle to g₂, for `Certified`.
    """

    value: Vector
    products: int
    status: Status
    residual: float | None = None
    curvature: float | None = None
    note: str = ""
    certificate: Certificate | None = None

    def __repr__(self) -> str:
        return f"Solve({', '.join(f'{name} {text}' for name, text in self._shown())})"

    def _repr_html_(self) -> str:
        return html_table("q in place of H⁻¹ ∇_ω L_val", ("", ""), self._shown())

    def _shown(self) -> list[tuple[str, str]]:
        rows = [
            ("status", self.status.name),
            ("products", f"{self.products}"),
            ("relative residual", short(self.residual)),
            ("smallest curvature met", short(self.curvature)),
            ("note", self.note),
            ("angle certified", "" if self.certificate is None else self.certificate.in_short),
        ]
        return [row for row in rows if row[1]]


@dataclass(frozen=True, repr=False)
class Hypergradient:
    """An estimate of dΦ/dα, its two terms apart. All three trees have the structure of α.

    Attributes:
        direct: g₁ = ∇_α L_val.
        implicit: the estimate of g₂ = −B H⁻¹ ∇_ω L_val.
        outer_loss: L_val where its gradients were taken.
        solve: how q was found; None for estimators that are not −B q.
    """

    direct: Tree
    implicit: Tree
    outer_loss: float
    solve: Solve | None = None

    @property
    def total(self) -> Tree:
        """g₁ plus the estimate of g₂."""
        return (Vector.of(self.direct) + Vector.of(self.implicit)).tree()

    @property
    def certificate(self) -> Certificate | None:
        """The guarantee about `implicit`; None where there is none."""
        return None if self.solve is None else self.solve.certificate

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {text}" for name, text in self._shown())
        return f"Hypergradient({shown}{'' if self.solve is None else f', {self.solve!r}'})"

    def _repr_html_(self) -> str:
        rows = self._shown() + ([] if self.solve is None else self.solve._shown())
        return html_table("Hypergradient of L_val in α", ("", ""), rows)

    def _shown(self) -> list[tuple[str, str]]:
        direct, implicit = Vector.of(self.direct), Vector.of(self.implicit)
        lengths = [float(term.norm()) for term in (direct, implicit)]
        rows = [
            ("numbers", f"{direct.numel}"),
            ("‖g₁‖", short(lengths[0])),
            ("‖g₂ estimated‖", short(lengths[1])),
            ("‖sum‖", short(float((direct + implicit).norm()))),
        ]
        if all(0 < length < float("inf") for length in lengths):
            cosine = float(direct.dot(implicit)) / lengths[0] / lengths[1]
            between = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
            rows.append(("angle between them", f"{between:.3g}°"))
        return [*rows, ("L_val", short(self.outer_loss))]

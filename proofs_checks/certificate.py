"""The certificate of T6 in rational arithmetic: every bound it rests on is verified exactly."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from proofs_checks.definitions import Formulas
from proofs_checks.rational import Matrix, identity, is_semidefinite, square


@dataclass(frozen=True)
class Certificate:
    """What is certified of Bq against BH⁻¹v.

    Attributes:
        sine_squared: a bound on sin²∠(Bq, BH⁻¹v); the angle is below 90°.
        norm_squared: ‖Bq‖².
        radius_squared: δ².
    """

    sine_squared: Fraction
    norm_squared: Fraction
    radius_squared: Fraction


def certify(
    formulas: Formulas,
    hessian: Matrix,
    mixed: Matrix,
    slope: Matrix,
    q: Matrix,
    *,
    lowest: Fraction,
    norm_squared: Fraction,
) -> Certificate | None:
    """A certificate that ⟨Bq, BH⁻¹v⟩ > 0, or None where δ is not below ‖Bq‖.

    Args:
        lowest: μ > 0 with |λ(H)| ≥ μ; checked by H² ⪰ μ²I.
        norm_squared: an upper bound of ‖B‖²; checked by BᵀB ⪯ norm_squared · I.

    Raises:
        ValueError: one of the two bounds is false.
    """
    n = hessian.shape[0]
    if not (lowest > 0 and is_semidefinite(hessian @ hessian - lowest**2 * identity(n))):
        raise ValueError(f"H = {hessian} has an eigenvalue below μ = {lowest} in size; lower μ")
    if not is_semidefinite(norm_squared * identity(n) - mixed.T @ mixed):
        raise ValueError(f"‖B‖² exceeds {norm_squared}, B = {mixed}; raise the bound")
    residual = slope - hessian @ q
    radius = Fraction(formulas.certificate_radius_squared(norm_squared, square(residual), lowest))
    length = Fraction(square(mixed @ q))
    if radius >= length:
        return None
    return Certificate(radius / length, length, radius)

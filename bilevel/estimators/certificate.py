"""A bound, checkable at run time, on how far −Bq is from g₂ = −BH⁻¹v (MATH.md, T6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bilevel.krylov.norm_bound import NormBound
from bilevel.shown import html_table, short
from bilevel.vector import Vector

NOT_CHECKED = "second derivatives are right, which bilevel.check has not looked at"
"""What a certificate assumes of derivatives that are not `report.derivatives` of a check."""


@dataclass(frozen=True, repr=False)
class Certificate:
    """A guarantee about the implicit term, and the assumptions that it rests on.

    Attributes:
        angle_degrees: the angle to the true g₂ is at most this; 180 where nothing is known.
        error: ‖g₂ − estimate‖ is at most this. It bounds the error of g₁ + g₂ as well, whose angle
            to dΦ/dα is below 90° if this is below the length of g₁ + estimate, and else unknown.
        relative_error: the same relative to ‖g₂‖; infinite where that may be zero.
        asked_degrees: the angle that was asked for.
        asked_error: the relative error that was asked for; infinite where any will do.
        mu: the lower bound on |λ(H)| that it rests on.
        assumes: the assumptions that were not proved, in words; empty: unconditional.
        zero: whether the estimate and g₂ are both exactly 0, so that there is no angle.
    """

    angle_degrees: float
    error: float
    relative_error: float
    asked_degrees: float
    asked_error: float
    mu: float
    assumes: tuple[str, ...]
    zero: bool = False

    @property
    def holds(self) -> bool:
        """What was asked for is guaranteed (under `assumes`)."""
        near = self.angle_degrees <= self.asked_degrees and (self.sign or self.zero)
        return near and self.relative_error <= self.asked_error

    @property
    def sign(self) -> bool:
        """⟨estimate, g₂⟩ > 0 is guaranteed (under `assumes`)."""
        return self.angle_degrees < 90 and not self.zero

    @property
    def conditional(self) -> bool:
        """Something in `assumes` was estimated and not proved."""
        return bool(self.assumes)

    @property
    def in_short(self) -> str:
        """What it says of the angle, in a few words."""
        if self.zero:
            return "g₂ is 0, exactly"
        if self.angle_degrees >= 180:
            return "nothing is known"
        return f"at most {self.angle_degrees:.3g}°"

    def __repr__(self) -> str:
        return f"Certificate({'; '.join(f'{name}: {text}' for name, text in self._shown())})"

    def _repr_html_(self) -> str:
        return html_table("Certificate of the implicit term", ("", ""), self._shown())

    def _shown(self) -> list[tuple[str, str]]:
        return [
            ("angle to g₂", self.in_short),
            ("asked", f"{self.asked_degrees:.3g}°, {'met' if self.holds else 'NOT met'}"),
            ("relative error", f"at most {self.relative_error:.2g}"),
            ("curvature is at least", short(self.mu)),
            ("assumes", "; ".join(self.assumes) or "nothing"),
        ]


def certify(
    image: Vector,
    solve_error: float,
    norm: NormBound,
    *,
    rounding: float = 0.0,
    mu: float,
    asked_degrees: float,
    asked_error: float,
    assumes: tuple[str, ...] = (),
) -> Certificate:
    """Bound the angle between u = Bq and BH⁻¹v = u + Be, where ‖e‖ ≤ `solve_error`.

    Two bounds, and the smaller counts. Be lies in a ball of radius δ = ‖B‖‖e‖: sin∠ ≤ δ/‖u‖
    (T6). It also lies in the ellipsoid of BBᵀ, of half-width p = ‖e‖‖Bᵀu‖/‖u‖ along u and at
    most s = ‖e‖‖B restricted across u‖ across it: tan∠ ≤ s/(‖u‖ − p) if p < ‖u‖. The second
    needs BBᵀ, and is sharper where u is not along the largest singular direction of B.

    Args:
        image: Bq.
        solve_error: a bound on ‖H⁻¹v − q‖, such as ‖v − Hq‖/μ.
        norm: a bound on ‖B‖, with BBᵀ where it is known.
        rounding: a bound on the error of `image` itself. It counts in δ and p, and across u.
    """
    length = float(image.norm())
    # with B = 0 there is no error, however wrong q is: even where nothing bounds ‖H⁻¹v − q‖
    delta = solve_error * norm.value + rounding if norm.value > 0 else 0.0
    if delta == 0:  # exact, or B = 0: there is no error
        angle = 0.0
    elif length == 0:
        angle = 180.0
    else:
        angle = math.degrees(math.asin(delta / length)) if delta < length else 180.0
        if norm.gram is not None:
            direction = image.flat().to(norm.gram) / length
            pull = norm.gram @ direction
            along = float(direction @ pull)
            cross = torch.outer(direction, pull)
            across = norm.gram - cross - cross.T + along * torch.outer(direction, direction)
            widest = math.sqrt(max(float(torch.linalg.eigvalsh(across)[-1]), 0.0))
            reach = length - solve_error * math.sqrt(max(along, 0.0)) - rounding
            aside = solve_error * widest + (rounding if len(norm.gram) > 1 else 0.0)
            if reach > 0:
                angle = min(angle, math.degrees(math.atan2(aside, reach)))
    unknown = delta > 0 and delta >= length
    return Certificate(
        angle_degrees=angle,
        error=delta,
        relative_error=math.inf if unknown else delta and delta / (length - delta),
        asked_degrees=asked_degrees,
        asked_error=asked_error,
        mu=mu,
        assumes=assumes + norm.assumes,
        zero=delta == 0 and length == 0,
    )

"""A norm over the batch as an affine map per channel, and what derivatives make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Norm:
    """Moments of one tensor over the batch, per channel in float64: ŷ = scale · (y − mean)."""

    mean: Array
    scale: Array
    mean_t: Array
    correlation: Array
    """c: the mean of ŷ ẏ; the tangent of ŷ is scale · (ẏ − mean_t − c ŷ)."""

    @classmethod
    def of(cls, moments: Array, eps: float) -> Norm:
        scale = 1 / np.sqrt(moments[1] + eps)
        return cls(moments[0], scale, moments[2], scale * moments[3])

    def affine(self) -> Array:
        """[a b r e f]: ŷ = a·y + b, and its tangent r·ẏ + e·y + f."""
        a, e = self.scale, -(self.scale**2) * self.correlation
        return np.stack([a, -a * self.mean, a, e, -e * self.mean - a * self.mean_t])

    @classmethod
    def none(cls, channels: int) -> Norm:
        """The identity."""
        zero = np.zeros(channels)
        return cls(zero, zero + 1, zero, zero)

    def projected(self, g: Array, p: Array | None) -> float:
        """⟨g, ŷ⟩ + ⟨p, the tangent of ŷ⟩ by Σg, Σg·y and Σp, Σp·y, Σp·ẏ."""
        value = self.scale * (g[1] - self.mean * g[0])
        if p is not None:
            p_n = self.scale * (p[1] - self.mean * p[0])
            p_t = p[2] - self.mean_t * p[0] - self.correlation * p_n
            value = value + self.scale * p_t
        return float(value.sum())

    def weighted_adjoint(
        self, count: float, w: float, wt: float, g: Array, p: Array | None
    ) -> Array:
        """From g and p, the adjoints of w·ŷ and of its tangent, to those of y and ẏ.

        By their sums, as in `projected`, over `count` pixels. The adjoint of y is
        k0 + k1·g + k2·p + k3·y + k4·ẏ, and that of ẏ is k5 + k6·p + k7·y.

        With t = w·g + ẇ·p and tp = w·p, the adjoints of ŷ and of its tangent ŷ′, and m a mean:
        ŷ′ = s(ẏ − m(ẏ) − c ŷ) gives ẏ the adjoint s(tp − m(tp) − ŷ m(tp ŷ)); and y, through ŷ and
        through the scale s, s(u − m(u) − ŷ m(u ŷ)) − s² ρ ŷ, where u = t − s(c tp + m(tp ŷ) ẏ) and
        ρ = m(tp ẏ) − m(tp) m(ẏ) − c m(tp ŷ).
        """
        s, mean, c, zero = self.scale, self.mean, self.correlation, np.zeros_like(self.scale)
        t = w * g if p is None else w * g + wt * p[:2]
        m_t, m_ty = t / count
        m_tn = s * (m_ty - mean * m_t)
        if p is None:
            y = -(s**2) * m_tn
            return np.stack([-s * m_t - y * mean, w * s, zero, y, zero, zero, zero, zero])
        m_p, m_py, m_pt = w * p / count
        m_pn = s * (m_py - mean * m_p)
        m_u = m_t - s * (c * m_p + m_pn * self.mean_t)
        m_un = m_tn - 2 * s * c * m_pn
        rho = m_pt - m_p * self.mean_t - c * m_pn
        y = -(s**2) * (m_un + s * rho)
        yt = -(s**2) * m_pn
        on_y = [-s * m_u - y * mean, w * s, wt * s - w * s**2 * c, y, yt]
        return np.stack([*on_y, -s * m_p - yt * mean, w * s, yt])

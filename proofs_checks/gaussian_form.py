"""P(zᵀSz < 0) for Gaussian z, from the eigenvalues of S: accurate however small it is."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

Array = np.ndarray


def negative_probability(eigenvalues: Array) -> float:
    """P(Σ λₖZₖ² < 0) for independent standard normal Zₖ.

    The inversion integral −(1/2πi) ∫ exp(K(s))/s ds, K(s) = −½ Σ log(1 − 2λₖs), along the vertical
    line through the saddle point of exp(K(s))/(−s) on the negative axis: there the integrand does
    not cancel, so that small probabilities keep their digits (Imhof's line through 0 gives them to
    10⁻¹⁶ absolute only). Double-exponential quadrature.

    Args:
        eigenvalues: [k], zeros allowed.

    Raises:
        ValueError: none is positive and none negative, so that the answer is not defined.
    """
    values = np.asarray(eigenvalues, dtype=float)
    values = values[np.abs(values) > 1e-14 * np.abs(values).max(initial=0.0)]
    if values.size == 0:
        raise ValueError("negative_probability: all eigenvalues are 0, and the form has no sign")
    if values.min() > 0:
        return 0.0
    if values.max() < 0:
        return 1.0
    values = values / np.abs(values).max()
    end = 1 / (2 * values.min())

    def slope(s: float) -> float:
        """Of K(s) − log(−s): rises from −∞ to ∞ on (end, 0)."""
        return float((values / (1 - 2 * values * s)).sum() - 1 / s)

    saddle = brentq(slope, end * (1 - 1e-12), end * 1e-12, xtol=1e-300, rtol=1e-14)
    curvature = 2 * ((values / (1 - 2 * values * saddle)) ** 2).sum() + 1 / saddle**2
    nodes = np.linspace(-4.0, 4.0, 1025)
    height = np.exp(np.pi / 2 * np.sinh(nodes)) / np.sqrt(curvature)
    weight = height * np.pi / 2 * np.cosh(nodes) * (nodes[1] - nodes[0])
    line = saddle + 1j * height
    exponent = -0.5 * np.log(1 - 2 * np.multiply.outer(line, values)).sum(axis=1)
    return float(-(np.exp(exponent) / line * weight).real.sum() / np.pi)


def form_eigenvalues(left: Array, right: Array) -> Array:
    """The at most 2m non-zero eigenvalues of XᵀY + YᵀX, X and Y [m, n]: uᵀXᵀYu is half the form.

    From the triangle R of a QR factorisation of [Xᵀ Yᵀ]: those of R J Rᵀ, J = [[0, I], [I, 0]].
    """
    rows = len(left)
    scale = np.sqrt(np.linalg.norm(left) / np.linalg.norm(right))
    columns = np.concatenate([left / scale, right * scale]).T
    triangle: Array = np.asarray(np.linalg.qr(columns, mode="r"))
    swapped = np.concatenate([triangle[:, rows:], triangle[:, :rows]], axis=1)
    return np.linalg.eigvalsh(swapped @ triangle.T)

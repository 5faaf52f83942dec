"""What the checks on networks compute: −B H⁻¹ v, and the lowest curvature without forming H."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from proofs_checks.dense_terms import DenseTerms


def network_term(dense: DenseTerms) -> Tensor:
    """g₂ = −B H⁻¹ v (Eq. 5) at a point of a network."""
    return dense.implicit()


def lowest_curvature(hessian: LinearOperator, start: NDArray[np.float64]) -> float:
    """The smallest eigenvalue of H, to about 1e-3 of it: Lanczos from `start`."""
    found = eigsh(hessian, k=1, which="SA", v0=start, tol=1e-3, return_eigenvectors=False)
    return float(found[0])

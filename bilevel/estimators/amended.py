"""The amended estimator: the Hessian stands in for its own inverse (Eq. 6)."""

from dataclasses import dataclass

from bilevel.derivatives import Curvature
from bilevel.estimators.base import ImplicitEstimator
from bilevel.estimators.results import Solve, Status
from bilevel.vector import Vector


@dataclass(frozen=True)
class Amended(ImplicitEstimator):
    """Estimate g₂ by −η · ∇²_αω L_train · H · ∇_ω L_val: one Landweber step on Hq = ∇_ω L_val.

    Two curvature products and no solve; with `CentralDifference`, five gradients (1 outer, 4
    inner). η has units of 1/curvature²: doubling L_train leaves g₂ (Eq. 5) as it was and makes
    this term four times as large.

    The angle to g₂ is not below 90° in general; `proofs_checks/eq7_angle.py` holds
    the conditions under which it is, and an exact counterexample.

    Args:
        eta: amending coefficient η > 0. The paper searches with 0.1 (§4.1.1), which belongs to
            the mean cross-entropy of one batch.

    Raises:
        ValueError: η is not positive and finite.
    """

    eta: float

    def __post_init__(self) -> None:
        if not 0 < self.eta < float("inf"):
            raise ValueError(
                f"Amended(eta={self.eta}): eta must be positive and finite. "
                "For eta = 0, the first-order estimate, use FirstOrder()."
            )

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        q = self.eta * (curvature.hessian @ outer_gradient)
        return Solve(q, products=1, status=Status.TRUNCATED)

"""The identity estimator: the identity stands in for the inverse Hessian (the paper's g₂″)."""

from dataclasses import dataclass

from bilevel.derivatives import Curvature
from bilevel.estimators.base import ImplicitEstimator
from bilevel.estimators.results import Solve, Status
from bilevel.vector import Vector


@dataclass(frozen=True)
class Identity(ImplicitEstimator):
    """Estimate g₂ by −η · ∇²_αω L_train · ∇_ω L_val: one Richardson step on Hq = ∇_ω L_val.

    DARTS's second order without its unrolled point (§3.4). One product with B, none with H.
    η has units of 1/curvature. For H ≻ 0, q is never further in angle from H⁻¹∇_ω L_val than
    `Amended`'s (`proofs_checks/t4_angle_order.py`), yet the angle to g₂ is not below 90° in
    general; for indefinite H its sign can be wrong on average.

    Args:
        eta: coefficient η > 0.

    Raises:
        ValueError: η is not positive and finite.
    """

    eta: float

    def __post_init__(self) -> None:
        if not 0 < self.eta < float("inf"):
            raise ValueError(
                f"Identity(eta={self.eta}): eta must be positive and finite. "
                "For eta = 0, the first-order estimate, use FirstOrder()."
            )

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        return Solve(self.eta * outer_gradient, products=0, status=Status.TRUNCATED)

"""The certificate of T6 for a q that was found in any way."""

from __future__ import annotations

import math

import torch

from bilevel.derivatives import Autograd, Derivatives
from bilevel.estimators.certificate import NOT_CHECKED, Certificate, certify
from bilevel.krylov.norm_bound import norm_bound
from bilevel.point import point_of
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector


@torch.inference_mode(False)
def certificate(
    problem: BilevelProblem,
    omega: Tree,
    alpha: Tree,
    q: Tree,
    *,
    mu: float,
    cosine: float = 0.99,
    derivatives: Derivatives | None = None,
) -> Certificate:
    """Bound the angle and the error of −Bq as an estimate of g₂ = −BH⁻¹∇_ω L_val.

    Cost: one product with H, one with B, and those that bound ‖H‖ and ‖B‖ (`norm_bound`: up to 64
    or 40 each). These bound rounding errors: 10 eps(‖∇_ω L_val‖ + ‖H‖‖q‖) is added to the residual,
    and 10 eps ‖B‖‖q‖ to the error of Bq.

    Args:
        q: what stands for H⁻¹∇_ω L_val, such as `hypergradient.solve.value`.
        mu: a lower bound on |λ(H)|. The certificate is as good as this number.
        cosine: cosine of the angle that `Certificate.holds` compares with.
        derivatives: how products are taken; `Autograd()` by default.

    Raises:
        ValueError: mu is not positive and finite, or cosine not in (0, 1), or q of another
            structure than ω.
    """
    if not 0 < mu < math.inf or not 0 < cosine < 1:
        raise ValueError(
            f"certificate(mu={mu}, cosine={cosine}): mu must be positive and finite, the cosine "
            "between 0 and 1."
        )
    (at, hyper), value = point_of(omega, alpha), Vector.of(q).detach()
    if not value.fits(at):
        raise ValueError(
            f"certificate(q=...) has {value.shapes()}, and ω has {at.shapes()}. Pass one in the "
            "structure of ω, such as hypergradient.solve.value."
        )
    _, outer_gradient, _ = problem.outer_gradients(at, hyper)
    curvature = (derivatives or Autograd())(problem, at, hyper)
    image = curvature.hessian @ value
    # ‖Hq‖ would not do for ‖H‖‖q‖: where H all but cancels q, what is rounded is larger by κ
    steepest = norm_bound(curvature.hessian, symbol="H")
    size = float(outer_gradient.norm()) + steepest.value * float(value.norm())
    lost, norm = 10 * torch.finfo(at.dtype).eps, norm_bound(curvature.mixed)
    return certify(
        curvature.mixed @ value,
        (float((outer_gradient - image).norm()) + lost * size) / mu,
        norm,
        rounding=lost * norm.value * float(value.norm()),
        mu=mu,
        asked_degrees=math.degrees(math.acos(cosine)),
        asked_error=math.inf,
        assumes=(
            *steepest.assumes,
            *(() if curvature.exact else ("products by central differences are exact",)),
            *(() if curvature.checked else (NOT_CHECKED,)),
        ),
    )

"""What an estimator warns of, as types: filter them, or make them errors with `strict=True`."""


class HypergradientWarning(UserWarning):
    """The estimate may point the wrong way; the message says why, with numbers and a remedy."""


class NotPositiveDefinite(HypergradientWarning):
    """The inner Hessian has a direction of curvature ≤ 0: ω is not an isolated inner minimum."""


class NotConverged(HypergradientWarning):
    """Hq = ∇_ω L_val was not solved to the tolerance that was asked for."""


class NotStationary(HypergradientWarning):
    """∇_ω L_train is not small at ω, so that Eq. 5 is not the derivative of Φ there."""


class NotCertified(HypergradientWarning):
    """The angle to g₂ could not be guaranteed within the products allowed."""


class RandomLoss(HypergradientWarning):
    """A loss draws random numbers, so that its values and derivatives belong to several losses."""


class CheckFailed(HypergradientWarning):
    """`bilevel.check` found something wrong with the problem or with products of its curvature."""

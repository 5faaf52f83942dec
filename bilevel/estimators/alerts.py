"""The warnings of estimators, each a type: filter them, or raise them with `strict=True`."""

from __future__ import annotations

import sys
from types import FrameType


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


class SingularHessian(NotPositiveDefinite):
    """The inner Hessian is zero along directions that count: Hq = ∇_ω L_val has no solution."""


class Disconnected(HypergradientWarning):
    """The outer loss does not use ω, so that there is nothing to differentiate through."""


class Stranger(HypergradientWarning):
    """A loss uses trainable parameters that are neither in ω nor in α."""


class ChangedGradient(HypergradientWarning):
    """A hook changes a gradient of a loss, which need not be the derivative of its values then."""


class NeglectedDecay(HypergradientWarning):
    """The inner optimiser decays weights, and L_train does not, so that H lacks the decay."""


def levels_to_the_caller() -> int:
    """The `stacklevel` for `warnings.warn` at which the caller of this package stands."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_back is not None and _is_ours(frame):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    # the decorator that leaves inference mode puts a frame of torch's between ours
    return module.split(".")[0] == __name__.split(".")[0] or module == "torch.utils._contextlib"

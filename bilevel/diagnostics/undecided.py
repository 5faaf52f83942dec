"""What to say where differences of gradients cannot tell whether products are right."""

from __future__ import annotations

import torch

from bilevel.diagnostics.check_report import Finding


def undecided(name: str, *, double: bool) -> Finding:
    """A note on products with `name`, "H" or "B", and the way to know.

    Args:
        double: whether it was looked at in float64, so that more precision is no remedy.
    """
    way = (
        "Check at another point, for ∇_ω L_train may jump at this very one, or with smooth "
        "operations"
        if double
        else "Pass a problem in float64, or one with smooth activations,"
    )
    return Finding(
        "L_train",
        f"differences cannot tell whether products with {name} are right: kinks (ReLU, max "
        f"pooling) or rounding outweigh them at every step. {way} to know.",
        wrong=False,
    )


def too_coarse(coarsest: torch.dtype, own: torch.dtype) -> Finding:
    """A note where no difference was taken.

    Args:
        coarsest: the dtype of least precision in the losses.
        own: that of ω.
    """
    return Finding(
        "the losses",
        f"parts of them are in {coarsest}, and they cannot be evaluated in float64 here, so that "
        f"their derivatives were not compared with differences. Check with those parts in {own}, "
        "such as without torch.autocast, to know.",
        wrong=False,
    )

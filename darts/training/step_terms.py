"""The numbers of one step: losses, a gradient's norm, the terms of the hypergradient."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel import NonFiniteError, Vector, angle
from bilevel.estimators.certificate import Certificate
from darts.records.run_folder import Record


@dataclass(frozen=True)
class StepTerms:
    """Numbers and terms of one step; those of a step that left α alone have no terms.

    Attributes:
        outer_loss: L_val where its gradient was taken.
        inner_loss: L_train at the new α and the old ω.
        inner_gradient_norm: ‖∇_ω L_train‖ there, before clipping.
        direct, implicit: the two terms of the hypergradient.
        certificate: the guarantee about the second, where the estimator gives one.
    """

    outer_loss: Any
    inner_loss: Any
    inner_gradient_norm: Any
    direct: Vector | None = None
    implicit: Vector | None = None
    certificate: Certificate | None = None

    def packed(self) -> Float[Tensor, " k"]:
        """All of it in one float64 tensor, for numbers that are still on a device."""
        numbers = torch.stack([self.outer_loss, self.inner_loss, self.inner_gradient_norm])
        terms = [x.flat().double() for x in (self.direct, self.implicit) if x is not None]
        return torch.cat([numbers, *terms])

    @staticmethod
    def unpacked(packed: Float[Tensor, " k"], alpha: Vector) -> "StepTerms":
        """The inverse of `packed`, on the CPU; one read. `alpha` has the terms' structure.

        Raises:
            NonFiniteError: a loss or norm is not finite; ω and α have moved nevertheless.
        """
        here = packed.cpu()
        outer, inner, length = here[:3].tolist()
        if not torch.isfinite(here).all():
            raise NonFiniteError(
                f"L_val is {outer:.4g}, L_train {inner:.4g} with a gradient of norm {length:.4g}: "
                "one of these, or a term of the hypergradient, is not finite."
            )
        if len(here) == 3:
            return StepTerms(outer, inner, length)
        like = alpha.detach()
        like = Vector(tuple(leaf.cpu() for leaf in like.leaves), like.treespec)
        direct, implicit = (like.like(part.to(like.dtype)) for part in here[3:].chunk(2))
        return StepTerms(outer, inner, length, direct, implicit)

    def record(self) -> Record:
        """Losses, sizes of the two terms, the angle between them, and the one certified to g₂."""
        sizes = [0.0 if x is None else float(x.norm()) for x in (self.direct, self.implicit)]
        certified = {}
        if self.certificate is not None:
            certified["certified_degrees"] = self.certificate.angle_degrees
            certified["certificate_holds"] = self.certificate.holds
        return {
            "train_loss": self.inner_loss,
            "val_loss": self.outer_loss,
            "inner_gradient_norm": self.inner_gradient_norm,
            "direct_norm": sizes[0],
            "implicit_norm": sizes[1],
            "angle_degrees": angle(self.direct, self.implicit) if min(sizes) > 0 else None,
            **certified,
        }

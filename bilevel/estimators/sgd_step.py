"""One step of SGD as a function of the gradient: where it leads, and its derivative."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import SGD, Optimizer

from bilevel.reading import at_most, ratio, read
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class LeafStep:
    """SGD on one leaf: d = g + λω, u = β·buffer + (1 − dampening)d, ω′ = ω − γu.

    Attributes:
        lr, momentum, dampening, weight_decay: γ, β, dampening and λ, of its parameter group; γ may
            be a tensor that stays on its device.
        nesterov: whether the step is ω′ = ω − γ(d + βu).
        maximize: whether g counts with the other sign.
        buffer: the momentum buffer; None before the first step, where u = d.
    """

    lr: float | Tensor
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False
    buffer: Tensor | None = None

    def __call__(self, leaf: Tensor, gradient: Tensor) -> Tensor:
        """ω′."""
        d = -gradient if self.maximize else gradient
        if self.weight_decay:
            d = d + self.weight_decay * leaf
        if self.momentum:
            u = d if self.buffer is None else self.momentum * self.buffer + self._fresh * d
            d = d + self.momentum * u if self.nesterov else u
        return leaf - self.lr * d

    @property
    def rate(self) -> float | Tensor:
        """−∂ω′/∂g, a number: the learning rate that this gradient meets in this step."""
        factor = 1.0
        if self.momentum:
            factor = 1 + self.momentum * self._fresh if self.nesterov else self._fresh
        return -self.lr * factor if self.maximize else self.lr * factor

    @property
    def _fresh(self) -> float:
        return 1.0 if self.buffer is None else 1 - self.dampening


@dataclass(frozen=True)
class SgdStep:
    """A step of SGD on all leaves of ω, after the gradient was clipped.

    Attributes:
        leaves: one `LeafStep` a leaf of ω.
        clip: largest norm of the whole gradient; longer ones are shortened to it. None: no limit.
    """

    leaves: tuple[LeafStep, ...]
    clip: float | None = None

    @staticmethod
    def of(optimizer: Optimizer, omega: Tree, clip: float | None) -> SgdStep:
        """The step that the optimiser is about to take, in each leaf's own parameter group.

        Raises:
            ValueError: the optimiser is not SGD, its step has been replaced by another, or it
                does not hold a leaf.
        """
        # a schedule wraps the step of the instance, torch that of the class
        step = inspect.unwrap(optimizer.step)
        plain = getattr(step, "__func__", step) is inspect.unwrap(SGD.step)
        if not isinstance(optimizer, SGD) or not plain:
            raise ValueError(
                f"DartsSecondOrder() differentiates the inner optimiser's step, and knows that of "
                f"torch.optim.SGD; this one is {type(optimizer).__name__}, or has a "
                "step of its own. Use SGD for ω, give xi "
                "for a plain step of that length, or take an estimator that follows no step, such "
                "as Identity(eta=...)."
            )
        point = Vector.of(omega)
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        missing = [
            name
            for name, leaf in zip(point.names(), point.leaves, strict=True)
            if id(leaf) not in groups
        ]
        if missing:
            raise ValueError(
                f"the inner optimiser does not hold the leaf {missing[0]} of ω. Build it from the "
                "tensors that are passed as ω."
            )
        return SgdStep(
            tuple(
                LeafStep(
                    lr=group["lr"],
                    momentum=group["momentum"],
                    dampening=group["dampening"],
                    weight_decay=group["weight_decay"],
                    nesterov=group["nesterov"],
                    maximize=group["maximize"],
                    buffer=_buffer(optimizer, leaf),
                )
                for leaf in point.leaves
                for group in [groups[id(leaf)]]
            ),
            clip,
        )

    def from_point(self, omega: Vector, gradient: Vector) -> Vector:
        """ω′, from ∇_ω L_train at ω."""
        share = self._shortening(gradient)
        if isinstance(share, Tensor) or share < 1:
            gradient = share * gradient
        leaves = [
            step(leaf, own)
            for step, leaf, own in zip(self.leaves, omega.leaves, gradient.leaves, strict=True)
        ]
        return Vector(tuple(leaves), omega.treespec)

    def pulled_back(self, outer_gradient: Vector, gradient: Vector) -> Vector:
        """−(∂ω′/∂g)ᵀ ∇_ω L_val, which takes the place of q."""
        v = outer_gradient
        leaves = [step.rate * leaf for step, leaf in zip(self.leaves, v.leaves, strict=True)]
        q, share = Vector(tuple(leaves), v.treespec), self._shortening(gradient)
        if not isinstance(share, Tensor) and share == 1:
            return q
        length = read(gradient.norm())
        along = ratio(read(gradient.dot(q)), length, 0.0)
        across = q - ratio(along, length, 0.0) * gradient  # clipping has no derivative along it
        if isinstance(share, Tensor):  # whether it clips is not read
            kept = (share < 1).to(v.dtype)
            across = q + kept * (across - q)
        shortened: Vector = share * across
        return shortened

    def _shortening(self, gradient: Vector) -> Any:
        """What clipping multiplies the gradient by, as `alternation` does."""
        if self.clip is None:
            return 1.0
        return at_most(ratio(self.clip, read(gradient.norm()), 1.0), 1.0)


def _buffer(optimizer: Optimizer, leaf: Tensor) -> Tensor | None:
    # `state` makes an entry where there is none, and estimators write nothing
    buffer = optimizer.state[leaf].get("momentum_buffer") if leaf in optimizer.state else None
    return None if buffer is None else buffer.detach()

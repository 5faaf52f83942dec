"""Half precision in the step of weights: autocast, and the scaling of losses that float16 needs."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bilevel import BilevelProblem, NonFiniteError, Vector
from bilevel.reading import finite, read
from bilevel.solver import inner_step
from bilevel.state import State
from bilevel.vector import Tree
from darts.config.compute import Precision

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class MixedPrecision:
    """Autocast, with a scaler of losses for fp16 (Micikevicius et al. 2018).

    For 32 everything is as without it, bit for bit.

    Args:
        precision: 32, bf16 or fp16.
        device: device of the weights.
    """

    def __init__(self, precision: Precision, device: str) -> None:
        self.dtype = DTYPES.get(precision)
        self.kind = torch.device(device).type
        self.scaler = torch.amp.GradScaler(self.kind, enabled=self.dtype == torch.float16)

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which convolutions and products are in half precision."""
        return nullcontext() if self.dtype is None else torch.autocast(self.kind, self.dtype)

    def inner_step(
        self, problem: BilevelProblem, omega: Tree, alpha: Tree, *, inner: Optimizer, clip: float
    ) -> tuple[float, float]:
        """As `bilevel.solver.inner_step`, with L_train and its gradient in this precision.

        In fp16 a gradient that overflows halves the scale and is taken again, so that no step is
        left out.

        Raises:
            NonFiniteError: the loss is not finite, or in fp16 its gradient at any scale of 1 or
                more. ω is as it was.
        """

        def narrow(omega: Tree, alpha: Tree) -> Tensor:
            with self.autocast():
                return problem.inner(omega, alpha)

        if not self.scaler.is_enabled():
            narrowed = BilevelProblem(narrow, problem.outer)
            return inner_step(narrowed, omega, alpha, inner=inner, clip=clip)
        point = Vector.of(omega)
        scaled = BilevelProblem(lambda w, a: self.scaler.scale(narrow(w, a)), problem.outer)
        while True:
            loss, gradient = scaled.inner_gradient(point, Vector.of(alpha))
            for leaf, own in zip(point.leaves, gradient.leaves, strict=True):
                leaf.grad = own
            loss /= self.scaler.get_scale()
            taken, length = self.step(inner, clip)
            if taken:
                return loss, length

    def step(self, optimizer: Optimizer, clip: float) -> tuple[bool, Any]:
        """One step by the gradients of a scaled loss, clipped; whether it was taken, their norm.

        The norm is a number, or a tensor where numbers are left on the device and none is checked.
        It is not taken, and the scale is halved, where fp16 overflowed.

        Raises:
            NonFiniteError: the norm is not finite, and that is not for the scale.
        """
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        self.scaler.unscale_(optimizer)
        length = read(torch.nn.utils.clip_grad_norm_(weights, clip))
        taken = finite(length)
        if not (self.scaler.is_enabled() and self.scaler.get_scale() > 1):
            require_finite_norm(length)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)
        return taken, length

    def state(self) -> State:
        return dict(self.scaler.state_dict())

    def restore(self, state: State) -> None:
        """Put a state in place."""
        if state:
            self.scaler.load_state_dict(state)


def require_finite_norm(length: Any) -> None:
    """Raise NonFiniteError unless a gradient's norm is finite; one left on the device passes."""
    if not finite(length):
        raise NonFiniteError(f"the gradient has norm {length} although the loss is finite.")

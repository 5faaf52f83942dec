"""The operation of a loss that is differentiated wrongly, found by trying each one alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optree
import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from bilevel.derivatives import Derivatives
from bilevel.diagnostics.agreement import Direction, compared
from bilevel.problem import BilevelProblem
from bilevel.unsupported import nodes
from bilevel.vector import Tree, Vector

CALLS = 2
"""How many calls of one operation are tried."""
MANY = 5
"""So many operations are not wrong at once: then it is the way of differentiating."""
_NO_ARITHMETIC = {"__get__", "__set__", "__setitem__", "backward", "grad", "detach", "clone"}


@dataclass(frozen=True)
class _Call:
    """One call of an operation: what it was given, some of it depending on ω or α."""

    function: Callable[..., Any]
    given: list[Any]
    treespec: optree.PyTreeSpec
    tracked: list[int]


def culprits(
    problem: BilevelProblem, omega: Vector, alpha: Vector, taken: Derivatives, seed: int
) -> list[str]:
    """The operations in L_train that `taken` differentiates wrongly, or cannot, by name.

    Each is tried alone, on the tensors that it got; where none is wrong, within a gradient that
    the loss takes itself. Custom functions, which cannot be tried, are given if nothing is found.
    """
    recorded = _Recording()
    with torch.enable_grad(), recorded:
        value = problem.inner_value(omega.tracked(), alpha.tracked())
    for function in (_plain, _in_a_gradient):
        found = [
            name
            for name, calls in recorded.calls.items()
            if any(_wrong(call, function, taken, seed) for call in calls)
        ]
        if len(found) > MANY:
            return [f"the derivatives themselves: {len(found)} operations tried alone are all off"]
        if found:
            return found
    return sorted(
        {
            f"the custom function {name}"
            for name, node in nodes([value])
            if isinstance(node, BackwardCFunction)
        }
    )


class _Recording(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[_Call]] = {}
        self.seen: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = str(getattr(func, "__name__", func)).lstrip("_")
        together: Any = (args, kwargs or {})
        flat: list[Any]
        flat, treespec = optree.tree_flatten(together, none_is_leaf=True)
        tracked = [
            place
            for place, one in enumerate(flat)
            if isinstance(one, Tensor) and one.requires_grad and one.is_floating_point()
        ]
        if tracked and func.__name__ not in _NO_ARITHMETIC and not name.endswith("_"):
            self.seen[name] += 1
            if self.seen[name] <= CALLS:
                given = [one.detach() if isinstance(one, Tensor) else one for one in flat]
                self.calls.setdefault(name, []).append(_Call(func, given, treespec, tracked))
        return func(*args, **(kwargs or {}))


def _wrong(
    call: _Call,
    shape: Callable[[Callable[[Tree], Tensor]], Callable[[Tree], Tensor]],
    taken: Derivatives,
    seed: int,
) -> bool:
    inputs = [call.given[place].clone() for place in call.tracked]

    def output(leaves: Tree) -> Tensor:
        given = list(call.given)
        for place, leaf in zip(call.tracked, leaves, strict=True):
            given[place] = leaf * 1
        args, kwargs = optree.tree_unflatten(call.treespec, given)
        found = optree.tree_leaves(call.function(*args, **kwargs))
        return torch.cat(
            [
                one.reshape(-1)
                for one in found
                if isinstance(one, Tensor) and one.is_floating_point()
            ]
        )

    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            length = len(output(inputs))
        weights = torch.randn(
            length, generator=generator, dtype=torch.float64, device=generator.device
        ).to(inputs[0])
        loss = shape(lambda leaves: (weights * torch.sin(output(leaves))).sum())
        problem = BilevelProblem(lambda w, a: a * loss(w), lambda w, a: a)
        omega, alpha = Vector.of(inputs), Vector.of(inputs[0].new_ones(()))
        _, gradient, _ = problem.inner_gradients(omega, alpha)
    except Exception:  # an operation that cannot stand alone is not checked
        return False
    try:
        found = compared(
            problem,
            omega,
            alpha,
            taken(problem, omega, alpha),
            gradient,
            Direction.random(omega, alpha, generator),
        )
    except (RuntimeError, ValueError):
        return True
    return found.hessian.wrong and found.hessian.relative > 1e-3


def _plain(loss: Callable[[Tree], Tensor]) -> Callable[[Tree], Tensor]:
    return loss


def _in_a_gradient(loss: Callable[[Tree], Tensor]) -> Callable[[Tree], Tensor]:
    def penalty(leaves: Tree) -> Tensor:
        inputs = [leaf * 1 for leaf in leaves]
        gradients = torch.autograd.grad(loss(inputs), inputs, create_graph=True, allow_unused=True)
        return torch.stack([s.sin().square().sum() for s in gradients if s is not None]).sum()

    return penalty

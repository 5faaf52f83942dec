"""Curvature products from a trace: what does not depend on v runs once, the rest is replayed."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from bilevel.array_program import ArrayFunction, ArrayProgram, NotHeldError
from bilevel.derivatives import Autograd, Curvature, Derivatives
from bilevel.linear import Action, FlatAction, LinearOperator
from bilevel.problem import BilevelProblem, gradient_in_omega
from bilevel.torch_program import TorchProgram, tidied
from bilevel.vector import Vector

aten = torch.ops.aten
# fused derivatives, written out: the factor that does not depend on v is then computed once
WRITTEN_OUT: Any = get_decompositions(
    [
        aten._log_softmax,
        aten._softmax,
        aten._log_softmax_backward_data,
        aten._softmax_backward_data,
        aten.tanh_backward,
        aten.sigmoid_backward,
        aten.silu_backward,
        aten.gelu_backward,
        aten.softplus_backward,
        aten.elu_backward,
        aten.rsub,
    ]
)


@dataclass(frozen=True)
class Traced(Derivatives):
    """Exact products, like `Autograd`, for many products on one problem.

    The computation of v ↦ (Hv, Bv) is traced once for a problem. What does not depend on v (all of
    the loss and its gradient) runs once a point; what is linear in v is replayed for every product
    without the work of the autograd engine: on the CPU in float32 and float64 on buffers laid out
    beforehand (`ArrayProgram`), elsewhere by torch (`TorchProgram`). On the CPU arithmetic, sums
    and matrix products are compiled where the machine has a C++ compiler (`BILEVEL_NATIVE=off`
    forbids it; `compiled_steps`), and NumPy runs the rest. L_val and its gradients are replayed
    likewise, on the CPU.

    Cost: the traces, 0.2 to 1 s for losses of some 20 operations and more for larger ones, and for
    shapes that are new to the machine as much again for the compiler. They are kept with this
    object and serve every later point of the same problem, and no other problem with the same
    shapes: each minibatch is one. Then a product takes 0.2 (small matrices) to 0.5 (convolutions)
    times that of `Autograd`, see `docs/WHICH_ESTIMATOR.md`. Below some 500 products a problem, use
    `Autograd`. On the CPU, operations other than matrix products take one thread.

    On the CPU a trace holds the values of one point at a time: products at several points in turns
    are right and evaluate the loss again at each turn. Not for several threads at once.

    The losses must do the same operations whatever the values: no branch on a number, no random
    draw, no operation in place; and tensors that they close over must stay as they are. (An L_val
    that a trace cannot follow is left to autograd.) The transpose of B is taken by `Autograd`,
    where it is asked for.

    Raises:
        ValueError: the inner loss cannot be traced, with the reason.
    """

    _traces: MutableMapping[BilevelProblem, dict[Any, ArrayProgram | TorchProgram]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )
    _outer_traces: MutableMapping[BilevelProblem, dict[Any, ArrayFunction | None]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        omega, alpha = omega.detach(), alpha.detach()
        key, traces = _kinds(omega, alpha), self._traces.setdefault(problem, {})
        if key not in traces:
            traces[key] = _trace(problem, omega, alpha)
        at = traces[key].at(omega.flat(), alpha.flat())

        @cache
        def transposed() -> LinearOperator:
            return Autograd()(problem, omega, alpha).mixed.T

        along_omega, along_alpha = _on_leaves(at.hessian, omega), _on_leaves(at.mixed, alpha)
        return Curvature(
            LinearOperator(omega, omega, along_omega, along_omega, flat_action=at.hessian),
            LinearOperator(
                omega, alpha, along_alpha, lambda u: transposed() @ u, flat_action=at.mixed
            ),
            omega.like(at.gradient),
        )

    def outer_gradients(
        self, problem: BilevelProblem, omega: Vector, alpha: Vector
    ) -> tuple[float, Vector, Vector]:
        omega, alpha = omega.detach(), alpha.detach()
        key, traces = _kinds(omega, alpha), self._outer_traces.setdefault(problem, {})
        if key not in traces:
            traces[key] = _trace_outer(problem, omega, alpha)
        function = traces[key]
        if function is None:
            return problem.outer_gradients(omega, alpha)
        found = function(omega.flat(), alpha.flat())
        value, end = float(found[0]), 1 + omega.numel
        if not math.isfinite(value):  # it says what is wrong
            return problem.outer_gradients(omega, alpha)
        return value, omega.like(found[1:end]), alpha.like(found[end:])


def _kinds(omega: Vector, alpha: Vector) -> Any:
    return tuple((v.treespec, tuple(_kind(leaf) for leaf in v.leaves)) for v in (omega, alpha))


def _on_leaves(product: FlatAction, codomain: Vector) -> Action:
    return lambda v: codomain.like(product(v.flat()))


def _kind(leaf: Tensor) -> tuple[Any, ...]:
    return leaf.shape, leaf.dtype, leaf.device


def _trace(problem: BilevelProblem, omega: Vector, alpha: Vector) -> ArrayProgram | TorchProgram:
    with torch.enable_grad():  # what is wrong with the loss is said as `Autograd` says it
        at = omega.tracked()
        gradient_in_omega(problem.inner_value(at, alpha), at)

    n, m = len(omega.leaves), len(alpha.leaves)

    def products(*leaves: Tensor) -> tuple[Tensor, ...]:
        w, a, v = leaves[:n], leaves[n : n + m], leaves[n + m :]
        with torch.enable_grad():
            at = Vector(tuple(leaf.detach().requires_grad_() for leaf in w), omega.treespec)
            hyper = Vector(tuple(leaf.detach().requires_grad_() for leaf in a), alpha.treespec)
            value = problem.inner(at.tree(), hyper.tree())
            gradient = torch.autograd.grad(value, at.leaves, create_graph=True)
            live = [(g, x) for g, x in zip(gradient, v, strict=True) if g.requires_grad]
            if not live:
                raise ValueError("the gradient is constant: H and B are zero")
            images = torch.autograd.grad(
                [g for g, _ in live],
                at.leaves + hyper.leaves,
                [x for _, x in live],
                materialize_grads=True,
            )
        return gradient + images

    example = (*omega.leaves, *alpha.leaves, *(torch.ones_like(leaf) for leaf in omega.leaves))
    try:
        graph = _graph_of(products, example)
    except Exception as error:
        raise ValueError(
            f"Traced() could not follow the inner loss ({type(error).__name__}: {error}). It must "
            "not branch on values. Use Autograd(), which can do all that autograd can."
        ) from error
    _refuse_effects(graph)
    graph = tidied(graph)
    try:
        return ArrayProgram(graph, n)
    except NotHeldError:
        return TorchProgram(graph, n)


def _trace_outer(problem: BilevelProblem, omega: Vector, alpha: Vector) -> ArrayFunction | None:
    """L_val and its gradients in ω and α; None where they are to be taken by autograd."""
    problem.outer_gradients(omega, alpha)  # what is wrong with the loss is said by it
    n = len(omega.leaves)

    def gradients(*leaves: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            tracked = tuple(leaf.detach().requires_grad_() for leaf in leaves)
            at = Vector(tracked[:n], omega.treespec)
            value = problem.outer(at.tree(), Vector(tracked[n:], alpha.treespec).tree())
            return value, *torch.autograd.grad(value, tracked, materialize_grads=True)

    try:
        graph = _graph_of(gradients, (*omega.leaves, *alpha.leaves))
        _refuse_effects(graph)
        return ArrayFunction(tidied(graph))
    except Exception:  # whatever a trace cannot follow, autograd can
        return None


def _graph_of(function: Callable[..., tuple[Tensor, ...]], example: tuple[Tensor, ...]) -> fx.Graph:
    """The operations of the function, without those that nobody reads."""
    traced = make_fx(function, decomposition_table=WRITTEN_OUT)(*example)
    # autograd writes into fresh tensors of its own, which the second pass makes new ones
    graph = make_fx(torch.func.functionalize(traced))(*example).graph
    graph.eliminate_dead_code()
    return graph


def _refuse_effects(graph: fx.Graph) -> None:
    """Replaying a random draw or a write would not give the same numbers again."""
    for node in graph.nodes:
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            continue
        random = torch.Tag.nondeterministic_seeded in target.tags
        if random or target._schema.is_mutable:
            what = "draws random numbers" if random else "writes in place"
            raise ValueError(
                f"Traced() cannot replay {target}, which {what}. Use Autograd(), or take the "
                "operation out of the inner loss."
            )

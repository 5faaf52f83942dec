"""Curvature products from a trace: what does not depend on v runs once, the rest is replayed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from bilevel.derivatives import Autograd, Curvature
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem, gradient_in_omega
from bilevel.vector import Vector


@dataclass(frozen=True)
class Traced:
    """Exact products, like `Autograd`, for many products on one problem.

    The computation of v ↦ (Hv, Bv) is traced once for a problem and cut in two: what does not
    depend on v (all of the loss and its gradient), run once a point, and what is linear in v,
    compiled and replayed for every product without the work of the autograd engine.

    Cost: the trace, 0.1 to 0.5 s for a loss of some 20 operations and more for larger ones. It is
    kept with this object and serves every later point of the same problem, and no other problem
    with the same shapes: each minibatch is one. Then a product takes 0.2 (small batch) to 0.8
    (dominated by matrix products) times that of `Autograd`, see `docs/WHICH_ESTIMATOR.md`. Below
    some 1000 products a problem, use `Autograd`. `torch.compile` of the linear part took 5 to
    11 s, and its products were slower than these.

    The loss must do the same operations whatever the values: no branch on a number, no random
    draw, no operation in place. The transpose of B is taken by `Autograd`, where it is asked for.

    Raises:
        ValueError: the loss cannot be traced, with the reason.
    """

    _traces: MutableMapping[BilevelProblem, dict[Any, Split]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        omega, alpha = omega.detach(), alpha.detach()
        key = tuple((v.treespec, tuple(_kind(leaf) for leaf in v.leaves)) for v in (omega, alpha))
        traces = self._traces.setdefault(problem, {})
        if key not in traces:
            traces[key] = _split(problem, omega, alpha)
        split = traces[key]
        with torch.no_grad():
            constants = split.constants(*omega.leaves, *alpha.leaves)
        gradient = Vector(tuple(constants[: len(omega.leaves)]), omega.treespec)
        hessian = _replay(split.hessian, constants, omega)
        mixed = _replay(split.mixed, constants, alpha)

        @cache
        def transposed() -> LinearOperator:
            return Autograd()(problem, omega, alpha).mixed.T

        return Curvature(
            LinearOperator(omega, omega, hessian, hessian),
            LinearOperator(omega, alpha, mixed, lambda u: transposed() @ u),
            gradient,
        )


@dataclass(frozen=True)
class Split:
    """A traced product in two parts: (ω, α) ↦ constants, and (v, constants) ↦ Hv or Bv.

    The first constants are ∇_ω L_train.
    """

    constants: Callable[..., tuple[Tensor, ...]]
    hessian: Callable[..., tuple[Tensor, ...]]
    mixed: Callable[..., tuple[Tensor, ...]]


def _replay(
    part: Callable[..., tuple[Tensor, ...]], constants: tuple[Tensor, ...], codomain: Vector
) -> Callable[[Vector], Vector]:
    def product(v: Vector) -> Vector:
        with torch.no_grad():
            return Vector(tuple(part(*v.leaves, *constants)), codomain.treespec)

    return product


def _kind(leaf: Tensor) -> tuple[Any, ...]:
    return leaf.shape, leaf.dtype, leaf.device


def _split(problem: BilevelProblem, omega: Vector, alpha: Vector) -> Split:
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
        traced = make_fx(products)(*example)
        # autograd writes into fresh tensors of its own, which the second pass makes new ones
        graph = make_fx(torch.func.functionalize(traced))(*example).graph
    except Exception as error:
        raise ValueError(
            f"Traced() could not follow the inner loss ({type(error).__name__}: {error}). It must "
            "not branch on values. Use Autograd(), which can do all that autograd can."
        ) from error
    graph.eliminate_dead_code()
    _refuse_effects(graph)
    return _cut(graph, n)


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


def _cut(graph: fx.Graph, leaves: int) -> Split:
    """Sort the nodes by whether they depend on v, the last `leaves` inputs."""
    nodes, owner = list(graph.nodes), graph.owning_module
    assert owner is not None
    inputs = [node for node in nodes if node.op == "placeholder"]
    directions = inputs[-leaves:]
    dependent = set(directions)
    for node in nodes:
        if any(source in dependent for source in node.all_input_nodes):
            dependent.add(node)
    results = list(nodes[-1].args[0])
    gradient, hessian, mixed = results[:leaves], results[leaves : 2 * leaves], results[2 * leaves :]
    # what the linear part reads of the other one, each once and after the gradient
    border = list(
        dict.fromkeys(
            source
            for node in nodes
            if node in dependent and node.op != "output"
            for source in node.all_input_nodes
            if source not in dependent
        )
    )
    border += [n for n in (*hessian, *mixed) if n not in dependent and n not in border]  # zeros
    outputs = [*gradient, *border]

    constant_graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in nodes[:-1]:
        if node not in dependent:
            copies[node] = constant_graph.node_copy(node, copies.__getitem__)
    constant_graph.output(tuple(copies[node] for node in outputs))

    def linear_part(results: list[fx.Node]) -> Callable[..., tuple[Tensor, ...]]:
        part = fx.Graph()
        copies = {node: part.placeholder(node.name) for node in directions}
        for position in range(len(gradient)):
            part.placeholder(f"gradient_{position}")
        for position, node in enumerate(border):
            copies[node] = part.placeholder(f"constant_{position}")
        for node in nodes[:-1]:
            if node in dependent and node.op != "placeholder":
                copies[node] = part.node_copy(node, copies.__getitem__)
        part.output(tuple(copies[node] for node in results))
        part.eliminate_dead_code()
        return Compiling(fx.GraphModule(owner, part))

    return Split(
        fx.GraphModule(owner, constant_graph),
        linear_part(hessian),
        linear_part(mixed),
    )


class Compiling:
    """A graph that is compiled to TorchScript on its first arguments, where TorchScript can.

    Its interpreter takes about half the time of the graph's Python code.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        self.module = module
        self.compiled: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        if self.compiled is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's notices on the future of TorchScript
                try:
                    trace: Any = torch.jit.trace
                    self.compiled = trace(self._call, arguments, check_trace=False)
                except (RuntimeError, AttributeError):  # an operation that it does not know
                    self.compiled = self.module
        return self.compiled(*arguments)

    def _call(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        result: tuple[Tensor, ...] = self.module(*arguments)
        return result

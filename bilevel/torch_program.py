"""A graph that is linear in some inputs: tidied, and cut where it begins to depend on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._functorch.compile_utils import fx_graph_cse

from bilevel.array_program import downstream

aten = torch.ops.aten
FlatAction = Callable[[Tensor], Tensor]
FILLED: dict[Any, float | None] = {
    aten.zeros_like.default: 0,
    aten.ones_like.default: 1,
    aten.full_like.default: None,  # its argument says
}


class TorchProgram:
    """(ω, α) ↦ ∇_ω L_train and v ↦ Hv, Bv, all of them flat, run by torch on any device.

    Args:
        graph: leaves of ω, of α and of v ↦ leaves of ∇_ω L_train, of Hv and of Bv.
        leaves: how many leaves ω has.
    """

    def __init__(self, graph: fx.Graph, leaves: int) -> None:
        nodes, owner = list(graph.nodes), graph.owning_module
        assert owner is not None
        inputs = [node for node in nodes if node.op == "placeholder"]
        point, directions = inputs[:-leaves], inputs[-leaves:]
        self.leaves, self.point = leaves, [node.meta["val"].shape for node in point]
        dependent = downstream(nodes, directions)
        results = list(nodes[-1].args[0])
        wanted = results[leaves : 2 * leaves], results[2 * leaves :]
        # what the linear parts read of the other one, each once
        border = list(
            dict.fromkeys(
                source
                for node in nodes
                if node in dependent or node.op == "output"
                for source in node.all_input_nodes
                if source not in dependent
            )
        )
        self.constants = _subgraph(
            owner, [n for n in nodes if n not in dependent], results[:leaves] + border
        )
        linear = [n for n in nodes if n in dependent and n.op not in ("placeholder", "output")]
        self.hessian, self.mixed = (
            Replay(
                _subgraph(owner, directions + linear, part, inputs=directions + border), directions
            )
            for part in wanted
        )

    @torch.no_grad()
    def at(self, omega: Tensor, alpha: Tensor) -> TorchPoint:
        """The products at a point."""
        both = torch.cat([omega, alpha])
        found = self.constants(*_leaves(both, self.point))
        gradient, constants = found[: self.leaves], found[self.leaves :]
        return TorchPoint(
            torch.cat([leaf.reshape(-1) for leaf in gradient]),
            self.hessian.at(constants),
            self.mixed.at(constants),
        )


@dataclass(frozen=True)
class TorchPoint:
    """Products with H and B at one (ω, α), and ∇_ω L_train there."""

    gradient: Tensor
    hessian: FlatAction
    mixed: FlatAction


def _subgraph(
    owner: fx.GraphModule,
    nodes: list[fx.Node],
    results: list[fx.Node],
    inputs: Sequence[fx.Node] = (),
) -> fx.GraphModule:
    """The nodes alone, with `inputs` given as arguments, in this order."""
    part = fx.Graph()
    copies = {node: part.placeholder(node.name) for node in inputs}
    for node in nodes:
        if node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(tuple(copies[node] for node in results))
    part.eliminate_dead_code()
    return fx.GraphModule(owner, part)


def _leaves(flat: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    parts = torch.split(flat, [shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


class Replay:
    """A graph run by torch, compiled to TorchScript on its first arguments where that can be.

    Its interpreter takes about half the time of the graph's Python code.
    """

    def __init__(self, module: fx.GraphModule, directions: Sequence[fx.Node]) -> None:
        self.module = module
        self.shapes = [node.meta["val"].shape for node in directions]
        self.compiled: Callable[..., tuple[Tensor, ...]] | None = None

    def at(self, constants: tuple[Tensor, ...]) -> FlatAction:
        """v ↦ images with these constants, both flat."""

        @torch.no_grad()
        def product(x: Tensor) -> Tensor:
            images = self._run(*_leaves(x, self.shapes), *constants)
            return torch.cat([image.reshape(-1) for image in images])

        return product

    def _run(self, *arguments: Tensor) -> tuple[Tensor, ...]:
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


def tidied(graph: fx.Graph) -> fx.Graph:
    """Without additions of zero, without what is computed twice, without what nobody reads."""
    for node in list(graph.nodes):
        if node.target in FILLED:
            _add_nothing(_as_constant(node))
    graph.eliminate_dead_code()
    owner = graph.owning_module
    tidied: fx.Graph = fx_graph_cse(graph)
    tidied.owning_module = owner
    return tidied


def _as_constant(node: fx.Node) -> fx.Node:
    """Replace what is filled in the shape of a tensor: it does not depend on that tensor."""
    value, graph = node.meta["val"], node.graph
    fill = FILLED[node.target]
    with graph.inserting_before(node):
        constant = graph.call_function(
            aten.full.default,
            (list(value.shape), node.args[1] if fill is None else fill),
            {"dtype": value.dtype, "device": value.device},
        )
    constant.meta = dict(node.meta)
    node.replace_all_uses_with(constant)
    return constant


def _add_nothing(constant: fx.Node) -> None:
    """Take out the additions of the constant if it is zero."""
    if constant.args[1] != 0:
        return
    for user in list(constant.users):
        if user.target is aten.add.Tensor and not user.kwargs:
            first, second = user.args
            other = second if first is constant else first
            if isinstance(other, fx.Node) and _same_kind(other, user):
                user.replace_all_uses_with(other)


def _same_kind(one: fx.Node, other: fx.Node) -> bool:
    a, b = one.meta["val"], other.meta["val"]
    return bool(a.shape == b.shape and a.dtype == b.dtype)

"""A traced product as a list of array operations, run by NumPy on buffers laid out once."""

from __future__ import annotations

import operator
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, fx

aten = torch.ops.aten
Array = NDArray[Any]
Step = Callable[[], Any]

ELEMENTWISE: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: np.add,
    aten.sub.Tensor: np.subtract,
    aten.mul.Tensor: np.multiply,
    aten.mul.Scalar: np.multiply,
    aten.div.Tensor: np.divide,
    aten.div.Scalar: np.divide,
    aten.neg.default: np.negative,
    aten.exp.default: np.exp,
    aten.log.default: np.log,
    aten.tanh.default: np.tanh,
}
REDUCTIONS: dict[Any, Callable[..., Any]] = {
    aten.sum.dim_IntList: np.add.reduce,
    aten.amax.default: np.maximum.reduce,
}
RESHAPES = (aten.view.default, aten._unsafe_view.default, aten.reshape.default)
PRODUCTS = (aten.mm.default, aten.bmm.default)
HELD = {torch.float32, torch.float64, torch.bool, torch.int64, torch.int32, torch.uint8}


class NotHeldError(ValueError):
    """A value has no counterpart in NumPy: another device, or a type such as bfloat16."""


class ArrayProgram:
    """(ω, α) ↦ ∇_ω L_train and v ↦ Hv, Bv, all of them flat, from their traced graph.

    Every value has its place before the first run, views included, so that a run is a list of
    calls with nothing to look up, allocate or count. What does not depend on v runs once a point,
    what does not depend on ω or α either once. Values that are never alive together share a buffer.
    A matrix with more rows than columns is laid out by columns: the long axis is then the one that
    is vectorised over. What NumPy has no operation for here runs in torch, on the same memory.

    The buffers hold one point at a time. Going back to an earlier one evaluates it again, and
    several threads cannot use them at once.

    Args:
        graph: leaves of ω, of α and of v ↦ leaves of ∇_ω L_train, of Hv and of Bv. Its nodes
            have `meta["val"]`, as `make_fx` leaves them.
        leaves: how many leaves ω has.

    Raises:
        NotHeldError: a value is not on the CPU, or of a type that NumPy does not have.
    """

    def __init__(self, graph: fx.Graph, leaves: int) -> None:
        *nodes, output = graph.nodes
        for node in nodes:
            _check_held(node)
        inputs = [node for node in nodes if node.op == "placeholder"]
        point, directions = inputs[:-leaves], inputs[-leaves:]
        results = list(output.args[0])
        gradient = results[:leaves]
        moving, linear = downstream(nodes, inputs), downstream(nodes, directions)
        self.point, self.direction = _Stack(point), _Stack(directions)
        self.gradient = _Stack(gradient)
        values: dict[fx.Node, Any] = self.point.places | self.direction.places

        read_later = {s for n in linear for s in n.all_input_nodes} | set(results)
        once = [n for n in nodes if n not in moving]
        _Steps(once, values, None, graph.owning_module, keep=set(once)).run()
        self.once_a_point = _Steps(
            [n for n in nodes if n in moving and n not in linear and n not in inputs],
            values,
            self.gradient,
            keep=read_later,
        )
        self.products = {}
        for name, wanted in (
            ("hessian", results[leaves : 2 * leaves]),
            ("mixed", results[2 * leaves :]),
        ):
            needed = _upstream(wanted)
            stack = _Stack(wanted)
            part = [n for n in nodes if n in linear and n in needed and n not in inputs]
            self.products[name] = stack, _Steps(part, dict(values), stack)
        self.loaded: Callable[[], object] = lambda: None

    def at(self, omega: Float[Tensor, " n"], alpha: Float[Tensor, " m"]) -> ArrayPoint:
        """The products at a point."""
        return ArrayPoint(self, torch.cat([omega, alpha]))


class ArrayPoint:
    """Products with H and B at one (ω, α), and ∇_ω L_train there."""

    def __init__(self, program: ArrayProgram, place: Float[Tensor, " both"]) -> None:
        self.program, self.place = program, place.detach()
        self._load()
        self.gradient = torch.from_numpy(program.gradient.flat.copy())

    def hessian(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return self._product("hessian", v)

    def mixed(self, v: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        return self._product("mixed", v)

    def _product(self, name: str, v: Tensor) -> Tensor:
        self._load()
        result, steps = self.program.products[name]
        np.copyto(self.program.direction.flat, v.detach().numpy())
        steps.run()
        return torch.from_numpy(result.flat.copy())

    def _load(self) -> None:
        """Make the buffers those of this point."""
        if self.program.loaded() is self:
            return
        np.copyto(self.program.point.flat, self.place.numpy())
        self.program.once_a_point.run()
        self.program.loaded = weakref.ref(self)


class _Stack:
    """One flat array, and its parts as places for the values of nodes."""

    def __init__(self, nodes: Sequence[fx.Node]) -> None:
        sizes = [node.meta["val"].numel() for node in nodes]
        self.flat = np.empty(sum(sizes), _numpy_type(nodes[0].meta["val"].dtype))
        ends = np.cumsum(sizes).tolist()
        self.parts = [
            (node, self.flat[end - size : end].reshape(tuple(node.meta["val"].shape)))
            for node, size, end in zip(nodes, sizes, ends, strict=True)
        ]

    @property
    def places(self) -> dict[fx.Node, Array]:
        return dict(self.parts)


class _Steps:
    """The computation of some nodes as a list of calls.

    Args:
        nodes: in the order of the graph.
        values: where the values of other nodes lie; those of `nodes` are added.
        result: where results are to be found in the end.
        owner: of the tensors that the graph refers to.
        keep: nodes that are read after the last step.
    """

    def __init__(
        self,
        nodes: Sequence[fx.Node],
        values: dict[fx.Node, Any],
        result: _Stack | None,
        owner: fx.GraphModule | None = None,
        keep: set[fx.Node] | None = None,
    ) -> None:
        self.values, self.owner = values, owner
        self.steps: list[Step] = []
        parts = [] if result is None else result.parts
        memory = _Memory(nodes, dict(parts), keep)
        for node in nodes:
            self._add(node, memory)
        for node, place in parts:
            if values[node] is not place:
                self.steps.append(partial(np.copyto, place, values[node]))

    def run(self) -> None:
        with np.errstate(all="ignore"):  # what is not finite is for the caller to judge
            for step in self.steps:
                step()

    def _add(self, node: fx.Node, memory: _Memory) -> None:
        """Append the steps that compute the node, and note where its value lies."""
        target: Any = node.target
        plain, values = not node.kwargs, self.values
        if node.op == "get_attr":
            value = getattr(self.owner, str(target)).detach().numpy()
            values[node] = np.asfortranarray(value) if _is_tall(value.shape) else value
            return
        arguments: Any = fx.map_arg(node.args, lambda source: values[source])
        if target is operator.getitem:
            values[node] = arguments[0][arguments[1]]
        elif target in RESHAPES and _same_memory(arguments[0], shape := _shape(node)):
            values[node] = arguments[0].reshape(shape)
        elif target in RESHAPES:
            source, out = arguments[0], memory.place(node, by_rows=True)
            values[node] = out
            self.steps.append(partial(np.copyto, out.reshape(source.shape), source))
        elif _is_view(node):
            seen = target(*_in_torch(arguments), **node.kwargs)
            values[node] = torch.utils._pytree.tree_map(Tensor.numpy, seen)
        elif target in ELEMENTWISE and plain:
            memory.release(node)  # an operand that is not needed again is overwritten
            values[node] = memory.place(node)
            self.steps.append(partial(ELEMENTWISE[target], *arguments, out=values[node]))
        elif target in PRODUCTS and plain:
            values[node] = memory.place(node)
            self.steps.append(_product(arguments[0], arguments[1], values[node]))
        elif target is aten.addmm.default and plain:
            values[node] = out = memory.place(node)
            self.steps.append(_product(arguments[1], arguments[2], out))
            self.steps.append(partial(np.add, out, arguments[0], out=out))
        elif target in REDUCTIONS and plain and len(arguments) > 1 and arguments[1]:
            source, axes, *keep = arguments
            values[node] = out = memory.place(node)
            reduce = partial(REDUCTIONS[target], source, tuple(axes), None, out, *keep)
            self.steps.append(reduce)
        else:
            values[node] = memory.place(node)
            self.steps.append(partial(_by_torch, node, _in_torch(arguments), values[node]))
        memory.release(node)


class _Memory:
    """Buffers, given out again when what they hold is not needed any more."""

    def __init__(
        self, nodes: Sequence[fx.Node], places: dict[fx.Node, Array], keep: set[fx.Node] | None
    ) -> None:
        self.places = places
        self.free: dict[tuple[Any, int], list[Array]] = defaultdict(list)
        self.held: dict[fx.Node, Array] = {}
        lies_in: dict[fx.Node, set[fx.Node]] = {}
        last: dict[fx.Node, fx.Node | None] = {}
        for node in nodes:
            lies_in[node] = {node}
            if _is_view(node) or node.target in RESHAPES or node.target is operator.getitem:
                lies_in[node] |= {o for s in node.all_input_nodes for o in lies_in.get(s, ())}
            for source in node.all_input_nodes:
                last.update(dict.fromkeys(lies_in.get(source, ()), node))
        for kept in {*places, *(keep or ())}:
            last.update(dict.fromkeys(lies_in.get(kept, ()), None))
        self.dying: dict[fx.Node | None, list[fx.Node]] = defaultdict(list)
        for owner, reader in last.items():
            self.dying[reader].append(owner)

    def place(self, node: fx.Node, *, by_rows: bool = False) -> Any:
        """Where the value of the node will lie; several arrays for several values."""
        if node in self.places:
            return self.places[node]
        value = node.meta["val"]
        if not isinstance(value, Tensor):
            return tuple(None if part is None else _empty_like(part) for part in value)
        kind = (_numpy_type(value.dtype), value.numel())
        raw = self.free[kind].pop() if self.free[kind] else np.empty(kind[1], kind[0])
        self.held[node] = raw
        shape = _shape(node)
        if _is_tall(shape) and not by_rows:
            return raw.reshape(shape[::-1]).T
        return raw.reshape(shape)

    def release(self, node: fx.Node) -> None:
        """Take back the buffers that the node was the last to read."""
        for owner in self.dying[node]:
            if owner in self.held:
                raw = self.held.pop(owner)
                self.free[raw.dtype, raw.size].append(raw)


def _product(a: Array, b: Array, out: Array) -> Step:
    """out = ab, computed as outᵀ = bᵀaᵀ where out is laid out by columns."""
    if out.ndim == 2 and not out.flags.c_contiguous:
        a, b, out = b.T, a.T, out.T
    return partial(np.matmul, a, b, out=out)


def _by_torch(node: fx.Node, arguments: Any, places: Any) -> None:
    target: Any = node.target
    found = target(*arguments, **node.kwargs)
    if isinstance(found, Tensor):
        found, places = (found,), (places,)
    for value, place in zip(found, places, strict=True):
        if place is not None:
            np.copyto(place, value.numpy())


def _in_torch(arguments: Any) -> Any:
    """The same arguments, arrays as tensors on the same memory."""
    return torch.utils._pytree.tree_map_only(np.ndarray, torch.from_numpy, arguments)


def downstream(nodes: Sequence[fx.Node], sources: Sequence[fx.Node]) -> set[fx.Node]:
    """The sources and all that depends on them."""
    found = set(sources)
    for node in nodes:
        if any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def _upstream(results: Sequence[fx.Node]) -> set[fx.Node]:
    """The results and all that they depend on."""
    found, waiting = set(), list(results)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


def _is_view(node: fx.Node) -> bool:
    """Whether the operation gives another look at its argument, by what its schema says."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    return any(result.alias_info is not None for result in node.target._schema.returns)


def _same_memory(array: Array, shape: tuple[int, ...]) -> bool:
    """Whether the array can be seen in that shape without a copy."""
    return np.may_share_memory(array, array.reshape(shape))


def _is_tall(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] > shape[1]


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _empty_like(value: Tensor) -> Array:
    return np.empty(tuple(value.shape), _numpy_type(value.dtype))


def _numpy_type(dtype: torch.dtype) -> Any:
    return torch.empty(0, dtype=dtype).numpy().dtype


def _check_held(node: fx.Node) -> None:
    for value in torch.utils._pytree.tree_leaves(node.meta["val"]):
        if isinstance(value, Tensor) and not (
            value.device.type == "cpu" and value.dtype in HELD and value.layout is torch.strided
        ):
            raise NotHeldError(f"{node} is {value.dtype} on {value.device}")

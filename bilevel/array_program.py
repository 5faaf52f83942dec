"""A traced product as a list of array operations, run by NumPy on buffers laid out once."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, fx

from bilevel.array_memory import RESHAPES, Memory, is_tall, is_view, numpy_type, shape_of
from bilevel.compiled_steps import compiled, is_silent

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
        _compile(self.once_a_point, *(steps for _, steps in self.products.values()))
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


class ArrayFunction:
    """(ω, α) ↦ the results of a traced graph, one after the other in one flat tensor.

    Args:
        graph: leaves of ω and of α ↦ tensors of one type.

    Raises:
        NotHeldError: a value is not on the CPU, or of a type that NumPy does not have.
    """

    def __init__(self, graph: fx.Graph) -> None:
        *nodes, output = graph.nodes
        for node in nodes:
            _check_held(node)
        inputs = [node for node in nodes if node.op == "placeholder"]
        self.point, self.result = _Stack(inputs), _Stack(list(output.args[0]))
        moving = downstream(nodes, inputs)
        values: dict[fx.Node, Any] = self.point.places
        once = [n for n in nodes if n not in moving]
        _Steps(once, values, None, graph.owning_module, keep=set(once)).run()
        self.steps = _Steps(
            [n for n in nodes if n in moving and n not in inputs], values, self.result
        )
        _compile(self.steps)

    def __call__(self, omega: Float[Tensor, " n"], alpha: Float[Tensor, " m"]) -> Tensor:
        np.copyto(self.point.flat, torch.cat([omega, alpha]).numpy())
        self.steps.run()
        return torch.from_numpy(self.result.flat.copy())


class _Stack:
    """One flat array, and its parts as places for the values of nodes."""

    def __init__(self, nodes: Sequence[fx.Node]) -> None:
        sizes = [node.meta["val"].numel() for node in nodes]
        self.flat = np.empty(sum(sizes), numpy_type(nodes[0].meta["val"].dtype))
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
        self.silent = False
        parts = [] if result is None else result.parts
        memory = Memory(nodes, dict(parts), keep)
        for node in nodes:
            self._add(node, memory)
        for node, place in parts:
            if values[node] is not place:
                self.steps.append(partial(np.copyto, place, values[node]))

    def run(self) -> None:
        if self.silent:
            for step in self.steps:
                step()
            return
        with np.errstate(all="ignore"):  # what is not finite is for the caller to judge
            for step in self.steps:
                step()

    def _add(self, node: fx.Node, memory: Memory) -> None:
        """Append the steps that compute the node, and note where its value lies."""
        target: Any = node.target
        plain, values = not node.kwargs, self.values
        if node.op == "get_attr":
            value = getattr(self.owner, str(target)).detach().numpy()
            values[node] = np.asfortranarray(value) if is_tall(value.shape) else value
            return
        arguments: Any = fx.map_arg(node.args, lambda source: values[source])
        if target is operator.getitem:
            values[node] = arguments[0][arguments[1]]
        elif target in RESHAPES and _same_memory(arguments[0], shape := shape_of(node)):
            values[node] = arguments[0].reshape(shape)
        elif target in RESHAPES:
            source, out = arguments[0], memory.place(node, by_rows=True)
            values[node] = out
            self.steps.append(partial(np.copyto, out.reshape(source.shape), source))
        elif is_view(node):
            seen = target(*_in_torch(arguments), **node.kwargs)
            values[node] = torch.utils._pytree.tree_map(Tensor.numpy, seen)
        elif target in ELEMENTWISE and plain:
            if _laid_out_alike(arguments, shape := shape_of(node)):
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


def _compile(*programs: _Steps) -> None:
    """Let what can be compiled of them run so."""
    for program, steps in zip(programs, compiled(*(p.steps for p in programs)), strict=True):
        program.steps, program.silent = steps, is_silent(steps)


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


def _same_memory(array: Array, shape: tuple[int, ...]) -> bool:
    """Whether the array can be seen in that shape without a copy."""
    return np.may_share_memory(array, array.reshape(shape))


def _laid_out_alike(arguments: Any, shape: tuple[int, ...]) -> bool:
    """Whether the operands of that shape lie in memory as a result of it would."""
    by_columns = is_tall(shape)
    return all(
        array.flags.f_contiguous if by_columns else array.flags.c_contiguous
        for array in arguments
        if isinstance(array, np.ndarray) and array.shape == shape
    )


def _check_held(node: fx.Node) -> None:
    for value in torch.utils._pytree.tree_leaves(node.meta["val"]):
        if isinstance(value, Tensor) and not (
            value.device.type == "cpu" and value.dtype in HELD and value.layout is torch.strided
        ):
            raise NotHeldError(f"{node} is {value.dtype} on {value.device}")

"""A module that reads ω or α in place of its own parameters, and copies of its buffers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optree
import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from bilevel.recomputation import Again, recomputed
from bilevel.running_statistics import RunningStatistics, normalisation


class BoundModule:
    """A module that reads other tensors in place of its parameters; call it like the module.

    `net(x)`, `net.encoder(x)`, `net.blocks[0](x)`, `net.encoder[:2](x)`, `net.features(x)`,
    `net.parameters()` and `net.encoder.weight` all see `params` in place of the module's own
    parameters, and scratch copies of its buffers. Norms in evaluation mode read the module's
    running statistics, though a call in training mode went before. The module itself is as it was
    when the call returns; while it runs, no other thread may call the module or be bound to it. A
    parameter that the module holds under several names (tied weights, a part used twice) is
    replaced under all. A slice is a new module of bound parts: it has `parameters()`, no `params`.

    `torch.func.functional_call(net, tensors, inputs)` reads other tensors once more, for that call.
    An attribute that is set, `net.dropout.p = 0.1`, is set in the module, and stays.
    `p.requires_grad` is true of each of `params`, whatever an evaluation is differentiated in: a
    penalty on what is trained chooses by it.

    `isinstance(part, nn.Linear)` and `part.__class__` are as for the module's own part, but
    `type(part)` is `BoundModule`, which no object can change: `type(part) is nn.Linear` is False.

    Args:
        module: the module. What it keeps as plain attributes is shared.
        params: parameters by the names of `module.named_parameters()`; others stay as they are.
    """

    params: dict[str, Tensor]

    def __init__(self, module: nn.Module, params: Mapping[str, Tensor]) -> None:
        read = {name: _requiring_gradients(leaf) for name, leaf in params.items()}
        self._bind(module, module, _path(""), read, _slots(module, read))

    def _bind(
        self,
        root: nn.Module,
        part: nn.Module,
        at: str,
        params: dict[str, Tensor],
        slots: _Slots,
    ) -> None:
        vars(self).update(_root=root, _part=part, _at=at, _slots=slots, params=params)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class of the module or part, which `isinstance` asks for."""
        return type(self.__dict__.get("_part", self))

    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (BoundModule,), vars(self)  # pickling would ask `__class__`

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._inside(self._part, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_root", "_part", "_at", "_slots", "params"):
            raise AttributeError(name)  # copying and pickling ask before anything is bound
        if name in _REGISTERS:  # a module that has this one as a part reads them
            held = self._inside(lambda: tuple(getattr(self._part, name).items()))
            return dict(held) if name == "_modules" else _Register(held, self._slots, self._at)
        value = self._inside(getattr, self._part, name)
        if getattr(value, "__self__", None) is self._part:  # a method: run it with ω in place
            return lambda *args, **kwargs: self._inside(value, *args, **kwargs)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        own = vars(value)["_part"] if type(value) is BoundModule else value
        self._inside(setattr, self._part, name, own)

    def __delattr__(self, name: str) -> None:
        self._inside(delattr, self._part, name)

    def __getitem__(self, key: Any) -> Any:
        part: Any = self._part
        found = self._inside(lambda: part[key])
        if isinstance(key, slice) and isinstance(found, nn.Module):  # a new module of own parts
            found._modules.update({name: self._bound(m) for name, m in found._modules.items()})
        return found

    def __len__(self) -> int:
        part: Any = self._part
        return len(part)

    def __iter__(self) -> Iterator[Any]:
        part: Any = self._part
        return iter(self._inside(lambda: iter(part)))

    def _inside(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The function's value with ω in place; modules in it are bound, iterators used up."""

        def run() -> Any:
            value = function(*args, **kwargs)
            return iter(list(value)) if isinstance(value, Iterator) else value

        self._slots.follow_modes()
        value = _in_place(self._root, self._slots, run)
        if isinstance(value, Iterator):
            return iter([self._bound(each) for each in value])
        return self._bound(value)

    def _bound(self, value: Any) -> Any:
        if isinstance(value, tuple) and type(value) is tuple:
            return tuple(self._bound(each) for each in value)
        if not isinstance(value, nn.Module):
            return value
        prefix = next(
            (f"{name}." if name else "" for name, m in self._root.named_modules() if m is value),
            None,
        )
        if prefix is None:
            return value  # not a part of the module: made by the call
        own = {
            name.removeprefix(prefix): leaf
            for name, leaf in self.params.items()
            if name.startswith(prefix)
        }
        part = object.__new__(BoundModule)
        part._bind(self._root, value, _path(prefix), own, self._slots)
        return part


class _Register(dict[str, Tensor | None]):
    """The parameters or buffers that a part reads; what is written here it reads from then on.

    `torch.func.functional_call` puts its tensors into the registers of a module, and the old ones
    back after the call.
    """

    def __init__(self, held: Any, slots: dict[str, Tensor], at: str) -> None:
        super().__init__(held)
        self._slots, self._at = slots, at

    def __setitem__(self, name: str, tensor: Any) -> None:
        super().__setitem__(name, tensor)
        self._slots[self._at + name] = tensor

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._slots.pop(self._at + name, None)


_REGISTERS = ("_parameters", "_buffers", "_modules")
"""Where modules keep what is theirs; ω is there only while a call runs."""


@contextmanager
def taken_for_parameters(*points: Any) -> Iterator[None]:
    """While this lasts, the tensors that bound modules read are instances of `nn.Parameter`.

    Args:
        points: bound modules, or trees with bound modules in them.
    """
    stand_ins = {
        id(leaf): leaf
        for point in points
        for part in optree.tree_leaves(point)
        if type(part) is BoundModule
        for leaf in part.params.values()
        if not isinstance(leaf, nn.Parameter)
    }
    for leaf in stand_ins.values():
        leaf._is_param = True
    try:
        yield
    finally:
        for leaf in stand_ins.values():
            del leaf._is_param


def _in_place(root: nn.Module, slots: dict[str, Tensor], function: Callable[[], Any]) -> Any:
    """The function's value with the tensors in place, and what backward recomputes of it too."""

    def taken() -> Again:
        then = dict(slots)  # a `functional_call` puts others there for a while
        return lambda recompute: _in_place(root, then, recompute)

    with recomputed(taken):
        return torch.func.functional_call(_Within(root), slots, (function,), tie_weights=False)


class _Within(nn.Module):
    """Runs a function while `functional_call` has its tensors in place."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.root = root

    def forward(self, function: Callable[[], Any]) -> Any:
        return function()


def _requiring_gradients(leaf: Tensor) -> Tensor:
    """The tensor, or a view of it that requires gradients, as a trainable parameter does."""
    if leaf.requires_grad or leaf.is_inference() or is_functorch_wrapped_tensor(leaf):
        return leaf
    return leaf.view_as(leaf).requires_grad_()  # a view keeps the tangent of forward mode


def _path(prefix: str) -> str:
    """Where the slots of a part begin: `prefix` is its path in the module, with a dot behind."""
    return f"root.{prefix}"


class _Slots(dict[str, Tensor]):
    """What goes where while a call runs."""

    def __init__(self) -> None:
        super().__init__()
        self.statistics: list[RunningStatistics] = []

    def follow_modes(self) -> None:
        """Let running statistics be those for the modes that their parts are in now."""
        for each in self.statistics:
            each.follow(self)


def _slots(module: nn.Module, params: Mapping[str, Tensor]) -> _Slots:
    """What goes where: every place of a parameter or buffer once, though it have several names.

    A part under two names is one place, and a weight of two parts is two. `functional_call` takes
    the first for two as well, and leaves tensors behind in the module when it puts them back.
    """
    first = {id(p): name for name, p in module.named_parameters()}
    copies: dict[int, Tensor] = {}
    slots = _Slots()
    for path, part in module.named_modules():  # every part once
        at = _path(f"{path}." if path else "")
        if part.training and _iterates_on_its_weight(part):
            raise ValueError(
                f"{path or type(part).__name__} has a spectral_norm in training mode, which moves "
                "its vectors u and v with the weight and takes them for constants: derivatives "
                "would be wrong. Put this part into evaluation mode (.eval()), where they stay."
            )
        for name, parameter in part.named_parameters(recurse=False, remove_duplicate=False):
            replacement = params.get(first[id(parameter)])
            if replacement is not None:
                slots[at + name] = replacement
        for name, buffer in part.named_buffers(recurse=False, remove_duplicate=False):
            if id(buffer) not in copies:
                copies[id(buffer)] = buffer.clone()
            slots[at + name] = copies[id(buffer)]
        if (norm := normalisation(part)) is not None:
            places = [at + name for name, _ in norm.named_buffers(recurse=False)]
            slots.statistics.append(RunningStatistics(norm, {one: slots[one] for one in places}))
    return slots


def opened(symbol: str, tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A tree with the trainable parameters of its modules in their place, and the way back.

    Args:
        symbol: "ω" or "α", for messages.
        tree: a module, or a tree whose entries are tensors and modules. A `ParameterDict` or
            `ParameterList` is an entry like a tensor.

    Returns:
        The tree with each module replaced by its parameters by name, which are its own tensors;
        and the function that takes a tree of that structure to one with bound modules.

    Raises:
        ValueError: a module has no trainable parameters, or some of them lie in a plain list, where
            the module does not know of them.
    """
    entries, structure = optree.tree_flatten(tree)
    modules = list(map(_module_of, entries))
    if all(module is None for module in modules):
        return tree, lambda point: point

    def bind(point: Any) -> Any:
        parts: list[Any] = structure.flatten_up_to(point)
        bound = [
            part if module is None else BoundModule(module, part)
            for module, part in zip(modules, parts, strict=True)
        ]
        return structure.unflatten(bound)

    inside = [
        entry if module is None else _trainable(symbol, module)
        for module, entry in zip(modules, entries, strict=True)
    ]
    return structure.unflatten(inside), bind


def _module_of(entry: Any) -> nn.Module | None:
    """The module that an entry is, without a parallel wrapper; None for others.

    A wrapper that would have averaged over processes is told of.
    """
    if not isinstance(entry, nn.Module) or isinstance(entry, nn.ParameterDict | nn.ParameterList):
        return None
    if not isinstance(entry, nn.parallel.DistributedDataParallel | nn.DataParallel):
        return entry
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        warnings.warn(
            f"from_module takes the module inside the {type(entry).__name__}, whose averaging "
            "does not act on hypergradients. Wrap the problem in "
            "bilevel.distributed.averaged(problem), which averages losses and products.",
            stacklevel=4,  # the caller of from_module
        )
    inside: nn.Module = entry.module
    return inside


def _trainable(symbol: str, module: nn.Module) -> dict[str, Tensor]:
    refuse_hidden_parameters(symbol, module)
    lazy = [name for name, p in module.named_parameters() if isinstance(p, UninitializedParameter)]
    if lazy:
        raise ValueError(
            f"{type(module).__name__} has parameters without a shape ({', '.join(lazy[:3])}). Lazy "
            "layers give them one at their first call: call the module on data once before."
        )
    params: dict[str, Tensor] = {
        name: p for name, p in module.named_parameters() if p.requires_grad
    }
    if not params:
        raise ValueError(
            f"{type(module).__name__} has no trainable parameters; {symbol} would lack it. Check "
            "requires_grad."
        )
    return params


def _iterates_on_its_weight(part: nn.Module) -> bool:
    new = isinstance(part, _SpectralNorm) and hasattr(part, "_u")
    return new or any(isinstance(hook, SpectralNorm) for hook in part._forward_pre_hooks.values())


def refuse_hidden_parameters(symbol: str, module: nn.Module) -> None:
    """Raise if parameters lie where the module does not know of them.

    Raises:
        ValueError: a plain list, tuple, set, dict or attribute holds a trainable parameter, or a
            part with trainable parameters that is not registered: neither is replaced by ω, or α.
    """
    known = {id(part) for part in module.modules()}
    for path, part in module.named_modules():
        if isinstance(part, nn.RNNBase) or type(part).__module__.startswith("torch."):
            continue  # torch's own lists are kept up to date by torch
        for attribute, value in vars(part).items():
            if attribute in _REGISTERS:
                continue
            for where, found in _within_containers(attribute, value):
                hidden = _hidden(found, known)
                if hidden is not None:
                    place = f"{path}.{where}" if path else where
                    raise ValueError(
                        f"{type(module).__name__}.{place}{hidden} is a trainable parameter in a "
                        f"plain {type(value).__name__}, where the module does not know of it: it "
                        f"would stay as it is while the rest is replaced by {symbol}. Use "
                        "nn.ModuleList, nn.ModuleDict or nn.ParameterList, or freeze it with "
                        "requires_grad_(False)."
                    )


def _within_containers(name: str, value: Any, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """The value, or what a plain container holds, with where it was found."""
    if isinstance(value, Mapping) and depth:
        for key, each in value.items():
            yield from _within_containers(f"{name}[{key!r}]", each, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth:
        for number, each in enumerate(value):
            yield from _within_containers(f"{name}[{number}]", each, depth - 1)
    else:
        yield name, value


def _hidden(found: Any, known: set[int]) -> str | None:
    """Where in what was found a parameter lies that is never replaced; None if there is none."""
    if isinstance(found, nn.Parameter):
        return "" if found.requires_grad else None
    if not isinstance(found, nn.Module):
        return None
    for path, part in found.named_modules():
        if id(part) in known:
            continue
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.requires_grad:
                return f".{path}.{name}" if path else f".{name}"
    return None

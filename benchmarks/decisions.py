"""What ReLU and max pooling decide in a supernet, noted in one run and imposed on another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darts.kernels import Unit, native
from darts.kernels.native import Given
from darts.networks import Supernet
from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import (
    FactorizedReduce,
    Operation,
    Pool,
)
from tests.reference_supernet import Apply, Reduce, ReferenceSupernet

Decisions = dict[str, Tensor]
"""By the reference's module: where ReLU passes, or which pixel of an image max pooling takes."""


@contextmanager
def of_reference(reference: ReferenceSupernet) -> Iterator[Decisions]:
    """What the reference decides while this is on, of the last forward pass."""
    decisions: Decisions = {}

    def noting(name: str) -> Callable[[nn.Module, Any], None]:
        def note(module: nn.Module, given: tuple[Tensor]) -> None:
            pool = isinstance(module, nn.MaxPool2d)
            decisions[name] = pixels(module, given[0]) if pool else given[0].detach() > 0

        return note

    hooks = [m.register_forward_pre_hook(noting(name)) for name, m in _deciders(reference)]
    yield decisions
    for hook in hooks:
        hook.remove()


@contextmanager
def of_kernels(supernet: Supernet, reference: ReferenceSupernet) -> Iterator[Decisions]:
    """What the native supernet decides while this is on, under the reference's names.

    Of the first forward pass; later ones, if any, must be of equal bits.
    """
    decisions: Decisions = {}
    left = iter(_unit_sites(supernet, reference))
    forward = native.forward

    def noting(given: Given, *running: Any) -> Any:
        z, zt, outputs, norms = forward(given, *running)
        for unit, x, before in _inputs(given, outputs, norms):
            name = next(left, None) if unit.size else None
            if name is not None:
                decisions[name] = _passes(x, before)
        return z, zt, outputs, norms

    def at(names: list[str]) -> Callable[[nn.Module, Any], None]:
        def note(module: nn.Module, given: tuple[Any]) -> None:
            x = given[0].raw if isinstance(given[0], FeatureMap) else given[0]
            pool = isinstance(module, nn.MaxPool2d)
            found = pixels(module, x) if pool else x.detach() > 0
            decisions.update(dict.fromkeys(names, found))

        return note

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(native, "forward", noting))
        for module, names in _other_sites(supernet, reference):
            stack.callback(module.register_forward_pre_hook(at(names)).remove)
        yield decisions
    assert decisions.keys() == {name for name, _ in _deciders(reference)}


def _inputs(
    given: Given, outputs: Tensor, norms: Tensor
) -> Iterator[tuple[Unit, Tensor, Tensor | None]]:
    """Each unit of a node, its input, and scale and shift per channel before its ReLU, if any."""
    # as darts.kernels.plan lays them out: 8 numbers, 3 a source, 4 a term and 11 a unit
    left = iter(given.plan.numbers.tolist()[8 + 3 * len(given.plan.sources) :])
    sources = given.held[0]
    for term in given.plan.spec.terms:
        for _ in range(4):
            next(left)
        x: Tensor = sources[term.source]
        place: tuple[int, int] | None = None
        for unit in term.units:
            images, height, width, channels, *_, y, norm, _ = (next(left) for _ in range(11))
            before: Tensor | None = None
            if place is not None:
                size = images * height * width * channels
                x = outputs[place[0] : place[0] + size].view(images, height, width, channels)
                x = x.permute(0, 3, 1, 2)
                mean, scale, *_ = norms[place[1] : place[1] + 4 * channels].view(4, channels)
                before = torch.stack([scale, -scale * mean])
            yield unit, x, before
            place = y, norm


@contextmanager
def imposed(reference: ReferenceSupernet, decisions: Decisions) -> Iterator[None]:
    """The reference takes these decisions, whatever its values are."""
    with ExitStack() as stack:
        for name, module in _deciders(reference):
            taken = decisions[name]
            if isinstance(module, nn.MaxPool2d):
                change = mock.patch.object(module, "forward", _taking(taken))
            else:
                attribute = "activation" if isinstance(module, Reduce) else "function"
                change = mock.patch.object(module, attribute, _passing(taken))
            stack.enter_context(change)
        yield


def differing(a: Decisions, b: Decisions) -> int:
    """How many decisions are not the same."""
    return sum(int((a[name] != b[name]).sum()) for name in a)


def count(decisions: Decisions) -> int:
    return sum(taken.numel() for taken in decisions.values())


def pixels(pool: nn.Module, x: Tensor) -> Tensor:
    """Which pixel of its image each value of a max pool comes from."""
    assert isinstance(pool, nn.MaxPool2d)
    sizes = pool.kernel_size, pool.stride, pool.padding
    return F.max_pool2d(x.detach(), *sizes, return_indices=True)[1]


def _deciders(reference: ReferenceSupernet) -> list[tuple[str, nn.Module]]:
    kinds = (Apply, Reduce, nn.MaxPool2d)
    return [(n, m) for n, m in reference.named_modules() if isinstance(m, kinds)]


def _passing(passes: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.where(passes, x, 0)


def _taking(taken: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x.flatten(2).gather(2, taken.flatten(2)).view(taken.shape)


def _passes(x: Tensor, before: Tensor | None) -> Tensor:
    """Where relu of a·x + b passes. The kernels round once, so float64 has the same signs."""
    if before is None:
        return x > 0
    a, b = before.to(x.dtype).double()[:, None, :, None, None]
    return a * x.double() + b > 0


def _sites(
    supernet: Supernet, reference: ReferenceSupernet
) -> Iterator[tuple[int, int, int, Operation, list[str]]]:
    """Cell, edge and source of every operation, and the reference's modules in it that decide."""
    names = {id(module): name for name, module in _deciders(reference)}
    cells: Any = supernet.cells
    their_cells: Any = reference.cells
    for number, kind in enumerate(supernet.kinds):
        space, cell = supernet.space, cells[number]
        for target in space.targets:
            for edge in space.incoming(target):
                source = space.edges[edge][0]
                for i, name in enumerate(space.choices(kind)[edge]):
                    theirs = their_cells[number].edges[edge][i]
                    deciding = [names[id(m)] for m in theirs.modules() if id(m) in names]
                    own = cell.edges[edge]
                    home = own if name in own else cell.shared[source]
                    if deciding:
                        yield number, edge, source, home[name], deciding


def _unit_sites(supernet: Supernet, reference: ReferenceSupernet) -> list[str]:
    """The modules that decide, in the order in which nodes run their units."""
    found = _sites(supernet, reference)
    return [name for *_, operation, names in found if operation.units for name in names]


def _other_sites(
    supernet: Supernet, reference: ReferenceSupernet
) -> list[tuple[nn.Module, list[str]]]:
    """Modules of the supernet that are called as such, and whose decisions theirs are."""
    found: dict[nn.Module, list[str]] = {}
    for *_, operation, names in _sites(supernet, reference):
        if isinstance(operation, Pool):
            found.setdefault(operation.pool, []).extend(names)
        elif isinstance(operation, FactorizedReduce):
            found.setdefault(operation, []).extend(names)
    names_of = {id(module): name for name, module in _deciders(reference)}
    pairs: Any = zip(supernet.cells, reference.cells, strict=True)
    for cell, theirs in pairs:
        for process, other in zip(cell.preprocess, theirs.inputs, strict=True):
            inside = [names_of[id(m)] for m in other.modules() if id(m) in names_of]
            found.setdefault(process, []).extend(inside)
    return list(found.items())

"""A node of a searched cell, Σ of weighted operations, with its first and second derivatives.

The native counterpart of what `darts.networks.cells` says in PyTorch. Every convolution of a
search space is a chain of units, relu → depthwise → pointwise → norm, and a norm over the batch
is two moments and one affine map per channel. So a node is one linear combination per channel of
what its units give, and all of its derivatives are sums, and combinations again: nothing but the
units' inputs and outputs is kept, and nothing else is as large as a feature map.

With a tangent (a direction of all inputs at once) everything is taken along with its derivative
in that direction; the backward of that is the gradient's derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darts.kernels.native import (
    Sum,
    Unit,
    combine,
    dots,
    empty_like,
    moments,
    pixels,
    require_alike,
    unit_backward,
    unit_forward,
)
from darts.kernels.norm import Array, Norm


@dataclass(frozen=True)
class Term:
    """weight · operation(source): the source itself, its norm, or that of a chain of units."""

    source: int
    normed: bool = True
    units: tuple[Unit, ...] = ()


@dataclass(frozen=True)
class NodeSpec:
    """The terms of a node, and what norms add to the variance.

    The parameters of a node are those of its units, in order.
    """

    terms: tuple[Term, ...]
    eps: float = 1e-5

    @property
    def parameters(self) -> list[list[slice]]:
        """Where those of each unit of each term are."""
        places, position = [], 0
        for term in self.terms:
            own = []
            for unit in term.units:
                own.append(slice(position, position + unit.parameters))
                position += unit.parameters
            places.append(own)
        return places


@dataclass
class Step:
    """One unit as it was run: its input with the affine map before relu, its output, its norm.

    Tensors are None in an emptied tape.
    """

    x: Any
    xt: Tensor | None
    before: Array | None
    y: Any
    yt: Tensor | None
    norm: Norm


@dataclass
class Tape:
    """The values of a forward pass that the backward pass needs."""

    spec: NodeSpec
    weights: Array
    weights_t: Array
    sources: Sequence[Tensor] = ()
    sources_t: Sequence[Tensor] | None = None
    parameters: Sequence[Tensor] = ()
    parameters_t: Sequence[Tensor] | None = None
    steps: list[list[Step]] = field(default_factory=list)
    norms: list[Norm | None] = field(default_factory=list)

    def outputs(self) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs of each term's last unit, before its norm, and their tangents if any."""
        ys: list[Tensor] = []
        yts: list[Any] = []
        for term, steps in zip(self.spec.terms, self.steps, strict=True):
            ys.append(steps[-1].y if steps else self.sources[term.source])
            if self.sources_t is not None:
                yts.append(steps[-1].yt if steps else self.sources_t[term.source])
        return ys, yts

    def tensors(self) -> list[Tensor]:
        """All outputs of units, each followed by its tangent if it has one."""
        pairs = [(step.y, step.yt) for steps in self.steps for step in steps]
        return [x for pair in pairs for x in pair if x is not None]

    def emptied(self) -> Tape:
        """The same without tensors, which autograd keeps, and frees, better than we."""
        steps = [[replace(s, x=None, xt=None, y=None, yt=None) for s in one] for one in self.steps]
        return Tape(self.spec, self.weights, self.weights_t, steps=steps, norms=self.norms)

    def refilled(
        self,
        outputs: Sequence[Tensor],
        sources: Sequence[Tensor],
        parameters: Sequence[Tensor],
        tangents: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None,
    ) -> Tape:
        """An emptied tape with its tensors back; tangents are those of sources and parameters."""
        sources_t, parameters_t = tangents or (None, None)
        left = iter(outputs)
        steps: list[list[Step]] = []
        for term, emptied in zip(self.spec.terms, self.steps, strict=True):
            x = sources[term.source]
            xt = None if sources_t is None else sources_t[term.source]
            steps.append([])
            for step in emptied:
                y = next(left)
                yt = None if sources_t is None else next(left)
                steps[-1].append(replace(step, x=x, xt=xt, y=y, yt=yt))
                x, xt = y, yt
        return replace(
            self,
            sources=sources,
            sources_t=sources_t,
            parameters=parameters,
            parameters_t=parameters_t,
            steps=steps,
        )


Tangents = tuple[Sequence[Tensor], Tensor, Sequence[Tensor]]


def forward(
    spec: NodeSpec,
    sources: Sequence[Tensor],
    weights: Tensor,
    parameters: Sequence[Tensor],
    tangents: Tangents | None = None,
) -> tuple[Tensor, Tensor | None, Tape]:
    """The node, its tangent if its inputs have tangents, and the tape."""
    sources_t, weights_t, parameters_t = tangents or (None, None, None)
    mix = weights.numpy().astype(np.float64)
    mix_t = np.zeros_like(mix) if weights_t is None else weights_t.numpy().astype(np.float64)
    tape = Tape(spec, mix, mix_t, sources, sources_t, parameters, parameters_t)
    for term, places in zip(spec.terms, spec.parameters, strict=True):
        x = sources[term.source]
        xt = None if sources_t is None else sources_t[term.source]
        steps: list[Step] = []
        before = None
        for unit, own in zip(term.units, places, strict=True):
            theirs = None if parameters_t is None else parameters_t[own]
            y, yt, found = unit_forward(unit, x, xt, before, parameters[own], theirs)
            steps.append(Step(x, xt, before, y, yt, Norm.of(found, spec.eps)))
            x, xt, before = y, yt, steps[-1].norm.affine()
        tape.steps.append(steps)
        norm = None
        if term.normed:
            norm = steps[-1].norm if steps else Norm.of(moments(x, xt), spec.eps)
        tape.norms.append(norm)
    return *_combined(tape), tape


def _combined(tape: Tape) -> tuple[Tensor, Tensor | None]:
    ys, yts = tape.outputs()
    require_alike(ys)
    ones = np.ones(ys[0].shape[1])
    maps = [np.outer([1, 0, 1, 0, 0], ones) if n is None else n.affine() for n in tape.norms]
    mix = list(zip(tape.weights, tape.weights_t, maps, strict=True))
    z = empty_like(ys[0])
    of_z = Sum(z, _scales([w * m[0] for w, _, m in mix], [w * m[1] for w, _, m in mix]))
    if tape.sources_t is None:
        combine(ys, of_z)
        return z, None
    zt = empty_like(z)
    on_y = [wt * m[0] + w * m[3] for w, wt, m in mix]
    on_yt = [w * m[2] for w, _, m in mix]
    of_zt = Sum(zt, _scales(on_y + on_yt, [wt * m[1] + w * m[4] for w, wt, m in mix]))
    combine(ys + yts, of_zt, of_z)
    return z, zt


def _scales(scales: list[Array], constants: list[Array]) -> Array:
    return np.stack([np.sum(constants, axis=0), *scales])


@dataclass
class Gradients:
    """Adjoints of a node's inputs; with a tangent also those of the sources' tangents."""

    sources: list[Tensor | None]
    sources_t: list[Tensor | None]
    weights: Tensor
    parameters: list[Tensor] = field(default_factory=list)


def backward(
    tape: Tape, g: Tensor | None, p: Tensor | None = None, *, with_parameters: bool, full: bool
) -> Gradients:
    """Pull back g, the adjoint of the node, and p, that of its tangent.

    Args:
        tape: of `forward`.
        g: None for zero, where there is a p.
        p: None where `forward` had no tangents.
        with_parameters: whether the parameters' gradients are wanted.
        full: whether those of the sources' tangents are.
    """
    ys, yts = tape.outputs()
    count, channels, terms = float(pixels(ys[0])), ys[0].shape[1], len(ys)
    on_g, on_p = _projections(g, p, ys, yts)
    none: list[Tensor | None] = [None] * len(tape.sources)
    gradients = Gradients([*none], [*none], torch.empty(terms, dtype=ys[0].dtype))
    loose: dict[int, Array] = {}  # what sources get without a convolution: scales of g p y ẏ
    for i, term in enumerate(tape.spec.terms):
        w, wt, norm = tape.weights[i], tape.weights_t[i], tape.norms[i] or Norm.none(channels)
        sums = np.stack([on_g[0], on_g[1 + i]])
        sums_p = None if on_p is None else on_p[[0, 1 + i, 1 + terms + i]]
        gradients.weights[i] = norm.projected(sums, sums_p)
        if tape.norms[i] is None:
            scales = np.outer([0, w, wt, 0, 0, 0, w, 0], np.ones(channels))
        else:
            scales = norm.weighted_adjoint(count, w, wt, sums, sums_p)
        if term.units:
            _chain(tape, i, g, p, scales, gradients, with_parameters, full)
        else:
            loose[term.source] = loose.get(term.source, 0) + scales
    for source, scales in loose.items():
        x = tape.sources[source]
        xt = None if tape.sources_t is None else tape.sources_t[source]
        both = p is not None and full
        # p and x first: the sum on the tangent's adjoint is of those two alone
        there = [
            (i, t)
            for i, t in ((2, p), (3, x), (1, g), (4, xt))
            if t is not None and (scales[i].any() or (both and i in (2, 3) and scales[4 + i].any()))
        ]
        whole = _onto(gradients.sources, source, x, scales[[0, *(i for i, _ in there)]])
        part = None
        if both:
            rows = [5, *(4 + i for i, _ in there if i in (2, 3))]
            part = _onto(gradients.sources_t, source, x, scales[rows])
        combine([t for _, t in there], whole, part)
    return gradients


def _projections(
    g: Tensor | None, p: Tensor | None, ys: list[Tensor], yts: list[Tensor]
) -> tuple[Array, Array | None]:
    """Of g on 1 and the outputs; and of p on 1, the outputs and their tangents."""
    if p is None:
        assert g is not None
        return dots(g, ys)
    on_p, on_g = dots(p, ys + yts, g, len(ys))
    return np.zeros((len(ys) + 1, p.shape[1])) if on_g is None else on_g, on_p


def _onto(into: list[Tensor | None], source: int, like: Tensor, scales: Array) -> Sum:
    """A sum that is added to what a source has, or is the first that it gets."""
    out = into[source]
    if out is not None:
        return Sum(out, scales, add=True)
    out = into[source] = empty_like(like)
    return Sum(out, scales)


def _chain(
    tape: Tape,
    i: int,
    g: Tensor | None,
    p: Tensor | None,
    scales: Array,
    gradients: Gradients,
    with_parameters: bool,
    full: bool,
) -> None:
    """Pull back through the units of a term, last first."""
    term, steps, places = tape.spec.terms[i], tape.steps[i], tape.spec.parameters[i]
    found: list[list[Tensor]] = []
    for number in reversed(range(len(steps))):
        step, own = steps[number], places[number]
        xb = gradients.sources[term.source] if number == 0 else None
        xtb = gradients.sources_t[term.source] if number == 0 else None
        add = (xb is not None, xtb is not None)
        xb = empty_like(step.x) if xb is None else xb
        if xtb is None and p is not None and (full or number):
            xtb = empty_like(step.x)
        own_gradients, sums = unit_backward(
            term.units[number],
            step.x,
            step.xt,
            step.before,
            tape.parameters[own],
            None if tape.parameters_t is None else tape.parameters_t[own],
            (g, p),
            (step.y, step.yt),
            scales,
            (xb, xtb),
            add,
            with_parameters=with_parameters,
        )
        found.insert(0, own_gradients)
        if number == 0:
            gradients.sources[term.source], gradients.sources_t[term.source] = xb, xtb
            break
        g, p = xb, xtb
        count, sums_p = float(pixels(step.x)), None if p is None else sums[2:]
        scales = steps[number - 1].norm.weighted_adjoint(count, 1.0, 0.0, sums[:2], sums_p)
    gradients.parameters += [gradient for own_gradients in found for gradient in own_gradients]

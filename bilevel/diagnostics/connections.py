"""Whether the losses depend on every leaf of ω and α, and on no other trainable tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bilevel.diagnostics.check_report import Finding
from bilevel.diagnostics.padding import Rows, padding_rows
from bilevel.problem import BilevelProblem
from bilevel.unsupported import Explaining, nodes
from bilevel.vector import Vector


class Connections(NamedTuple):
    """What the losses depend on.

    Attributes:
        findings: faults in it.
        padding: rows of ω that L_train holds constant.
        coarsest: the dtype of least precision on the way from ω and α to a loss.
    """

    findings: list[Finding]
    padding: Rows
    coarsest: torch.dtype


class _Used(NamedTuple):
    """What one evaluation of a loss depends on.

    Attributes:
        omega, alpha: whether it depends on each leaf.
        strangers: other trainable tensors in its graph.
        padding, coarsest: as those of `Connections`.
    """

    omega: list[bool]
    alpha: list[bool]
    strangers: list[Tensor]
    padding: Rows
    coarsest: torch.dtype


def connections(
    problem: BilevelProblem, omega: Vector, alpha: Vector, **given: Vector
) -> Connections:
    """Faults in what the losses depend on, and what else their graphs tell.

    Two gradient evaluations of each loss.

    A trainable tensor that is neither in ω nor in α is found in the losses' graphs: a parameter
    that a module keeps in a plain list, or α taken from the closure in place of the argument.

    Args:
        omega, alpha: the point to look at; copies of the tensors that were passed.
        given: by symbol, the tensors that were passed.
    """
    seen: dict[int, Tensor] = {}
    inner, outer = (
        _used(loss, omega, alpha, seen) for loss in (problem.inner_value, problem.outer_value)
    )
    # a tensor that a loss makes for itself, to take a gradient in, is another one each time
    again, more = (
        _used(loss, omega, alpha, seen).strangers
        for loss in (problem.inner_value, problem.outer_value)
    )
    lasting = {id(one) for one in (*again, *more) if id(one) not in seen}
    strangers = {id(one): one for one in (*inner.strangers, *outer.strangers) if id(one) in lasting}
    findings = [_stranger(one, given) for one in strangers.values()]
    for name, later in (("L_train", again), ("L_val", (*outer.strangers, *more))):
        if any(id(one) in seen for one in later):
            findings.append(_remembered(name))
    if not any(inner.omega):
        findings.append(
            Finding(
                "L_train",
                "it does not depend on ω at all. Compute it from the ω that is passed in, without "
                "detach(), no_grad() or .data.",
            )
        )
    else:
        for name, leaf, there in zip(omega.names(), omega.leaves, inner.omega, strict=True):
            if not there and leaf.numel() > 0:
                findings.append(
                    Finding(
                        f"ω{name}",
                        "L_train ignores it, so that H is singular. Leave it out of ω, or add "
                        "weight decay to L_train.",
                    )
                )
    if not any(outer.omega):
        findings.append(
            Finding(
                "L_val",
                "it does not depend on ω, so that the implicit term is zero whatever α does. "
                "Compute it from the ω that is passed in, without detach(), no_grad() or .data.",
            )
        )
    for name, leaf, *used in zip(
        alpha.names(), alpha.leaves, inner.alpha, outer.alpha, strict=True
    ):
        if not any(used) and leaf.numel() > 0:
            findings.append(
                Finding(
                    f"α{name}",
                    "no loss uses it, so that its hypergradient is zero. Compute the losses from "
                    "the α that is passed in, not from a tensor of the closure. If it is a "
                    "learning rate that Unrolled(lr=...) alone uses, leave it out of this check.",
                )
            )
    if any(outer.alpha) and not any(inner.alpha):
        findings.append(
            Finding(
                "L_train",
                "it does not depend on α, so that B = 0 and the implicit term is zero.",
                wrong=False,
            )
        )
    coarsest = max(inner.coarsest, outer.coarsest, key=_eps)
    return Connections(findings, inner.padding, coarsest)


@torch.enable_grad()
def _used(
    loss: Callable[[Vector, Vector], Tensor],
    omega: Vector,
    alpha: Vector,
    seen: dict[int, Tensor],
) -> _Used:
    """Which leaves of ω and of α a loss depends on, and what else its graph tells.

    Args:
        seen: the tensors that evaluations were given, by identity; this one's are put in.
    """
    at, hyper = omega.tracked(), alpha.tracked()
    leaves = at.leaves + hyper.leaves
    seen |= {id(leaf): leaf for leaf in leaves}
    value = loss(at, hyper)
    if not value.requires_grad:
        none = [False] * len(at.leaves), [False] * len(hyper.leaves)
        return _Used(*none, [], (), at.dtype)
    own = {id(leaf) for leaf in leaves}
    strangers: list[Tensor] = []
    met = {at.dtype, value.dtype}
    for _, node in nodes([value]):
        if hasattr(node, "variable") and id(node.variable) not in own:
            strangers.append(node.variable)
        met |= {one.dtype for one in getattr(node, "_input_metadata", ())}
    with Explaining():
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    there = [one is not None for one in gradients]
    n = len(at.leaves)
    coarsest = max((dtype for dtype in met if dtype.is_floating_point), key=_eps)
    return _Used(there[:n], there[n:], strangers, padding_rows(value, at), coarsest)


def _eps(dtype: torch.dtype) -> float:
    return float(torch.finfo(dtype).eps)


def _remembered(name: str) -> Finding:
    return Finding(
        name,
        "it keeps a tensor from an earlier evaluation, which it computed from the ω or α of that "
        "one: no derivative reaches it through those of this one, and its value stays when they "
        "move. Look for a module or function that remembers what it computed (a cached_property, "
        "`if self._norm is None`), and compute it afresh each time.",
    )


def _stranger(stranger: Tensor, given: dict[str, Vector]) -> Finding:
    """What to say of a trainable tensor that is no argument of the losses."""
    for which, point in given.items():
        for leaf, path in zip(point.leaves, point.names(), strict=True):
            if leaf.numel() and leaf.data_ptr() == stranger.data_ptr():
                return Finding(
                    f"{which}{path}",
                    "a loss takes it from the closure, or from the module, and not from its "
                    "argument, so that no derivative reaches it. Compute the losses from the "
                    "arguments alone; with from_module, call the bound module they are given.",
                )
    trainable = isinstance(stranger, nn.Parameter)
    return Finding(
        "the losses",
        f"a {'parameter' if trainable else 'tensor with requires_grad'} of shape "
        f"{tuple(stranger.shape)} takes part that is neither in ω nor in α: one in a plain list "
        "(use nn.ParameterList or nn.ModuleList), under a second name, or of another module. Put "
        "it into ω if it is to be trained; it is a constant here, which requires_grad_(False) "
        "says.",
        wrong=trainable,
    )

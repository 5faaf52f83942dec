"""Second derivatives that PyTorch does not have, or has wrong without a word, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from torch import Tensor

_BY_DIFFERENCES = "take CentralDifference()"
_NORM = "spell the norm out by means and squares"

WRONG_TWICE: Mapping[str, tuple[str, str]] = {
    "WeightNormInterface": (
        "weight_norm",
        "compute the weight yourself, as g * v / v.norm(dim=1, keepdim=True)",
    ),
    "NativeLayerNormBackward": ("layer_norm inside a gradient that the loss takes itself", _NORM),
    "CheckpointFunction": (
        "checkpoint() in its reentrant form",
        "pass use_reentrant=False to checkpoint()",
    ),
    "linear_cross_entropy": (
        "linear_cross_entropy in chunks",
        "take F.cross_entropy of the logits",
    ),
}
"""Nodes of a loss's graph (name, then the operation and a remedy) that double backward gets wrong.
A name stands for the nodes `<name>Backward`. Found on torch 2.14 as docs/CHECK.md tells."""

WRONG_OVER_FORWARD: Mapping[str, tuple[str, str]] = {
    "NativeBatchNorm": ("batch_norm or instance_norm", _NORM),
    "NativeLayerNorm": ("layer_norm", _NORM),
    "LinalgDet": ("det", "write it by a Cholesky or QR factor"),
    "LinalgSlogdet": ("slogdet or logdet", "write it by a Cholesky factor"),
    "LinalgSolveEx": ("linalg.solve", "take torch.linalg.inv(A) @ b"),
    "LinalgHouseholderProduct": ("householder_product", "take torch.linalg.qr"),
    "CholeskyInverse": ("cholesky_inverse", "take torch.linalg.inv"),
    "TriangularSolve": ("triangular_solve", "take torch.linalg.solve_triangular"),
    "ScatterReduce": ("scatter_reduce with 'prod'", "multiply without scatter_reduce"),
    **WRONG_TWICE,
}
"""The same for reverse mode over forward mode."""

_MISSING: tuple[tuple[str, str], ...] = (
    (
        r"_scaled_dot_product_\w*attention",
        "fused attention has no second derivative. Select the maths kernel, with "
        "torch.nn.attention.sdpa_kernel(SDPBackend.MATH) around the call of the network, and take "
        "Autograd()",
    ),
    (
        r"use_reentrant|[Cc]heckpointing is not compatible|torch\.utils\.checkpoint is incompat",
        "checkpointing in its reentrant form cannot be differentiated twice. Pass "
        "use_reentrant=False to checkpoint()",
    ),
    (
        r"tensors was saved during the original forward|checkpoint: ",
        "checkpoint() recomputes without tangents, so that forward mode cannot pass it. Take "
        "Autograd()",
    ),
    (
        r"donated buffers|aot_autograd does not currently support double backward",
        "a module compiled by torch.compile has no second derivative. Pass the module itself, "
        "compiled._orig_mod, to the losses and to from_module",
    ),
    (
        r"_cudnn_rnn|CuDNN RNN",
        "cuDNN's recurrent layers have no second derivative. Evaluate the losses under "
        "torch.backends.cudnn.flags(enabled=False)",
    ),
    (
        r"embedding_bag",
        "embedding_bag has no second derivative. Take F.embedding(...).mean(1), or .sum(1)",
    ),
    (
        r"batch_norm does not support 3rd",
        f"batch_norm has no third derivative, which a gradient penalty needs. {_NORM.capitalize()}",
    ),
    (
        r"once_differentiable",
        "a custom autograd.Function is marked once_differentiable. Write its backward by "
        f"differentiable operations without that mark, or {_BY_DIFFERENCES}",
    ),
    (
        r"must implement the jvp",
        "a custom autograd.Function has no forward mode. Give it a jvp, or take Autograd()",
    ),
    (
        r"forward AD with (?P<name>\w+)",
        "{name} has no forward mode. Take Autograd()",
    ),
    (
        r"erivative for '?(?:aten::)?(?P<name>\w+?)(?:_backward|_jvp)?'? is not implemented",
        "{name} has no second derivative. Spell it out by elementary operations, or "
        f"{_BY_DIFFERENCES}",
    ),
    (
        r"\b[Ss]parse",
        "a gradient is sparse, as that of an embedding with sparse=True, and PyTorch cannot "
        "differentiate it again. Build the embedding with sparse=False",
    ),
)
_MISSING_OVER_FORWARD = (
    (
        r"erivative for '?(?:aten::)?(?P<name>\w+?)_jvp'? is not implemented",
        "the forward mode of {name} cannot be differentiated. Take Autograd()",
    ),
    (
        r"modified by an inplace operation",
        "the forward mode of an operation writes in place, as PyTorch's softmax, log_softmax, "
        "logsumexp, cross_entropy, attention and p-norms do. Spell it out, or take Autograd()",
    ),
)


class UnsupportedDerivativeError(NotImplementedError):
    """PyTorch cannot take this derivative of a loss, or is known to take it wrongly."""


class Explaining:
    """A context in which PyTorch's refusals to differentiate become one sentence with a remedy.

    Other errors pass. `forward`: whether forward mode is at work, whose troubles are its own.

    Raises:
        UnsupportedDerivativeError: from PyTorch's own error.
    """

    def __init__(self, *, forward: bool = False) -> None:
        self.known = (*_MISSING_OVER_FORWARD, *_MISSING) if forward else _MISSING

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, RuntimeError) or isinstance(error, UnsupportedDerivativeError):
            return
        for pattern, sentence in self.known:
            if found := re.search(pattern, str(error)):
                said = sentence.format(**found.groupdict())
                raise UnsupportedDerivativeError(
                    f"{said}. bilevel.check looks for more."
                ) from error


def refuse_wrong(how: str, values: Iterable[Tensor], wrong: Mapping[str, tuple[str, str]]) -> None:
    """Refuse values in whose graphs stands an operation that PyTorch gets wrong in this way.

    Costs a walk over the graphs, about a microsecond a node.

    Args:
        how: the way of differentiating, for the message.
        values: a loss, and what was computed with it.
        wrong: `WRONG_TWICE` or `WRONG_OVER_FORWARD`.

    Raises:
        UnsupportedDerivativeError: there is one.
    """
    for name, node in nodes(values):
        found = wrong.get(name)
        if found is None or not _at_fault(name, node):
            continue
        operation, instead = found
        otherwise = "Autograd()" if name not in WRONG_TWICE else "CentralDifference()"
        if name != "CheckpointFunction":  # which no other way mends
            instead = f"{instead}, or take {otherwise}"
        raise UnsupportedDerivativeError(
            f"{how} met {operation}, whose second derivatives PyTorch gets wrong in this order "
            f"without a word. {instead[0].upper()}{instead[1:]}."
        )


def nodes(values: Iterable[Tensor]) -> Iterable[tuple[str, Any]]:
    """The nodes of the graphs, each under its name without the last `Backward` and its number."""
    ahead = [value.grad_fn for value in values if value.grad_fn is not None]
    seen = set(ahead)
    while ahead:
        node = ahead.pop()
        name = node.name()
        if "linear_cross_entropy" in name:  # a generated name, with the path of the operation
            name = "linear_cross_entropyBackward"
        yield name.rpartition("Backward")[0], node
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                ahead.append(following)


def _at_fault(name: str, node: Any) -> bool:
    """Whether the node's settings are those under which it goes wrong."""
    if name == "NativeBatchNorm":  # by running statistics it is affine, and right
        return bool(node._saved_training)
    if name == "ScatterReduce":
        return bool(node._saved_reduce == "prod")
    return True

"""Second derivatives that PyTorch lacks or gets wrong in silence, each with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction, once_differentiable

from bilevel.index_twice import WRITES, writes_twice

_BY_DIFFERENCES = "take CentralDifference()"
_NORM = "spell the norm out by means and squares"
_NO_INDEX_TWICE = "let no index stand twice, for PyTorch leaves open which value is kept"
_ADDED = f"{_NO_INDEX_TWICE}; scatter_add and index_add add them up"
_IN_PLACE = "torch::autograd::CopySlices"
"""The node of an operation in place on a view, which holds that of the operation."""
_ONCE = (
    "{name} is marked once_differentiable, and PyTorch takes its gradient for a constant. Write "
    f"its backward by differentiable operations without that mark, or {_BY_DIFFERENCES}."
)
_MARK = once_differentiable(lambda ctx, gradient: gradient).__code__
"""The code of every `backward` that is marked."""

WRONG_ONCE: Mapping[str, tuple[str, str]] = {
    "Embedding": (
        "an embedding with scale_grad_by_freq=True, whose gradient is no loss's",
        "build it without",
    ),
    "MaxUnpool2D": ("max_unpool2d with an index twice", _NO_INDEX_TWICE),
    "MaxUnpool3D": ("max_unpool3d with an index twice", _NO_INDEX_TWICE),
    "Scatter": ("scatter with an index twice", _ADDED),
    "IndexCopy": ("index_copy with an index twice", _ADDED),
    "IndexPut": ("a write to one place twice, as by t[index] = values", _ADDED),
    "Put": ("put with an index twice", _ADDED),
    "AsStridedScatter": ("as_strided_scatter", "write into a clone of the tensor"),
    "CheckpointFunction": (
        "checkpoint() in its reentrant form",
        "pass use_reentrant=False to checkpoint()",
    ),
}
"""Nodes of a loss's graph (name, then the operation and a remedy) whose gradient is wrong already.
A name stands for the nodes `<name>Backward`. Found on torch 2.14 as docs/CHECK.md tells."""

WRONG_TWICE: Mapping[str, tuple[str, str]] = {
    "WeightNormInterface": (
        "weight_norm",
        "compute the weight yourself, as g * v / v.norm(dim=1, keepdim=True)",
    ),
    "NativeLayerNormBackward": ("layer_norm inside a gradient that the loss takes itself", _NORM),
    "linear_cross_entropy": (
        "linear_cross_entropy in chunks",
        "take F.cross_entropy of the logits",
    ),
    **WRONG_ONCE,
}
"""The same for double backward."""

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
    "DifferentiableGraph": (
        "a module or function compiled by torch.jit.script",
        "pass the one that it was made from",
    ),
    **WRONG_TWICE,
    "Embedding": (
        "an embedding with padding_idx or scale_grad_by_freq, whose gradient leaves rows out that "
        "a tangent passes",
        "build it without, or take Autograd()",
    ),
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
        "what torch.compile has compiled has no second derivative. Pass the function itself, or "
        "the module itself, compiled._orig_mod, to the losses and to from_module",
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
    (r"once_differentiable", _ONCE.format(name="a custom autograd.Function").removesuffix(".")),
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
        r"vmap|[Bb]atching rule|expand is unsupported for Sparse",
        "an operation cannot take several products at once. Take Autograd() with chunk=1",
    ),
    (
        r"modified by an inplace operation",
        "a loss writes in place to a tensor that its derivative needs. Compute a new one instead",
    ),
    (
        r"\b[Ss]parse",
        "a gradient is sparse, as that of an embedding with sparse=True, and PyTorch cannot "
        "differentiate it again. Build the embedding with sparse=False",
    ),
)
_MISSING_OVER_FORWARD: tuple[tuple[str, str], ...] = (
    (
        r"erivative for '?(?:aten::)?(?P<name>\w+?)_jvp'? is not implemented",
        "the forward mode of {name} cannot be differentiated. Take Autograd()",
    ),
    (
        r"Nested forward mode",
        "a loss takes a derivative by forward mode itself (jvp, jacfwd, torch.func.hessian), which "
        "PyTorch cannot nest. Take Autograd()",
    ),
    (
        r"forward gradient that has a different",
        "the forward mode of an operation gives a derivative of another shape than its value has, "
        "as that of weight_norm with dim=None does. Take Autograd()",
    ),
    (
        r"modified by an inplace operation",
        "the forward mode of an operation writes in place, as PyTorch's softmax, log_softmax, "
        "logsumexp, cross_entropy, attention and p-norms do. Spell it out, or take Autograd()",
    ),
)


_IN_A_LOSS: tuple[tuple[str, str], ...] = (
    (
        r"'(?P<name>\w+?)(?:_forward)?' is not differentiable with respect to argument "
        r"'(?P<argument>\w+)'",
        "{name} has no derivative in its argument {argument}. Take it with reduction='none' and "
        "weigh its terms yourself",
    ),
    (
        r"only change requires_grad flags of leaf",
        "a loss sets requires_grad of a parameter. Take detach() of it where a constant is meant",
    ),
)


class UnsupportedDerivativeError(NotImplementedError):
    """PyTorch cannot take this derivative of a loss, or is known to take it wrongly."""


class Explaining:
    """A context in which PyTorch's refusals to differentiate become one sentence with a remedy.

    Other errors pass. `forward`: whether forward mode is at work, whose troubles are its own;
    `loss`: whether a loss is being evaluated, whose errors are mostly the caller's.

    Raises:
        UnsupportedDerivativeError: from PyTorch's own error.
    """

    def __init__(self, *, forward: bool = False, loss: bool = False) -> None:
        self.known = (*_MISSING_OVER_FORWARD, *_MISSING) if forward else _MISSING
        if loss:
            self.known = _IN_A_LOSS

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
    """Refuse values whose graphs contain an operation that PyTorch differentiates wrongly so.

    Costs a walk over the graphs, about a microsecond a node.

    Args:
        how: the way of differentiating, for the message.
        values: a loss, and values computed with it.
        wrong: `WRONG_ONCE`, `WRONG_TWICE` or `WRONG_OVER_FORWARD`.

    Raises:
        UnsupportedDerivativeError: a graph contains one.
    """
    forward, twice = wrong is WRONG_OVER_FORWARD, wrong is WRONG_TWICE
    for name, node in nodes(values):
        if twice and isinstance(node, BackwardCFunction) and _once_differentiable(node):
            raise UnsupportedDerivativeError(_ONCE.format(name=name))
        found = wrong.get(name)
        if found is None or not _at_fault(name, node, forward=forward):
            continue
        operation, instead = found
        otherwise = "Autograd()" if name not in WRONG_TWICE else "CentralDifference()"
        if name not in WRONG_ONCE:  # no other way of differentiating mends those
            instead = f"{instead}, or take {otherwise}"
        raise UnsupportedDerivativeError(
            f"{how} met {operation}, which PyTorch gets wrong without a word. "
            f"{instead[0].upper()}{instead[1:]}."
        )


def nodes(values: Iterable[Tensor]) -> Iterable[tuple[str, Any]]:
    """The nodes of the graphs, each under its name without the last `Backward` and its number."""
    to_visit = [value.grad_fn for value in values if value.grad_fn is not None]
    seen = set(to_visit)
    while to_visit:
        node = to_visit.pop()
        full = node.name()
        name = full.rpartition("Backward")[0]
        if "linear_cross_entropy" in name:  # a generated name, with the path of the operation
            name = "linear_cross_entropy"
        yield name.rpartition("::")[2], node
        if full == _IN_PLACE and (written := getattr(node, "_wrapped_node", None)):
            to_visit.append(written)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                to_visit.append(following)


def _at_fault(name: str, node: Any, *, forward: bool) -> bool:
    """Whether the node's settings are those under which it goes wrong."""
    if name == "NativeBatchNorm":  # by running statistics it is affine, and right
        return bool(node._saved_training)
    if name == "ScatterReduce":
        return bool(node._saved_reduce == "prod")
    if name == "Embedding":
        padded = forward and 0 <= node._saved_padding_idx < node._saved_weight_sym_argsize_0
        return bool(node._saved_scale_grad_by_freq or padded)
    return name not in WRITES or writes_twice(name, node)


def _once_differentiable(node: Any) -> bool:
    """Whether a custom function is marked so: PyTorch then takes its gradient for a constant."""
    code = getattr(getattr(type(node)._forward_cls, "backward", None), "__code__", None)
    return code is _MARK

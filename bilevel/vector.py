"""A point or direction of Ω or A: one tensor per parameter, with the caller's structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optree
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

Tree = Any
"""Any pytree of floating tensors: a tensor, a dict of parameters, a nested structure."""


@dataclass(frozen=True, eq=False)
class Vector:
    """An element of a vector space whose coordinates are spread over several tensors.

    The algebra acts leaf by leaf and never copies all leaves into one tensor; `flat` does,
    on request. Leaves are neither written nor moved.

    Attributes:
        leaves: one tensor of any shape per parameter; one dtype, one device.
        treespec: how the leaves make up the caller's structure.
    """

    leaves: tuple[Tensor, ...]
    treespec: optree.PyTreeSpec

    @classmethod
    def of(cls, tree: Tree) -> Vector:
        """The vector whose leaves are the tensors of `tree`, in optree's order.

        A `ParameterDict` or `ParameterList` counts as the dict or list that it holds, and an
        iterator such as `module.parameters()`, which this uses up, as the list.

        Raises:
            TypeError: a leaf is not a tensor, or not of floating type.
            ValueError: no leaves at all, or leaves of several dtypes or devices.
        """
        if isinstance(tree, Vector):
            return tree
        leaves, treespec = optree.tree_flatten(tree)
        if any(isinstance(leaf, _HOLDERS) for leaf in leaves):
            opened = optree.tree_unflatten(treespec, [_opened(leaf) for leaf in leaves])
            return cls.of(opened)
        vector = cls(tuple(leaves), treespec)
        if not leaves:
            raise ValueError(
                f"a point needs at least one tensor; this {type(tree).__name__} holds none. "
                "Pass the parameters themselves, e.g. dict(model.named_parameters())."
            )
        first = leaves[0]
        for name, leaf in zip(vector.names(), leaves, strict=True):
            if isinstance(leaf, nn.Module):
                raise TypeError(
                    f"leaf {name} is a module, {type(leaf).__name__}. Pass its parameters, "
                    "dict(module.named_parameters()), or use BilevelProblem.from_module."
                )
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"leaf {name} is a {type(leaf).__name__}; every leaf must be a floating "
                    f"tensor. {_as_tensors(leaf)}"
                )
            if leaf.is_complex():
                raise TypeError(
                    f"leaf {name} has dtype {leaf.dtype}; points are real. Pass "
                    "torch.view_as_real(leaf), whose last axis holds real and imaginary parts, "
                    "and take torch.view_as_complex of it in the losses."
                )
            if not leaf.is_floating_point():
                raise TypeError(
                    f"leaf {name} has dtype {leaf.dtype}; derivatives need a floating dtype. Keep "
                    "it in the closure of the loss. (A state_dict() holds buffers too: pass "
                    "dict(module.named_parameters()).)"
                )
            if leaf.layout != torch.strided:
                raise TypeError(
                    f"leaf {name} has the layout {leaf.layout}; points are dense. Pass "
                    "leaf.to_dense(), or its values() with the indices in the closure of the loss."
                )
            if leaf.dtype != first.dtype or leaf.device != first.device:
                raise ValueError(
                    f"leaf {name} is {leaf.dtype} on {leaf.device}, but the first leaf is "
                    f"{first.dtype} on {first.device}. Bring all leaves to one dtype and device."
                )
        return vector

    def tree(self) -> Tree:
        """The leaves in the structure that `of` was given."""
        return optree.tree_unflatten(self.treespec, self.leaves)

    def names(self) -> list[str]:
        """One path per leaf, such as `['weight']` or `[0]['bias']`; `<root>` for a lone tensor."""
        paths = optree.treespec_paths(self.treespec)
        return ["".join(f"[{key!r}]" for key in path) or "<root>" for path in paths]

    @property
    def numel(self) -> int:
        return sum(leaf.numel() for leaf in self.leaves)

    @property
    def dtype(self) -> torch.dtype:
        return self.leaves[0].dtype

    @property
    def device(self) -> torch.device:
        return self.leaves[0].device

    def flat(self) -> Float[Tensor, " n"]:
        """All coordinates in one tensor, which shares its memory with a lone contiguous leaf."""
        flat: Tensor = _flatten_dense_tensors(self.leaves)  # type: ignore[no-untyped-call]
        return flat

    def like(self, flat: Float[Tensor, " n"]) -> Vector:
        """The vector of this structure whose coordinates are `flat`: the inverse of `flat()`."""
        if flat.shape != (self.numel,):
            raise ValueError(f"expected {self.numel} coordinates, got shape {tuple(flat.shape)}")
        return self._with(_unflatten_dense_tensors(flat, self.leaves))  # type: ignore[no-untyped-call]

    def fits(self, other: Vector) -> bool:
        """Whether the other has this structure, and leaves of the same shapes."""
        return self.treespec == other.treespec and all(
            own.shape == theirs.shape for own, theirs in zip(self.leaves, other.leaves, strict=True)
        )

    def shapes(self) -> str:
        """The shape of each leaf by its name, for messages; three of them at most."""
        pairs = list(zip(self.names(), self.leaves, strict=True))
        shown = ", ".join(f"{name} of shape {tuple(leaf.shape)}" for name, leaf in pairs[:3])
        return shown + (f", ... ({len(pairs)} leaves)" if len(pairs) > 3 else "")

    def detach(self) -> Vector:
        return self._with([leaf.detach() for leaf in self.leaves])

    def tracked(self) -> Vector:
        """The same values as fresh leaves that autograd differentiates with respect to."""
        return self._with([leaf.detach().requires_grad_() for leaf in self.leaves])

    def zeros_like(self) -> Vector:
        return self._with([torch.zeros_like(leaf) for leaf in self.leaves])

    def __add__(self, other: Vector) -> Vector:
        return self._with(torch._foreach_add(self.leaves, self._matching(other)))

    def __sub__(self, other: Vector) -> Vector:
        return self._with(torch._foreach_sub(self.leaves, self._matching(other)))

    def __mul__(self, scalar: float | Tensor) -> Vector:
        return self._with(torch._foreach_mul(self.leaves, self._scalar(scalar)))

    __rmul__ = __mul__

    def __truediv__(self, scalar: float | Tensor) -> Vector:
        return self._with(torch._foreach_div(self.leaves, self._scalar(scalar)))

    def __neg__(self) -> Vector:
        return self._with(torch._foreach_neg(self.leaves))

    def dot(self, other: Vector) -> Float[Tensor, ""]:
        """⟨self, other⟩, summed leaf by leaf."""
        pairs = zip(self.leaves, self._matching(other), strict=True)
        return torch.stack([torch.dot(a.reshape(-1), b.reshape(-1)) for a, b in pairs]).sum()

    def norm(self) -> Float[Tensor, ""]:
        """The Euclidean norm."""
        norms = torch._foreach_norm(self.leaves)
        return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(list(norms)))

    def _scalar(self, scalar: float | Tensor) -> float | Tensor:
        """In the leaves' dtype, where it is a tensor: what a float would be rounded to."""
        return scalar.to(self.dtype) if isinstance(scalar, Tensor) else scalar

    def _with(self, leaves: Sequence[Tensor]) -> Vector:
        return Vector(tuple(leaves), self.treespec)

    def _matching(self, other: Vector) -> tuple[Tensor, ...]:
        if other.treespec is not self.treespec and other.treespec != self.treespec:
            raise ValueError(
                f"vectors of different structure: {self.treespec} and {other.treespec}"
            )
        return other.leaves


_HOLDERS = (nn.ParameterDict, nn.ParameterList, Iterator)


def _opened(leaf: Any) -> Any:
    """The plain container of what a holder of parameters holds."""
    if isinstance(leaf, nn.ParameterDict):
        return dict(leaf.items())
    return list(leaf) if isinstance(leaf, _HOLDERS) else leaf


def _as_tensors(leaf: Any) -> str:
    """What to pass in place of a leaf that is no tensor."""
    if isinstance(leaf, int | float):
        kept = "keep a constant out of the point, in the closure of the loss"
        return f"Pass torch.tensor({float(leaf)}) of the other leaves' dtype, or {kept}."
    if isinstance(leaf, np.ndarray | np.generic):
        return "Pass torch.as_tensor(leaf), which shares its memory."
    return (
        "Pass the tensors that it holds, in a dict, list or tuple, and keep other values out of "
        "the point, in the closure of the loss."
    )


def plus(y: Vector, scale: float, x: Vector) -> Vector:
    """y + scale·x in one pass, without a temporary."""
    return Vector(tuple(torch._foreach_add(y.leaves, x.leaves, alpha=scale)), y.treespec)

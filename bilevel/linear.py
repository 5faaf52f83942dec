"""Linear operators known by their action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator as ScipyOperator
from torch import Tensor

from bilevel.vector import Vector

Action = Callable[[Vector], Vector]
BatchedAction = Callable[[Tensor], Tensor]
"""The same map on the rows of a matrix: (k, columns) ↦ (k, rows)."""


@dataclass(frozen=True)
class LinearOperator:
    """A linear map v ↦ `action(v)` between two spaces of vectors; no matrix is stored.

    Attributes:
        domain: a prototype of what it takes (structure, shapes, dtype, device; values unused).
        codomain: a prototype of what it returns.
        action: the map.
        transposed_action: the adjoint map, where it is known. A symmetric operator passes its
            `action` here too; that it is symmetric is believed, not checked.
        batched_action: the map on many vectors at once, where that is cheaper than one by one.
        transposed_batched_action: the adjoint on many vectors at once.
    """

    domain: Vector
    codomain: Vector
    action: Action
    transposed_action: Action | None = None
    batched_action: BatchedAction | None = None
    transposed_batched_action: BatchedAction | None = None

    @overload
    def __matmul__(self, other: Vector) -> Vector: ...
    @overload
    def __matmul__(self, other: LinearOperator) -> LinearOperator: ...
    def __matmul__(self, other: Vector | LinearOperator) -> Vector | LinearOperator:
        if isinstance(other, LinearOperator):
            return self._after(other)
        return self.action(other)

    @cached_property
    def T(self) -> LinearOperator:  # noqa: N802  (as in torch and numpy)
        """The transpose.

        Raises:
            ValueError: the operator was built without its adjoint.
        """
        if self.transposed_action is None:
            raise ValueError(
                f"this {self.codomain.numel}×{self.domain.numel} operator was built without "
                "`transposed_action`, so its transpose is not known."
            )
        return LinearOperator(
            self.codomain,
            self.domain,
            self.transposed_action,
            self.action,
            self.transposed_batched_action,
            self.batched_action,
        )

    def __rmul__(self, scalar: float) -> LinearOperator:
        adjoint = self.transposed_action
        return LinearOperator(
            self.domain,
            self.codomain,
            lambda v: scalar * self.action(v),
            None if adjoint is None else lambda u: scalar * adjoint(u),
        )

    def __add__(self, other: LinearOperator) -> LinearOperator:
        left, right = self.transposed_action, other.transposed_action
        return LinearOperator(
            self.domain,
            self.codomain,
            lambda v: self.action(v) + other.action(v),
            None if left is None or right is None else lambda u: left(u) + right(u),
        )

    def _after(self, other: LinearOperator) -> LinearOperator:
        left, right = self.transposed_action, other.transposed_action
        return LinearOperator(
            other.domain,
            self.codomain,
            lambda v: self.action(other.action(v)),
            None if left is None or right is None else lambda u: right(left(u)),
        )

    def dense(self) -> Float[Tensor, "rows columns"]:
        """The matrix. Costs min(rows, columns) products where the transpose is known."""
        rows, columns = self.codomain.numel, self.domain.numel
        if self.transposed_action is not None and rows < columns:
            return self.T._columns().T
        return self._columns()

    def _columns(self) -> Float[Tensor, "rows columns"]:
        n = self.domain.numel
        return self.many(torch.eye(n, dtype=self.domain.dtype, device=self.domain.device)).T

    def many(self, vectors: Float[Tensor, "k columns"]) -> Float[Tensor, "k rows"]:
        """The images of k vectors, both given as rows: k products, batched where that is known."""
        if self.batched_action is not None:
            return self.batched_action(vectors)
        return torch.stack([self.action(self.domain.like(row)).flat() for row in vectors])

    def on_flat(self, x: Float[Tensor, " columns"]) -> Float[Tensor, " rows"]:
        """The image of a vector whose coordinates lie in one tensor, in such a tensor."""
        return self.action(self.domain.like(x)).flat()

    def to_scipy(self) -> ScipyOperator:
        """The same map on float64 NumPy arrays, for `scipy.sparse.linalg`."""

        def on_arrays(action: Action, prototype: Vector):  # type: ignore[no-untyped-def]
            def apply(array):  # type: ignore[no-untyped-def]
                flat = torch.as_tensor(array.reshape(-1)).to(prototype.leaves[0])
                return action(prototype.like(flat)).flat().double().cpu().numpy()

            return apply

        adjoint = self.transposed_action
        return ScipyOperator(
            (self.codomain.numel, self.domain.numel),
            matvec=on_arrays(self.action, self.domain),
            rmatvec=None if adjoint is None else on_arrays(adjoint, self.codomain),
            dtype="float64",
        )

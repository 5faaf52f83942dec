"""Linear operators known by their action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator as ScipyOperator
from torch import Tensor

from bilevel.vector import Vector

Action = Callable[[Vector], Vector]


@dataclass(frozen=True)
class LinearOperator:
    """A linear map v ↦ `action(v)` between two spaces of vectors; no matrix is stored.

    Attributes:
        domain: a prototype of the vectors it takes: structure, shapes, dtype and device, no values.
        codomain: a prototype of the vectors it returns.
        action: the map itself.
        transposed_action: the adjoint map, where it is known. A symmetric operator passes its
            `action` here too; that it is symmetric is believed, not checked.
        at_once: number of vectors that both maps take at once. Above 1 they also take a `Vector`
            whose leaves have one axis more in front, and return such a one.
    """

    domain: Vector
    codomain: Vector
    action: Action
    transposed_action: Action | None = None
    at_once: int = 1

    def __matmul__(self, v: Vector) -> Vector:
        return self.action(v)

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
            self.codomain, self.domain, self.transposed_action, self.action, self.at_once
        )

    def __rmul__(self, scalar: float) -> LinearOperator:
        adjoint = self.transposed_action
        return replace(
            self,
            action=lambda v: scalar * self.action(v),
            transposed_action=None if adjoint is None else lambda u: scalar * adjoint(u),
        )

    def shifted(self, damping: float) -> LinearOperator:
        """H + damping·I, for a symmetric H."""
        if damping == 0:
            return self

        def action(v: Vector) -> Vector:
            return self.action(v) + damping * v

        return replace(self, action=action, transposed_action=action)

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
        """The images of k vectors, both given as rows: k products, `at_once` of them together."""
        if self.at_once == 1:
            return torch.stack([self.on_flat(row) for row in vectors])
        sizes = [leaf.numel() for leaf in self.domain.leaves]
        images = []
        for some in torch.split(vectors, self.at_once):
            leaves = [
                columns.reshape(len(some), *leaf.shape)
                for columns, leaf in zip(
                    torch.split(some, sizes, 1), self.domain.leaves, strict=True
                )
            ]
            image = self.action(Vector(tuple(leaves), self.domain.treespec))
            images.append(torch.cat([leaf.reshape(len(some), -1) for leaf in image.leaves], dim=1))
        return torch.cat(images)

    def on_flat(self, x: Float[Tensor, " columns"]) -> Float[Tensor, " rows"]:
        """The image of a vector whose coordinates lie in one tensor, in such a tensor."""
        return self.action(self.domain.like(x)).flat()

    def to_scipy(self) -> ScipyOperator:
        """The same map on float64 NumPy arrays, for `scipy.sparse.linalg`."""

        def on_arrays(action: Action, prototype: Vector):  # type: ignore[no-untyped-def]
            def apply(array):  # type: ignore[no-untyped-def]
                flat = torch.from_numpy(array.reshape(-1)).to(prototype.leaves[0])
                return action(prototype.like(flat)).flat().double().cpu().numpy()

            return apply

        adjoint = self.transposed_action
        return ScipyOperator(
            (self.codomain.numel, self.domain.numel),
            matvec=on_arrays(self.action, self.domain),
            rmatvec=None if adjoint is None else on_arrays(adjoint, self.codomain),
            dtype="float64",
        )

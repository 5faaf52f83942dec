"""From α to mixing weights, and from α to a genotype."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from darts.methods.mixing import Drawn, Mixing, Softmax
from darts.methods.mixing_weights import MixingWeights
from darts.methods.partial_channels import edge_shares
from darts.spaces.discretisation import strongest_cell
from darts.spaces.genotype import Genotype
from darts.spaces.space import NONE, Space

Alpha = dict[str, Float[Tensor, "edges operations"]]


@dataclass(frozen=True)
class Architecture:
    """The architectural parameters of a space: for every kind of cell an (edges, operations) α.

    The weight of operation o on edge e is exp(α[e, o]) / Σ_o′ exp(α[e, o′]), unless the mixing has
    another. Where the edges of a space differ in their operations, α has a column for each that
    occurs; what an edge does not have has weight zero, and its α is never read.

    Args:
        space: the edges and operations.
        mixing: how the weights of a step come from α; the default is the softmax itself.
        edge_normalisation: α has one more number an edge, β, under the key "normal edges" for the
            kind "normal"; the softmax of β over the edges into a node multiplies theirs (PC-DARTS).
    """

    space: Space
    mixing: Mixing = field(default=Softmax())
    edge_normalisation: bool = False

    def initial(
        self,
        seed: int | torch.Generator,
        *,
        scale: float = 1e-3,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Alpha:
        """α ~ N(0, scale²), as DARTS begins. Equal seeds give equal α on every device."""
        generator = seed
        if isinstance(generator, int):
            generator = torch.Generator().manual_seed(generator)
        return {
            name: scale
            * torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).to(
                device
            )
            for name, shape in self.shapes.items()
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every part of α."""
        edges, operations = len(self.space.edges), len(self.space.operations)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
            self.space.cell_kinds, (edges, operations)
        )
        if self.edge_normalisation:
            shapes |= {_edges_of(kind): (edges,) for kind in self.space.cell_kinds}
        return shapes

    def draw(self, alpha: Mapping[str, Tensor], progress: float) -> MixingWeights:
        """The weights of one step; `progress` in [0, 1) says how far the search has come.

        Random numbers come from the global generator; see `Mixing`.
        """
        return self._mixed(
            alpha,
            {
                kind: self.mixing.draw(self._masked(kind, alpha[kind]), progress)
                for kind in self.space.cell_kinds
            },
        )

    def deterministic(self, alpha: Mapping[str, Tensor]) -> MixingWeights:
        """The weights without randomness, by which the supernet is evaluated."""
        return self._mixed(
            alpha,
            {
                kind: self.mixing.deterministic(self._masked(kind, alpha[kind]))
                for kind in self.space.cell_kinds
            },
        )

    def _mixed(self, alpha: Mapping[str, Tensor], drawn: Mapping[str, Drawn]) -> MixingWeights:
        active = {kind: part.active for kind, part in drawn.items() if part.active is not None}
        return MixingWeights(
            operations={kind: part.weights for kind, part in drawn.items()},
            active=active or None,
            edges=self._edge_weights(alpha),
        )

    def _edge_weights(self, alpha: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        if not self.edge_normalisation:
            return None
        return {
            kind: edge_shares(self.space, alpha[_edges_of(kind)]) for kind in self.space.cell_kinds
        }

    def mixing_weights(self, alpha: Mapping[str, Tensor]) -> Alpha:
        """The mixing's strengths, in DARTS softmax, times the edge's share where it has one."""
        edges = self._edge_weights(alpha)
        weights = {
            kind: self.mixing.strengths(self._masked(kind, alpha[kind]))
            for kind in self.space.cell_kinds
        }
        if edges is None:
            return weights
        return {kind: edges[kind][:, None] * row for kind, row in weights.items()}

    def logits(self, alpha: Mapping[str, Tensor]) -> Float[Tensor, "edges operations"]:
        """α of the edges of all kinds of cells, −∞ where an edge does not have the operation."""
        return torch.cat([self._masked(kind, alpha[kind]) for kind in self.space.cell_kinds])

    def _masked(self, kind: str, alpha: Tensor) -> Tensor:
        """α with −∞ where an edge does not have the operation, or its weight means nothing."""
        space = self.space
        idle = self.mixing.independent and NONE in space.operations and not space.keeps_none
        if space.edge_operations is None and not idle:
            return alpha
        return alpha.masked_fill(_absent(space, kind, idle, alpha.device), float("-inf"))

    def genotype(self, alpha: Mapping[str, Tensor]) -> Genotype:
        """The strongest candidate on each edge, and on each node its strongest edges.

        Candidates are all operations, without `none` unless the space keeps it. An edge is as
        strong as its strongest candidate's mixing weight: a large softmax weight of `none` makes it
        weak.
        Where the space searches edges, a node keeps the `keep_edges` strongest, strongest
        first, as DARTS does; fixed edges stay in their order.

        Raises:
            ValueError: α has other kinds or another shape than the space, or is not finite.
        """
        self.require(alpha)
        mixing = self.mixing_weights(alpha)
        return Genotype(
            tuple(strongest_cell(self.space, kind, mixing[kind]) for kind in self.space.cell_kinds)
        )

    def require(self, alpha: Mapping[str, Tensor]) -> None:
        """Raise ValueError unless `alpha` is a finite α of the space."""
        found = {kind: tuple(tensor.shape) for kind, tensor in alpha.items()}
        if found != self.shapes:
            raise ValueError(
                f"α of space {self.space.name!r} has the shapes {self.shapes}; found {found}."
            )
        for kind, tensor in alpha.items():
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise ValueError(
                    f"α[{kind!r}] holds {bad} values that are not finite, of {tensor.numel()}. The "
                    "search has diverged: lower the outer learning rate or η."
                )


@lru_cache(maxsize=16)
def _absent(space: Space, kind: str, idle: bool, device: torch.device) -> Tensor:
    """Which operations an edge does not have; sent to a device once, not at every step.

    With `idle`, `none` is one of them.
    """
    has = [
        [name in names and not (idle and name == NONE) for name in space.operations]
        for names in space.choices(kind)
    ]
    return ~torch.tensor(has, device=device)


def _edges_of(kind: str) -> str:
    return f"{kind} edges"

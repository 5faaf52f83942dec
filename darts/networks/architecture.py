"""From α to mixing weights, and from α to a genotype."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from darts.spaces.genotype import CellGenotype, Genotype
from darts.spaces.space import Space

Alpha = dict[str, Float[Tensor, "edges operations"]]


@dataclass(frozen=True)
class Architecture:
    """The architectural parameters of a space: for every kind of cell an (edges, operations) α.

    The weight of operation o on edge e is exp(α[e, o]) / Σ_o′ exp(α[e, o′]). Where the edges of a
    space differ in their operations, α has a column for each that occurs; what an edge does not
    have has weight zero, and its α is never read.
    """

    space: Space

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
        shape = (len(self.space.edges), len(self.space.operations))
        return {
            kind: scale
            * torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).to(
                device
            )
            for kind in self.space.cell_kinds
        }

    def mixing(self, alpha: Mapping[str, Tensor]) -> Alpha:
        """Softmax over the operations of every edge."""
        return {
            kind: torch.softmax(self._masked(kind, alpha[kind]), dim=-1)
            for kind in self.space.cell_kinds
        }

    def _masked(self, kind: str, alpha: Tensor) -> Tensor:
        """α with −∞ where an edge does not have the operation."""
        if self.space.edge_operations is None:
            return alpha
        has = [
            [name in names for name in self.space.operations] for names in self.space.choices(kind)
        ]
        return alpha.masked_fill(~torch.tensor(has, device=alpha.device), float("-inf"))

    def genotype(self, alpha: Mapping[str, Tensor]) -> Genotype:
        """The strongest candidate on each edge, and on each node its strongest edges.

        Candidates are the operations but none, where the space does not keep none. An edge is as
        strong as its strongest candidate, by mixing weight, so that a large weight of none makes
        it weak. Where the space searches edges, a node keeps the `keep_edges` strongest, strongest
        first, as DARTS does; fixed edges stay in their order.

        Raises:
            ValueError: α has other kinds or another shape than the space, or is not finite.
        """
        self.require(alpha)
        mixing = self.mixing(alpha)
        return Genotype(
            tuple(self._cell(kind, mixing[kind].detach().cpu()) for kind in self.space.cell_kinds)
        )

    def require(self, alpha: Mapping[str, Tensor]) -> None:
        """Raise ValueError unless `alpha` is a finite α of the space."""
        expected = (len(self.space.edges), len(self.space.operations))
        found = {kind: tuple(tensor.shape) for kind, tensor in alpha.items()}
        if found != dict.fromkeys(self.space.cell_kinds, expected):
            raise ValueError(
                f"α of space {self.space.name!r} has shape {expected} for each of "
                f"{self.space.cell_kinds}; found {found}."
            )
        for kind, tensor in alpha.items():
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise ValueError(
                    f"α[{kind!r}] holds {bad} values that are not finite, of {tensor.numel()}. The "
                    "search has diverged: lower the outer learning rate or η."
                )

    def _cell(self, kind: str, mixing: Float[Tensor, "edges operations"]) -> CellGenotype:
        space = self.space
        columns = [space.operations.index(name) for name in space.candidates]
        strength, choice = mixing[:, columns].max(dim=1)
        edges: list[tuple[str, int]] = []
        for target in space.targets:
            rows = list(space.incoming(target))
            if space.keep_edges is not None:
                rows = sorted(rows, key=lambda row: -float(strength[row]))[: space.keep_edges]
            edges += [(space.candidates[int(choice[row])], space.edges[row][0]) for row in rows]
        return CellGenotype(kind, tuple(edges), space.output, space.kept_inputs, space.inputs)

"""The supernet: all networks of a space at once, mixed by the architecture's weights."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from darts.networks.cells import SearchCell, preprocessing
from darts.spaces.normalization import BatchNorm
from darts.spaces.operations import Activation, FeatureMap, search_recipe
from darts.spaces.space import Space


def reductions(cells: int) -> tuple[int, ...]:
    """The cells that halve the resolution and double the channels: at 1/3 and 2/3 of the depth."""
    return tuple(sorted({cells // 3, 2 * cells // 3}))


class Supernet(nn.Module):
    """A stack of search cells between a stem and a linear classifier (Liu et al. 2019).

    α is no part of it: `forward` takes the mixing weights, one (edges, operations) tensor for
    every kind of cell. In training mode nothing is written, neither buffers nor random state;
    see `darts.spaces.normalization.BatchNorm` on how running statistics change.

    Args:
        space: what the cells can be.
        channels: channels of the first cells' states.
        cells: number of cells; those at 1/3 and 2/3 reduce.
        classes: number of classes.
        in_channels: channels of the images.
        stem_multiplier: channels of the stem's output, in units of `channels`.
        activation: what convolutions begin with; a smooth one makes second derivatives exact
            where the kinks of ReLU do not let them be.

    Raises:
        ValueError: a size is not positive, or the mixing weights do not fit the space.
    """

    def __init__(
        self,
        space: Space,
        *,
        channels: int = 16,
        cells: int = 8,
        classes: int = 10,
        in_channels: int = 3,
        stem_multiplier: int = 3,
        activation: Activation = torch.relu,
    ) -> None:
        super().__init__()
        require_positive(
            channels=channels,
            cells=cells,
            classes=classes,
            in_channels=in_channels,
            stem_multiplier=stem_multiplier,
        )
        self.space = space
        self.in_channels = in_channels
        self.recipe = search_recipe(activation)
        stem_channels = stem_multiplier * channels
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem_channels, 3, padding=1, bias=False),
            BatchNorm(stem_channels, affine=True),
        )
        self.cells = nn.ModuleList()
        self.kinds: list[str] = []
        before_last, last, halved = stem_channels, stem_channels, False
        for index in range(cells):
            reduction = index in reductions(cells)
            if reduction:
                channels *= 2
            preprocess = (
                preprocessing(before_last, channels, halved, self.recipe),
                preprocessing(last, channels, False, self.recipe),
            )
            self.cells.append(SearchCell(space, preprocess, channels, reduction, self.recipe))
            self.kinds.append("reduce" if reduction else "normal")
            before_last, last, halved = last, space.nodes * channels, reduction
        self.classifier = nn.Linear(last, classes)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        mixing: Mapping[str, Float[Tensor, "edges operations"]],
    ) -> Float[Tensor, "b classes"]:
        """The logits of `images` under the mixing weights of every kind of cell."""
        self._require_inputs(images, mixing)
        weights = {kind: [row.unbind() for row in mixing[kind].unbind()] for kind in mixing}
        # Convolutions and norms are faster with channels last; the layout lasts to the classifier.
        stem = self.stem(images).contiguous(memory_format=torch.channels_last)
        before_last = last = FeatureMap(stem, self.recipe.activation)
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            before_last, last = last, cell(before_last, last, weights[kind])
        logits: Tensor = self.classifier(last.raw.mean(dim=(2, 3)))
        return logits

    def _require_inputs(self, images: Tensor, mixing: Mapping[str, Tensor]) -> None:
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(
                f"Supernet(in_channels={self.in_channels}) got images of shape "
                f"{tuple(images.shape)}; it needs (batch, {self.in_channels}, height, width)."
            )
        expected = (len(self.space.edges), len(self.space.operations))
        found = {kind: tuple(weights.shape) for kind, weights in mixing.items()}
        if found != dict.fromkeys(self.space.cell_kinds, expected):
            raise ValueError(
                f"Supernet of space {self.space.name!r} needs mixing weights of shape {expected} "
                f"for each of {self.space.cell_kinds}; found {found}. "
                f"Architecture(space).mixing(alpha) makes them."
            )


def require_positive(**sizes: int) -> None:
    """Raise ValueError for a size below one."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"a network with {name}={size}: {name} must be at least 1.")

"""The supernet: all networks of a space at once, mixed by the architecture's weights."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from darts.methods.mixing_weights import MixingWeights
from darts.methods.partial_channels import PartialChannels
from darts.networks.cells import CellMixingWeights, ResidualBlock, SearchCell, Stack
from darts.networks.layout import LaidOut
from darts.networks.recomputation import recomputed
from darts.networks.stem_and_head import SMALL_IMAGES, ImageNetStem, StemAndHead
from darts.spaces.feature_map import Activation, FeatureMap
from darts.spaces.joint_draws import Drawing
from darts.spaces.normalization import BatchNorm
from darts.spaces.operations import search_recipe
from darts.spaces.space import Space


class Supernet(LaidOut, Drawing):
    """A stack of search cells between a stem and a linear classifier (Liu et al. 2019).

    α is no part of it: `forward` takes the mixing weights, one (edges, operations) tensor for
    every kind of cell. In training mode nothing is written, neither buffers nor random state;
    see `darts.spaces.normalization.BatchNorm` on how running statistics change.

    `layout` is how feature maps lie in memory: channels last, with which convolutions and norms
    are faster on a CPU, or `torch.contiguous_format`.

    `recompute` says how, not what, is computed: with it cells keep no activations, and compute
    them again for a gradient: all cells, or those of `recomputed`, of which the first hold most.
    The memory of a gradient falls to that of the largest cell and the cells' outputs. A graph of
    the gradient (`Autograd`) keeps the activations again, so that second derivatives in little
    memory are those of `ReverseOverForward`, which builds no graph, and of `CentralDifference`.

    Args:
        space: the space of its cells.
        channels: channels of the first cells' states.
        cells: number of cells; the space's macro-architecture says where they stand.
        classes: number of classes.
        in_channels: channels of the images.
        stem_multiplier: channels of the stem's output, in units of `channels`; None is the
            macro-architecture's own, 3 in DARTS and 1 in NAS-Bench-201.
        activation: what convolutions begin with; a smooth one makes second derivatives exact
            where the kinks of ReLU do not let them be.
        partial: operations see a share of the channels (PC-DARTS).
        auxiliary_skip: whether there is a skip beside every edge (DARTS-).
        auxiliary_head: whether there is a second classifier at 2/3 of the depth, used in training
            mode only; `forward` then gives its logits too.
        stem: stem and auxiliary head. IMAGENET's stem reduces images eightfold, to C channels
            unless `stem_multiplier` says otherwise, for cells that read two inputs.

    Raises:
        ValueError: a size is not positive, the space has no network of so many cells, or the
            mixing weights do not fit the space.
    """

    def __init__(
        self,
        space: Space,
        *,
        channels: int = 16,
        cells: int = 8,
        classes: int = 10,
        in_channels: int = 3,
        stem_multiplier: int | None = None,
        activation: Activation = torch.relu,
        partial: PartialChannels | None = None,
        auxiliary_skip: bool = False,
        auxiliary_head: bool = False,
        stem: StemAndHead = SMALL_IMAGES,
    ) -> None:
        super().__init__()
        macro = space.macro_architecture
        usual = macro.stem_multiplier if stem == SMALL_IMAGES else 1
        multiplier = usual if stem_multiplier is None else stem_multiplier
        require_positive(
            channels=channels,
            cells=cells,
            classes=classes,
            in_channels=in_channels,
            stem_multiplier=multiplier,
        )
        if macro.bare and multiplier != macro.stem_multiplier:
            raise ValueError(
                f"stem_multiplier={multiplier} asked in space {space.name!r}, whose cells take the "
                f"stem as it is: it has {macro.stem_multiplier}·C channels. Leave it out."
            )
        self.space = space
        self.in_channels = in_channels
        self.recipe = search_recipe(activation, pools=not macro.bare)
        stem_channels = multiplier * channels
        self.stem: nn.Module
        if stem == SMALL_IMAGES:
            self.stem = nn.Sequential(
                nn.Conv2d(in_channels, stem_channels, 3, padding=1, bias=False),
                BatchNorm(stem_channels, affine=True),
            )
        else:
            self.stem = ImageNetStem(in_channels, stem_channels, macro, _learned, activation)
        self.cells = nn.ModuleList()
        self.blocks = nn.ModuleDict()
        self.kinds: list[str] = []
        self.recompute = False
        self.recomputed = range(cells)
        self.auxiliary_skip = auxiliary_skip
        self.auxiliary_after = 2 * cells // 3
        self.auxiliary_head: nn.Module | None = None
        stack = Stack(macro, cells, channels, stem_channels, stem != SMALL_IMAGES)
        for index, (place, width) in enumerate(stack):
            if place.block:
                self.blocks[str(index)] = ResidualBlock(width // 2, width, _learned, activation)
            preprocess = stack.preprocess(self.recipe)
            cell = SearchCell(
                space,
                place.kind,
                preprocess,
                width,
                place.reduction,
                self.recipe,
                partial,
                auxiliary_skip,
            )
            self.cells.append(cell)
            self.kinds.append(place.kind)
            stack.add(place, len(space.output))
            if auxiliary_head and index == self.auxiliary_after:
                self.auxiliary_head = stem.auxiliary_head(stack.widths[-1], classes, _learned)
        last = stack.widths[-1]
        self.norm_last = _learned(last) if macro.bare else None
        self.classifier = nn.Linear(last, classes)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        mixing: MixingWeights | Mapping[str, Float[Tensor, "edges operations"]],
    ) -> Float[Tensor, "b classes"] | tuple[Float[Tensor, "b classes"], Float[Tensor, "b classes"]]:
        """The logits of `images` under the mixing weights of every kind of cell.

        With an auxiliary head in training mode, (logits, auxiliary logits).
        """
        mixing = mixing if isinstance(mixing, MixingWeights) else MixingWeights(mixing)
        self._require_inputs(images, mixing)
        weights = {kind: CellMixingWeights.of(mixing, kind) for kind in mixing.operations}
        recent = self._stem(images)
        auxiliary: Tensor | None = None
        for index, (cell, kind) in enumerate(zip(self.cells, self.kinds, strict=True)):
            if str(index) in self.blocks:
                recent = [self.blocks[str(index)](recent[-1])]
            if self.recompute and index in self.recomputed and torch.is_grad_enabled():
                output = recomputed(cell, recent, weights[kind], self.recipe.activation)
            else:
                output = cell(recent, weights[kind])
            recent = [*recent[1:], output]
            if self.training and self.auxiliary_head and index == self.auxiliary_after:
                auxiliary = self.auxiliary_head(recent[-1].raw)
        last = recent[-1].raw
        if self.norm_last is not None:
            last = self.recipe.activation(self.norm_last(last))
        features = self.shard.dropout(last.mean(dim=(2, 3)), mixing.dropout, self.training)
        logits: Tensor = self.classifier(features)
        return logits if auxiliary is None else (logits, auxiliary)

    def _stem(self, images: Tensor) -> list[FeatureMap]:
        """The first cell's inputs."""
        output = self.stem(images)
        maps = self.laid_out(output if isinstance(output, tuple) else (output,))
        return maps if len(maps) == self.space.inputs else maps * self.space.inputs

    def _require_inputs(self, images: Tensor, mixing: MixingWeights) -> None:
        self.require_images(images)
        expected = (len(self.space.edges), len(self.space.operations))
        found = {kind: tuple(weights.shape) for kind, weights in mixing.operations.items()}
        if found != dict.fromkeys(self.space.cell_kinds, expected):
            raise ValueError(
                f"Supernet of space {self.space.name!r} needs mixing weights of shape {expected} "
                f"for each of {self.space.cell_kinds}; found {found}. "
                f"Architecture(space).mixing_weights(alpha) makes them."
            )
        if mixing.auxiliary_skip > 0 and not self.auxiliary_skip:
            raise ValueError(
                f"mixing weights with auxiliary_skip={mixing.auxiliary_skip}, but this supernet "
                "has no skips beside its edges. Make it with Supernet(auxiliary_skip=True)."
            )


def _learned(channels: int) -> nn.Module:
    return BatchNorm(channels, affine=True)


def require_positive(**sizes: int) -> None:
    """Raise ValueError for a size below one."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"a network with {name}={size}: {name} must be at least 1.")

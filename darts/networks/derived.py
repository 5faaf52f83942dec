"""The network of one genotype, to be trained from scratch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from darts.networks.cells import DerivedCell, preprocessing
from darts.networks.frames import SMALL_IMAGES, Frame
from darts.networks.supernet import reductions, require_positive
from darts.spaces.genotype import Genotype
from darts.spaces.operations import FeatureMap, derived_recipe


class DerivedNetwork(nn.Module):
    """A stack of a genotype's cells (Liu et al. 2019, §3.1 and §3.3).

    Args:
        genotype: its "normal" and "reduce" cells.
        channels: channels of the first cells' states.
        cells: number of cells; those at 1/3 and 2/3 reduce.
        classes: number of classes.
        in_channels: channels of the images.
        auxiliary: it has a second classifier at 2/3 of the depth, used in training mode only.
        frame: stem and auxiliary head; SMALL_IMAGES or IMAGENET.

    Raises:
        ValueError: a size is not positive, or drop_path is not in [0, 1).
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        channels: int = 36,
        cells: int = 20,
        classes: int = 10,
        in_channels: int = 3,
        auxiliary: bool = False,
        frame: Frame = SMALL_IMAGES,
    ) -> None:
        super().__init__()
        require_positive(channels=channels, cells=cells, classes=classes, in_channels=in_channels)
        self.genotype = genotype
        self.in_channels = in_channels
        self.recipe = derived_recipe()
        self.stem = frame.stem(in_channels, channels)
        self.auxiliary_after = 2 * cells // 3
        self.auxiliary_head: nn.Module | None = None
        self.cells = nn.ModuleList()
        before_last, last, halved = self.stem.channels, self.stem.channels, self.stem.halves
        for index in range(cells):
            reduction = index in reductions(cells)
            if reduction:
                channels *= 2
            preprocess = (
                preprocessing(before_last, channels, halved, self.recipe),
                preprocessing(last, channels, False, self.recipe),
            )
            cell = genotype["reduce" if reduction else "normal"]
            self.cells.append(DerivedCell(cell, preprocess, channels, reduction, self.recipe))
            before_last, last, halved = last, len(cell.concat) * channels, reduction
            if auxiliary and index == self.auxiliary_after:
                self.auxiliary_head = frame.auxiliary_head(last, classes)
        self.classifier = nn.Linear(last, classes)

    def forward(
        self, images: Float[Tensor, "b c h w"], drop_path: float = 0.0
    ) -> Float[Tensor, "b classes"] | tuple[Float[Tensor, "b classes"], Float[Tensor, "b classes"]]:
        """Logits; with an auxiliary head in training mode (logits, auxiliary logits).

        Args:
            images: a batch.
            drop_path: in training mode, the probability that a sample loses an edge; identities
                are never dropped.
        """
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(
                f"DerivedNetwork(in_channels={self.in_channels}) got images of shape "
                f"{tuple(images.shape)}; it needs (batch, {self.in_channels}, height, width)."
            )
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path={drop_path}: it is a probability in [0, 1).")
        first, second = (
            FeatureMap(x.contiguous(memory_format=torch.channels_last), self.recipe.activation)
            for x in self.stem(images)
        )
        auxiliary: Tensor | None = None
        for index, cell in enumerate(self.cells):
            first, second = second, cell(first, second, drop_path)
            if self.training and self.auxiliary_head and index == self.auxiliary_after:
                auxiliary = self.auxiliary_head(second.raw)
        logits = self.classifier(second.raw.mean(dim=(2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)

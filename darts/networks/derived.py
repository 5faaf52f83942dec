"""The network of one genotype, to be trained from scratch."""

from jaxtyping import Float
from torch import Tensor, nn

from darts.networks.cells import DerivedCell, ResidualBlock, Stack
from darts.networks.layout import LaidOut
from darts.networks.stem_and_head import SMALL_IMAGES, StemAndHead
from darts.networks.supernet import require_positive
from darts.spaces.genotype import Genotype
from darts.spaces.macro_architecture import macro_architecture_of
from darts.spaces.operations import derived_recipe


class DerivedNetwork(LaidOut):
    """A stack of a genotype's cells (Liu et al. 2019, §3.1 and §3.3).

    The kinds of cell say their macro-architecture: "normal" and "reduce" as in DARTS, "cell_0",
    "cell_1", ... each in its own place, "cell" in the stages of NAS-Bench-201.

    Args:
        genotype: its cells.
        channels: channels of the first cells' states.
        cells: number of cells; in DARTS those at 1/3 and 2/3 reduce.
        classes: number of classes.
        in_channels: channels of the images.
        auxiliary: whether it has a second classifier at 2/3 of the depth, used in training only.
        stem: stem and auxiliary head; SMALL_IMAGES or IMAGENET.

    Raises:
        ValueError: a size is not positive, there is no network of these cells or of so many, the
            stem does not suit them, or drop_path is not in [0, 1).
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
        stem: StemAndHead = SMALL_IMAGES,
    ) -> None:
        super().__init__()
        require_positive(channels=channels, cells=cells, classes=classes, in_channels=in_channels)
        self.genotype = genotype
        self.in_channels = in_channels
        self.recipe = derived_recipe()
        macro = macro_architecture_of(tuple(cell.kind for cell in genotype.cells))
        self.stem = stem.module(in_channels, channels, macro)
        self.auxiliary_after = 2 * cells // 3
        self.auxiliary_head: nn.Module | None = None
        self.cells = nn.ModuleList()
        self.blocks = nn.ModuleDict()
        activation, norm = self.recipe.activation, self.recipe.norm
        stack = Stack(macro, cells, channels, self.stem.channels, self.stem.halves)
        for index, (place, width) in enumerate(stack):
            if place.block:
                self.blocks[str(index)] = ResidualBlock(width // 2, width, norm, activation)
            cell = genotype[place.kind]
            preprocess = stack.preprocess(self.recipe)
            self.cells.append(DerivedCell(cell, preprocess, width, place.reduction, self.recipe))
            stack.add(place, len(cell.concat))
            if auxiliary and index == self.auxiliary_after:
                self.auxiliary_head = stem.auxiliary_head(stack.widths[-1], classes)
        last = stack.widths[-1]
        self.norm_last = norm(last) if macro.bare else None
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
        self.require_images(images)
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path={drop_path}: it is a probability in [0, 1).")
        recent = self.laid_out(self.stem(images))
        auxiliary: Tensor | None = None
        for index, cell in enumerate(self.cells):
            if str(index) in self.blocks:
                recent = [self.blocks[str(index)](recent[-1])]
            recent = [*recent[1:], cell(recent, drop_path)]
            if self.training and self.auxiliary_head and index == self.auxiliary_after:
                auxiliary = self.auxiliary_head(recent[-1].raw)
        last = recent[-1].raw
        if self.norm_last is not None:
            last = self.recipe.activation(self.norm_last(last))
        logits = self.classifier(last.mean(dim=(2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)

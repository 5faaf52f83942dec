"""`darts count`: parameters and multiply-adds of a genotype's network."""

from dataclasses import dataclass

import torch

from darts.commands.command import Command, Invocation
from darts.commands.named import genotype_named
from darts.commands.sizes import Sizes, blueprint_of
from darts.networks.counting import count_parameters
from darts.networks.width import multiply_adds
from darts.spaces import spaces_in_words


@dataclass(frozen=True)
class Count(Sizes, Command):
    """Print the parameters and multiply-adds of a genotype's network for RGB images.

    Args:
        genotype: a published name, Genotype(...) or another notation as text, a file of it, a run
            folder, RUN@25 for its 25th epoch, or an exported folder.
    """

    examples = ("darts count DARTS_V2", "darts count runs/NAME --channels 36 --cells 20")
    main = "channels cells classes image-size frame"

    genotype: str

    def run(self, given: Invocation) -> int:
        print(self.line())
        return 0

    def line(self) -> str:
        """A line with the exact counts."""
        blueprint, image = blueprint_of(self, genotype_named(self.genotype))
        with torch.device("meta"):
            parameters = count_parameters(blueprint.build())
        return (
            f"C = {blueprint.channels}, {blueprint.cells} cells, {blueprint.classes} classes: "
            f"{parameters / 1e6:.3f} M parameters, "
            f"{multiply_adds(blueprint, image) / 1e6:.1f} M multiply-adds "
            f"for one image of {image[0]}×{image[1]} (no auxiliary head); "
            f"{spaces_in_words(blueprint.genotype)}"
        )

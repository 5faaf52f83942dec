"""`darts count`: parameters and multiply-adds of a genotype's network."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from darts.commands.command import Command, Invocation
from darts.commands.named import exists, genotype_named
from darts.commands.sizes import Sizes, blueprint_of
from darts.networks.blueprint import DESCRIPTION, Blueprint, describe
from darts.networks.counting import count_parameters
from darts.networks.width import multiply_adds
from darts.spaces import spaces_in_words
from darts.training.saved_network import RETRAINED, is_run


@dataclass(frozen=True)
class Count(Sizes, Command):
    """Print the parameters and multiply-adds of a genotype's network.

    Of a run with a retrained network, and of an exported folder, that network is counted, and
    beside it the one of the sizes that tables state, for RGB images.

    Args:
        genotype: a published name, Genotype(...) or another notation as text, a file of it, a run
            folder, RUN@25 for its 25th epoch, or an exported folder.
    """

    examples = ("darts count DARTS_V2", "darts count runs/NAME --channels 36 --cells 20")
    main = "channels cells classes image-size stem"

    genotype: str

    def run(self, given: Invocation) -> int:
        print("\n".join(self.lines()))
        return 0

    def lines(self) -> list[str]:
        """The exact counts; of a run or an exported folder its own network's first."""
        path = Path(self.genotype)
        path = path / RETRAINED if is_run(path) else path
        sizes = ("channels", "cells", "classes", "image_size")
        asked = any(getattr(self, name) is not None for name in sizes)
        if asked or not exists(self.genotype) or not (path / DESCRIPTION).is_file():
            return [_counts(*blueprint_of(self, genotype_named(self.genotype)))]
        content = describe(path)
        own, image = Blueprint.from_dict(content), content["image_height_width"]
        usual = blueprint_of(replace(self, stem=own.stem), own.genotype)
        unequal = _differences((own, tuple(image)), usual)
        if not unequal:
            return [_counts(own, tuple(image))]
        return [
            f"its own network: {_counts(own, tuple(image))}",
            f"as tables count it: {_counts(*usual)}",
            f"they differ in {', '.join(unequal)}.",
        ]


Counted = tuple[Blueprint, tuple[int, int]]


def _differences(own: Counted, usual: Counted) -> list[str]:
    """What of two networks of one genotype is not equal: "cells (5, not 20)"."""
    words = {
        "channels": "C",
        "cells": "cells",
        "classes": "classes",
        "in_channels": "channels of the images",
    }
    pairs = {word: tuple(getattr(b, name) for b, _ in (own, usual)) for name, word in words.items()}
    pairs["image size"] = tuple(f"{height}×{width}" for _, (height, width) in (own, usual))
    return [f"{word} ({a}, not {b})" for word, (a, b) in pairs.items() if a != b]


def _counts(blueprint: Blueprint, image: tuple[int, int]) -> str:
    with torch.device("meta"):
        parameters = count_parameters(blueprint.build())
    return (
        f"C = {blueprint.channels}, {blueprint.cells} cells, {blueprint.classes} classes: "
        f"{parameters / 1e6:.3f} M parameters, "
        f"{multiply_adds(blueprint, image) / 1e6:.1f} M multiply-adds "
        f"for one image of {image[0]}×{image[1]} (no auxiliary head); "
        f"{spaces_in_words(blueprint.genotype)}"
    )

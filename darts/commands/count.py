"""`darts count`: parameters and multiply-adds of a genotype's network."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from darts.commands.closing import as_typed, closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import refusing
from darts.commands.named import exists, genotype_named
from darts.commands.sizes import Sizes, blueprint_of
from darts.networks.blueprint import DESCRIPTION, Blueprint, describe
from darts.networks.counting import count_parameters
from darts.networks.width import multiply_adds
from darts.reports.millions import millions
from darts.spaces import spaces_in_words
from darts.spaces.published import DARTS_V2
from darts.training.saved_network import RETRAINED, is_run


@dataclass(frozen=True)
class Count(Sizes, Command):
    """Print the parameters and multiply-adds of a genotype's network.

    Of a run with a retrained network, and of an exported folder, that network is counted, and
    beside it the one of the sizes that tables state, for RGB images. DARTS_V2 at these sizes is
    counted too, where the genotype has cells of its kinds.

    Args:
        genotype: a published name, Genotype(...) or another notation as text, a file of it, a run
            folder, RUN@25 for its 25th epoch, or an exported folder.
    """

    examples = ("darts count DARTS_V2", "darts count runs/NAME --channels 36 --cells 20")
    main = "channels cells classes image-size stem"

    genotype: str

    def run(self, given: Invocation) -> int:
        with refusing():
            lines = self.lines()
        print("\n".join(lines))
        name = as_typed(self.genotype)
        print(closing((), ("draw", name), ("retrain", "--genotype", name)))
        return 0

    def lines(self) -> list[str]:
        """The exact counts; of a run or an exported folder its own network's first."""
        path = Path(self.genotype)
        path = path / RETRAINED if is_run(path) else path
        sizes = ("channels", "cells", "classes", "image_size")
        asked = any(getattr(self, name) is not None for name in sizes)
        if asked or not exists(self.genotype) or not (path / DESCRIPTION).is_file():
            usual = blueprint_of(self, genotype_named(self.genotype))
            return [_counts(*usual), *_beside(*usual)]
        content = describe(path)
        own, image = Blueprint.from_dict(content), content["image_height_width"]
        usual = blueprint_of(replace(self, stem=own.stem), own.genotype)
        unequal = _differences((own, tuple(image)), usual)
        if not unequal:
            return [_counts(own, tuple(image)), *_beside(*usual)]
        return [
            f"its own network: {_counts(own, tuple(image))}",
            f"as tables count it: {_counts(*usual)}",
            f"they differ in {', '.join(unequal)}.",
            *_beside(*usual),
        ]


Counted = tuple[Blueprint, tuple[int, int]]


def _differences(own: Counted, usual: Counted) -> list[str]:
    """The sizes that differ between two networks of one genotype: "cells (5, not 20)"."""
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
    return (
        f"C = {blueprint.channels}, {blueprint.cells} cells, {blueprint.classes} classes: "
        f"{_numbers(blueprint, image)} for one image of {image[0]}×{image[1]} (no auxiliary head); "
        f"{spaces_in_words(blueprint.genotype)}"
    )


def _beside(blueprint: Blueprint, image: tuple[int, int]) -> list[str]:
    """The published cell in a network of the same sizes, if the genotype has cells of its kinds."""
    kinds, theirs = (
        {(cell.kind, cell.first) for cell in genotype.cells}
        for genotype in (blueprint.genotype, DARTS_V2)
    )
    if kinds != theirs or blueprint.genotype == DARTS_V2:
        return []
    other = replace(blueprint, genotype=DARTS_V2)
    return [f"DARTS_V2 at the same sizes: {_numbers(other, image)}"]


def _numbers(blueprint: Blueprint, image: tuple[int, int]) -> str:
    with torch.device("meta"):
        parameters = count_parameters(blueprint.build())
    each = multiply_adds(blueprint, image)
    return f"{millions(parameters / 1e6, 3)} parameters, {millions(each / 1e6, 1)} multiply-adds"

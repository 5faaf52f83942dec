"""The sizes of a genotype's network, as `count` and `export` take them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from darts.commands.errors import refusing
from darts.networks.blueprint import Blueprint
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES, StemAndHead
from darts.networks.width import Width, channels_within
from darts.spaces import Genotype
from darts.spaces.macro_architecture import OnePerCell, Stages, macro_architecture_of


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a genotype's network. Those left out are what counts are published for.

    Args:
        stem: small-images, or imagenet, with the auxiliary head that goes with it.
        channels: number of initial channels C, by default 36, ImageNet's 48, or NAS-Bench-201's 16;
            within:millions=600 is the largest that keeps an image within so many million
            multiply-adds.
        cells: number of cells, by default 20, ImageNet's 14, NAS-Bench-201's 15, or as many as the
            genotype has, if each is another.
        classes: number of classes, by default 10, or ImageNet's 1000.
        image_size: side in pixels of the square images, by default 32, or ImageNet's 224.
    """

    stem: StemAndHead = SMALL_IMAGES
    channels: Width | None = None
    cells: int | None = None
    classes: int | None = None
    image_size: int | None = None


USUAL: Mapping[StemAndHead, Sizes] = MappingProxyType(
    {
        SMALL_IMAGES: Sizes(channels=36, cells=20, classes=10, image_size=32),
        IMAGENET: Sizes(channels=48, cells=14, classes=1000, image_size=224),
    }
)
"""The sizes that the literature states counts for."""


BENCH = Sizes(channels=16, cells=15, classes=10, image_size=32)
"""Those of NAS-Bench-201."""


def _usual(stem: StemAndHead, genotype: Genotype) -> Sizes:
    """The sizes that the literature states counts for, of cells that stand as the genotype's do."""
    macro = macro_architecture_of(tuple(cell.kind for cell in genotype.cells))
    if isinstance(macro, Stages):
        return BENCH
    usual = USUAL[stem]
    return replace(usual, cells=macro.cells) if isinstance(macro, OnePerCell) else usual


def blueprint_of(
    options: Sizes, genotype: Genotype, in_channels: int = 3
) -> tuple[Blueprint, tuple[int, int]]:
    """The network that the sizes ask for, and (height, width) of its images.

    Raises:
        UsageError: a size is not positive, or no network keeps to the limit.
    """
    with refusing():
        return _blueprint(options, genotype, in_channels)


def _blueprint(
    options: Sizes, genotype: Genotype, in_channels: int
) -> tuple[Blueprint, tuple[int, int]]:
    usual = _usual(options.stem, genotype)
    channels, cells, classes, size = (
        getattr(usual if getattr(options, name) is None else options, name)
        for name in ("channels", "cells", "classes", "image_size")
    )
    if size < 1:
        raise ValueError(f"images of {size}×{size} pixels: give --image-size 1 or more.")
    image = (size, size)
    if isinstance(channels, int):
        return Blueprint(genotype, channels, cells, classes, in_channels, options.stem), image
    blueprint = Blueprint(genotype, 2, cells, classes, in_channels, options.stem)
    return replace(blueprint, channels=channels_within(blueprint, image, channels)), image

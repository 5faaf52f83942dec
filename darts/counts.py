"""The network that `darts count` and `darts export` make of a genotype, and what it costs."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch

from darts.names import genotype_named
from darts.networks.counting import count_parameters
from darts.networks.frames import IMAGENET, SMALL_IMAGES, Frame
from darts.networks.stored import Blueprint
from darts.networks.width import channels_within, multiply_adds
from darts.options import Count, Sizes
from darts.spaces import Genotype, spaces_in_words

USUAL: Mapping[Frame, Sizes] = MappingProxyType(
    {
        SMALL_IMAGES: Sizes(channels=36, cells=20, classes=10, image_size=32),
        IMAGENET: Sizes(channels=48, cells=14, classes=1000, image_size=224),
    }
)
"""What counts in the literature are stated for."""


def blueprint_of(
    options: Sizes, genotype: Genotype, in_channels: int = 3
) -> tuple[Blueprint, tuple[int, int]]:
    """The network that the sizes ask for, and (height, width) of its images.

    Raises:
        ValueError: a size is not positive, or no network keeps to the limit.
    """
    usual = USUAL[options.frame]
    channels, cells, classes, size = (
        getattr(usual if getattr(options, name) is None else options, name)
        for name in ("channels", "cells", "classes", "image_size")
    )
    if size < 1:
        raise ValueError(f"images of {size}×{size} pixels: give --image-size 1 or more.")
    image = (size, size)
    if isinstance(channels, int):
        return Blueprint(genotype, channels, cells, classes, in_channels, options.frame), image
    blueprint = Blueprint(genotype, 2, cells, classes, in_channels, options.frame)
    return replace(blueprint, channels=channels_within(blueprint, image, channels)), image


def count(options: Count) -> str:
    """A line with the exact counts."""
    blueprint, image = blueprint_of(options, genotype_named(options.genotype))
    with torch.device("meta"):
        parameters = count_parameters(blueprint.build())
    return (
        f"C = {blueprint.channels}, {blueprint.cells} cells, {blueprint.classes} classes: "
        f"{parameters / 1e6:.3f} M parameters, "
        f"{multiply_adds(blueprint, image) / 1e6:.1f} M multiply-adds "
        f"for one image of {image[0]}×{image[1]} (no auxiliary head); "
        f"{spaces_in_words(blueprint.genotype)}"
    )

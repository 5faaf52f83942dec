"""Smaller images by area average: a pixel is the mean of the area that it covers."""

from dataclasses import replace
from math import gcd

import torch
from torch import Tensor

from darts.data.images import LabelledImages

IMAGES_AT_ONCE = 1024
"""So that 50,000 images need no more memory than a few."""


def reduced(data: LabelledImages, side: int | None) -> LabelledImages:
    """The same images as squares of `side` pixels; unchanged if it is None.

    Raises:
        ValueError: the side is below 1 or above that of the images, or they are not square.
    """
    if side is None:
        return data
    _, height, width = data.shape
    if height != width or not 1 <= side <= height:
        raise ValueError(
            f"--image-size {side} of images of {height}×{width} pixels: an area average makes "
            f"square images smaller. Give a side between 1 and {min(height, width)}, or leave it "
            "out."
        )
    return replace(data, images=area_average(data.images, side))


def area_average(images: Tensor, side: int) -> Tensor:
    """Square images [n c h h] as [n c side side] of the same type, each pixel its area's mean.

    Pixels that an area holds in part count in part, so that `side` need not divide h. The mean of
    bytes is exact, in whole numbers, and rounded to the nearest grey level, halves up; that of
    float32 is taken in float64.
    """
    before = images.shape[-1]
    share = gcd(before, side)
    weights = _overlaps(before // share, side // share, share)
    area = (before // share) ** 2
    parts = []
    for some in torch.split(images, IMAGES_AT_ONCE):
        # whole numbers below 2⁵³, which float64 adds and multiplies exactly
        sums = weights @ some.double() @ weights.T
        if images.dtype == torch.uint8:
            parts.append(torch.floor((2 * sums + area) / (2 * area)).to(torch.uint8))
        else:
            parts.append((sums / area).to(images.dtype))
    return torch.cat(parts)


def _overlaps(before: int, after: int, blocks: int) -> Tensor:
    """How much of each old pixel lies in each new one, in units of 1/after of an old pixel.

    float64 [blocks·after, blocks·before]: old pixel i reaches from i·after to (i + 1)·after, new
    pixel j from j·before to (j + 1)·before. The pattern repeats in every block.
    """
    old = torch.arange(before, dtype=torch.float64) * after
    new = torch.arange(after, dtype=torch.float64)[:, None] * before
    overlap = torch.minimum(old + after, new + before) - torch.maximum(old, new)
    return torch.kron(torch.eye(blocks, dtype=torch.float64), overlap.clamp(min=0))

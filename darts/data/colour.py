"""Random changes of colour, each as tensor operations on the whole batch."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey level (ITU-R BT.601)."""


@dataclass(frozen=True)
class ColourJitter:
    """Brightness, contrast, saturation and hue of every image, changed in an order of its own.

    The first three blend with black, with the image's mean grey level, and with its grey version:
    f · image + (1 − f) · other, f uniform in [1 − s, 1 + s] for strength s, clipped to [0, 255]
    after each. Hue turns by a share of the circle, uniform in [−s, s]. The defaults are DARTS's
    for ImageNet (its `train_imagenet.py`; PC-DARTS has the same in search and retraining).

    What an image gets depends on its own seed, neither on the device nor on the rest of the batch.
    Values are rounded to bytes once, at the end; torchvision rounds after each change.

    Args:
        brightness, contrast, saturation: strengths in [0, 1].
        hue: strength in [0, 1/2].
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.2

    def __post_init__(self) -> None:
        for name, most in (("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0.5)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(
                    f"ColourJitter({name}={getattr(self, name)}): it must lie between 0 and {most}."
                )

    def __call__(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """uint8 [b 3 h w], with a seed each, to uint8 of the same shape."""
        draws = torch.tensor(
            [[draw.random() for _ in range(8)] for draw in map(random.Random, seeds)]
        )
        changes = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
        strengths = torch.tensor((self.brightness, self.contrast, self.saturation, self.hue))
        middle = torch.tensor((1.0, 1.0, 1.0, 0.0))
        amounts = middle + strengths * (2 * draws[:, :4] - 1)
        orders = draws[:, 4:].argsort(dim=1)
        values = images.float()
        for place in range(4):
            for kind, change in enumerate(changes):
                chosen = torch.nonzero(orders[:, place] == kind).flatten()
                if len(chosen):
                    amount = amounts[chosen, kind].to(images.device)[:, None, None, None]
                    chosen = chosen.to(images.device)
                    values[chosen] = change(values[chosen], amount)
        return values.round_().to(torch.uint8)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Images float [b 3 h w] in [0, 255], factor [b 1 1 1]; the same of the next two."""
    return (factor * images).clamp_(0, 255)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    return (factor * images + (1 - factor) * mean).clamp_(0, 255)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * _grey(images)).clamp_(0, 255)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue by a share of the circle, [b 1 1 1]; value and saturation (HSV) stay.

    A channel is V − C · max(0, min(k, 4 − k, 1)) with k = (n + 6 · hue) mod 6 and n = 5, 3, 1 for
    red, green, blue: V the largest channel and C the span of the three.
    """
    red, green, blue = images.unbind(1)
    value, which = images.max(dim=1)
    span = value - images.amin(dim=1)
    sixths = torch.where(
        which == 0, green - blue, torch.where(which == 1, blue - red, red - green)
    ) / span.clamp(min=1e-6)
    sixths = sixths + 2 * which + 6 * turn.squeeze(1)
    channels = [
        value - span * torch.minimum(k, 4 - k).clamp_(0, 1)
        for k in ((sixths + n).remainder_(6) for n in (5, 3, 1))
    ]
    return torch.stack(channels, dim=1)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue).unsqueeze(1)

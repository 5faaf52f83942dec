"""Colours change as torchvision changes them, each image by amounts and in an order of its own."""

from itertools import permutations

import pytest
import torch
from torchvision.transforms.v2 import functional

from darts.data.colour import (
    ColourJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)

IMAGES = torch.randint(
    0, 256, (6, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
ROUNDING = 255 * 2e-4
"""torchvision's grey is 0.2989 red + 0.587 green + 0.114 blue, a share of 10⁻⁴ below BT.601's."""


@pytest.mark.parametrize(
    ("ours", "theirs", "amounts"),
    [
        (adjust_brightness, functional.adjust_brightness, (0.6, 1.0, 1.4)),
        (adjust_contrast, functional.adjust_contrast, (0.6, 1.0, 1.4)),
        (adjust_saturation, functional.adjust_saturation, (0.6, 1.0, 1.4)),
        (adjust_hue, functional.adjust_hue, (-0.2, 0.0, 0.13, 0.5)),
    ],
)
def test_a_change_of_colour_is_torchvisions(ours, theirs, amounts):
    for amount in amounts:
        found = ours(IMAGES.double(), torch.full((6, 1, 1, 1), amount, dtype=torch.float64))
        assert (found - 255 * theirs(IMAGES.double() / 255, amount)).abs().max() < ROUNDING


def test_grey_pixels_have_no_hue_to_turn():
    grey = torch.arange(256.0).expand(1, 3, 1, 256)
    assert torch.equal(adjust_hue(grey, torch.full((1, 1, 1, 1), 0.3)), grey)


def test_images_of_a_batch_are_changed_each_by_itself():
    """One factor an image: the batch equals its images one by one."""
    amount = torch.tensor([0.6, 0.8, 0.9, 1.1, 1.2, 1.4]).view(6, 1, 1, 1)
    whole = adjust_contrast(IMAGES.float(), amount)
    parts = [adjust_contrast(i[None].float(), a[None]) for i, a in zip(IMAGES, amount, strict=True)]
    assert torch.equal(whole, torch.cat(parts))


def test_a_jitter_is_the_four_changes_in_some_order_and_every_order_occurs():
    """Alike images, one amount of each change: 24 orders, and no other outcome."""
    n = 400
    ramp = torch.randint(0, 256, (3, 4, 4), generator=torch.Generator().manual_seed(5))
    alike = ramp.to(torch.uint8).expand(n, 3, 4, 4)

    changes = {
        "adjust_brightness": lambda x, _: (1.3 * x).clamp(0, 255),
        "adjust_contrast": lambda x, _: (0.5 * x + 100).clamp(0, 255),
        "adjust_saturation": lambda x, _: 255 - x,
        "adjust_hue": lambda x, _: x.flip(1),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, change in changes.items():
            patch.setattr(f"darts.data.colour.{name}", change)
        found = ColourJitter()(alike, range(n))
    expected = set()
    for order in permutations(changes.values()):
        x = ramp[None].float()
        for change in order:
            x = change(x, None)
        expected.add(tuple(x.round().to(torch.uint8).flatten().tolist()))
    assert {tuple(image.flatten().tolist()) for image in found} == expected


def test_amounts_fill_their_range_and_stay_in_it():
    """Mid-grey images and brightness alone: a pixel tells the factor."""
    grey = torch.full((2000, 3, 1, 1), 128, dtype=torch.uint8)
    bright = ColourJitter(brightness=0.4, contrast=0, saturation=0, hue=0)
    factors = bright(grey, range(2000))[:, 0].double().flatten() / 128
    assert 0.595 < factors.min() < 0.605  # a byte is 1/128
    assert 1.395 < factors.max() < 1.405
    assert abs(factors.mean() - 1) < 4 * 0.4 / 3**0.5 / 2000**0.5


def test_no_strength_changes_nothing_and_the_input_stays_as_it_was():
    before = IMAGES.clone()
    nothing = ColourJitter(0, 0, 0, 0)(IMAGES, range(6))
    assert (nothing.int() - IMAGES.int()).abs().max() == 0
    ColourJitter()(IMAGES, range(6))
    assert torch.equal(IMAGES, before)


def test_what_an_image_gets_depends_on_its_own_seed_alone():
    whole = ColourJitter()(IMAGES, [3, 1, 4, 1, 5, 9])
    torch.manual_seed(1)
    assert torch.equal(whole, ColourJitter()(IMAGES, [3, 1, 4, 1, 5, 9]))
    assert torch.equal(whole[2:5], ColourJitter()(IMAGES[2:5], [4, 1, 5]))
    alike = ColourJitter()(IMAGES[:1].expand(3, -1, -1, -1), [7, 7, 8])
    assert torch.equal(alike[0], alike[1])
    assert not torch.equal(alike[0], alike[2])


@pytest.mark.parametrize("field", ["brightness", "contrast", "saturation", "hue"])
def test_strengths_out_of_range_are_refused(field):
    for value in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"{field}={value}"):
            ColourJitter(**{field: value})
